"""Samples cut into batches, the same ones each time."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from hooksim.errors import Note

__all__ = ["BatchSize", "Batches", "ModelSpecs"]

BatchSize: TypeAlias = Annotated[int, Field(ge=1)]
ModelSpecs: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""The specs of model A and model B, for data that depends on them."""


class Batches:
    """A loader over samples that can be asked for by range.

    It can be iterated any number of times and has a length, so that progress can be shown.

    Args:
        n_samples: How many samples there are.
        batch_size: How many a batch holds; the last one may be smaller.
        make: Makes the batch of the samples of a range.

    Example:
        >>> list(Batches(5, 2, list))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, n_samples: int, batch_size: int, make: Callable[[range], Any]) -> None:
        self.n_samples = n_samples
        self.batch_size = batch_size
        self._make = make

    def __len__(self) -> int:
        return -(-self.n_samples // self.batch_size)

    def notes(self) -> list[Note]:
        """Say what a reader of the result should know of the data, once the loader was read."""
        return []

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, self.n_samples, self.batch_size):
            yield self._make(range(start, min(start + self.batch_size, self.n_samples)))
