"""Matrices by their names: what a comparison and a trajectory have in common."""

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from hooksim.errors import UnknownKeyError
from hooksim.results.directions import directed_stems
from hooksim.results.matrix import Meaning

__all__ = ["Keyed"]


class _Meant(Protocol):
    @property
    def meaning(self) -> Meaning: ...


Held = TypeVar("Held", bound=_Meant)


class Keyed(Generic[Held]):
    """Gives matrices, or stacks of them, by their names, in the order of the measures.

    Args:
        matrices: One for each key.
        noun: What messages call the whole.

    Raises:
        UnknownKeyError: By `keyed[key]`: there is no such matrix.

    Example:
        >>> import torch
        >>> from hooksim.results import SimilarityMatrix
        >>> m = SimilarityMatrix("cka", torch.eye(1), torch.eye(1), "a", "b", Meaning("CKA", "max"))
        >>> keyed = Keyed({"cka": m}, "result")
        >>> list(keyed), len(keyed), "cka" in keyed, keyed["cka"] is m
        (['cka'], 1, True, True)
    """

    def __init__(self, matrices: Mapping[str, Held], noun: str) -> None:
        self._matrices = dict(matrices)
        self._noun = noun

    def __getitem__(self, key: str) -> Held:
        if key not in self._matrices:
            keys = ", ".join(map(repr, self._matrices)) or "none"
            raise UnknownKeyError(f"the {self._noun} has no matrix {key!r}. It has: {keys}.")
        return self._matrices[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._matrices)

    def __len__(self) -> int:
        return len(self._matrices)

    def __contains__(self, key: object) -> bool:
        return key in self._matrices

    def keys(self) -> list[str]:
        """List the names of the matrices.

        Returns:
            What stands in the brackets of `result[key]`, in the order of the measures.
        """
        return list(self._matrices)

    def directed(self) -> list[str]:
        """List the measures that have two directions.

        Returns:
            Stems, such as `"information_imbalance"`, of which both `..._a_to_b` and `..._b_to_a`
            are there.
        """
        return directed_stems(self._matrices)
