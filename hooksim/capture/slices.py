"""What one side gives for one batch: the value of every layer, and what its rows stand for."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

__all__ = ["BatchPosition", "Reduce", "Slice"]

Reduce: TypeAlias = Callable[[Tensor, Tensor | None], Any]
"""`(rows (n, d), groups (n,) or None) -> anything`, called inside the forward hook.

The rows may share memory with the activation: what is kept of them must be computed or copied.
"""


class BatchPosition(NamedTuple):
    """Where a batch stands in the data.

    Attributes:
        number: Number of the batch, from 0.
        first_sample: Number of the batch's first loader item, from 0.
    """

    number: int
    first_sample: int

    def __str__(self) -> str:
        return f"batch {self.number} (first sample {self.first_sample})"


class Slice(NamedTuple):
    """The layers of one view of one model for one batch.

    Attributes:
        values: One a layer, in the order of the view's names: `(n, d)` rows, or what `reduce`
            made of them. Two layers that gave the very same tensor hold the very same object.
        n: Number of rows.
        items: Number of loader items; differs from `n` for token rows only.
        groups: For token rows the item of each row, `(n,)` int64 on the rows' device, counted
            from 0 in this batch and non-decreasing; else None.
        ids: Sample ids where the data has them.
        lengths: For token rows the number of tokens of each loader item; else None.
        inputs: A fingerprint of each loader item's input, where asked for and where there is one.
    """

    values: list[Any]
    n: int
    items: int
    groups: Tensor | None = None
    ids: list[str] | None = None
    lengths: tuple[int, ...] | None = None
    inputs: list[str] | None = None
