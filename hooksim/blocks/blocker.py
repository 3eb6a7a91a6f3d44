"""Cuts the rows that come batch by batch into blocks; owns those that are not in one yet."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from hooksim.blocks.block import Block, Origin
from hooksim.blocks.grams import LayerGram, layer_gram
from hooksim.blocks.pieces import KernelMemory, Piece, block_of
from hooksim.errors import Note, NotEnoughSamplesError

__all__ = ["AUTO_SIZES", "BlockSize", "Blocker", "SideRows", "automatic_size"]

BlockSize = int | Literal["batch", "auto"]

AUTO_SIZES = (2048, 1024, 512, 256)
ROW_BUDGET = 2 << 30  # bytes for the rows of one block, all sides together


class SideRows(Protocol):
    """What one side gives for one batch."""

    @property
    def values(self) -> Sequence[Any]:
        """One a layer: rows `(n, d)` or, where the hook reduced them, a `LayerGram`."""

    @property
    def n(self) -> int:
        """Number of rows."""

    @property
    def items(self) -> int:
        """Number of samples; fewer than rows where these are tokens."""

    @property
    def groups(self) -> Tensor | None:
        """`(n,)` int64, the sequence of each row where rows are tokens."""


def automatic_size(row_bytes: int) -> BlockSize:
    """The largest usual block whose rows fit the budget, else one block a batch.

    Args:
        row_bytes: Bytes that one sample's rows take, all layers of all sides together.

    Example:
        >>> automatic_size(26 * 768 * 4), automatic_size(50 << 20)
        (2048, 'batch')
    """
    for size in AUTO_SIZES:
        if size * row_bytes <= ROW_BUDGET:
            return size
    return "batch"


class Blocker:
    """Takes the rows of all sides batch by batch and hands out blocks.

    A block leaves when two block sizes of rows are held, so that the last ones can be of nearly
    equal size whatever remains: small blocks beside large ones cost much precision.

    Args:
        size: Rows to a block, `"batch"` for one block a batch, `"auto"` for what fits.
        dtype: Of the Gram matrices.
        minimum: The fewest rows that a block may have.
        needs: What needs that many, for the error.
    """

    def __init__(self, size: BlockSize, dtype: torch.dtype, minimum: int, needs: str) -> None:
        self.size = size
        self.notes: list[Note] = []
        self._dtype = dtype
        self._minimum = minimum
        self._needs = needs
        self._memory = KernelMemory()
        self._held: list[Piece] = []
        self._batches = 0
        self._joins = False

    @property
    def held(self) -> int:
        """Number of rows that are not in a block yet."""
        return sum(piece.origin.n for piece in self._held)

    def reducer(
        self, size: int, following: int | None, following_is_last: bool
    ) -> Callable[[Tensor, Tensor | None], LayerGram] | None:
        """What the hooks shall make of the rows of the coming batch.

        Args:
            size: Samples of the batch.
            following: Samples of the one after it; None where there is none.
            following_is_last: Whether that one is the last.

        Returns:
            None to keep rows, for blocks that span batches and for a last batch too small for a
            block of its own, with the one before it; else what makes their Gram matrix at once.
        """
        small = following is not None and (2 * following < size or following < self._minimum)
        self._joins = self._joins or (small and following_is_last)
        if self.size != "batch" or self._joins:
            return None
        return partial(layer_gram, dtype=self._dtype)

    def push(self, sides: Sequence[SideRows]) -> Iterator[Block]:
        """Take one batch of all sides and hand out the blocks that are full.

        A block is valid until the next one is asked for.

        Raises:
            NotEnoughSamplesError: With `"batch"`, for one that is too small and not the last.
        """
        piece = Piece(
            [list(side.values) for side in sides],
            sides[0].groups,
            sides[0].items,
            Origin(self._batches, 0, sides[0].n),
        )
        self._batches += 1
        if self.size == "auto":
            self._choose(piece)
        self._held.append(piece)
        if self.size == "batch":
            if not self._joins:
                yield self._cut(piece.origin.n)
            return
        while self.held >= 2 * int(self.size):
            yield self._cut(int(self.size))

    def close(self) -> Iterator[Block]:
        """Hand out what is left, as one block or two of nearly equal size.

        Raises:
            NotEnoughSamplesError: There were too few rows in all.
        """
        left = self.held
        if self.size in ("batch", "auto") or left < max(1.5 * int(self.size), 2 * self._minimum):
            if left or not self._batches:
                yield self._cut(left)
            return
        yield self._cut(left - left // 2)
        yield self._cut(left // 2)

    def _choose(self, piece: Piece) -> None:
        """Settle the automatic size by the first batch's row widths."""
        distinct = {id(rows): rows for side in piece.values for rows in side}
        row_bytes = sum(rows.shape[1] * rows.itemsize for rows in distinct.values())
        self.size = automatic_size(row_bytes)
        if self.size == "batch":
            text = (
                f"the rows of one sample take {row_bytes:,} bytes, so every batch is a block of "
                f"its own (n = {piece.origin.n}); larger batches make finer estimates"
            )
            self.notes.append(Note("batch_blocks", text))

    def _cut(self, n: int) -> Block:
        """Make a block of the first `n` rows held."""
        if n < self._minimum:
            self._refuse(n)
        taken: list[Piece] = []
        missing = n
        while missing:
            piece = self._held.pop(0)
            if piece.origin.n > missing:
                piece, rest = piece.split(missing)
                self._held.insert(0, rest)
            taken.append(piece)
            missing -= piece.origin.n
        return block_of(taken, self._dtype, self._memory)

    def _refuse(self, n: int) -> None:
        """Say that a block of n rows is too small, and what to do."""
        where, advice = "the data", "Use more samples."
        if self.size == "batch" and self._held:
            where = f"batch {self._held[0].origin.batch}"
            advice = "Use more samples, larger batches or an integer block_size."
        raise NotEnoughSamplesError(
            f"{where} has {n} rows; {self._needs} needs at least {self._minimum} in a block. "
            + advice
        )
