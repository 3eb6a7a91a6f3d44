"""Cuts the rows that come batch by batch into blocks; owns those that are not in one yet."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from hooksim.blocks.block import Block, Origin
from hooksim.blocks.grams import LayerGram, layer_gram
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.pieces import GRAM_BUDGET, Piece, block_of, gather
from hooksim.errors import ConfigError, Note, NotEnoughSamplesError

__all__ = ["BlockSize", "Blocker", "SideRows", "automatic_size", "block_sizes"]

BlockSize = int | Literal["batch", "auto"]

AUTO_SIZES = (2048, 1024, 512, 256)
EXACT_IN_BATCHES = (
    "exact=True needs rows, and blocks of batches keep none. Give an integer block_size, or use "
    "exact=False."
)
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


def block_sizes(n: int, size: int, minimum: int = 1) -> list[int]:
    """Cut rows into blocks; what remains makes one block, or two of nearly equal size.

    Args:
        n: Rows in all.
        size: Rows to a block.
        minimum: The fewest rows that a block may have.

    Returns:
        The blocks' sizes in order.

    Example:
        >>> block_sizes(450, 2048), block_sizes(1797, 512)
        ([450], [512, 512, 387, 386])
    """
    full = max(n // size - 1, 0)
    left = n - full * size
    if left < max(1.5 * size, 2 * minimum):
        return [size] * full + [left]
    return [size] * full + [left - left // 2, left // 2]


class Blocker:
    """Takes the rows of all sides batch by batch and hands out blocks.

    A block leaves when two block sizes of rows are held, so that the last ones can be of nearly
    equal size whatever remains: small blocks beside large ones cost much precision.

    Args:
        size: Rows to a block, `"batch"` for one block a batch, `"auto"` for what fits.
        dtype: Of the Gram matrices.
        minimum: The fewest rows that a block may have.
        needs: What needs that many, for the error.
        with_rows: Whether blocks keep the rows beside their Gram matrices; blocks of batches
            cannot.
        gram_budget: Bytes for the Gram matrices of one block, all layers together. A block above
            it keeps its rows, as they are, and makes the matrices when they are asked for, many
            rows at a time.
    """

    def __init__(
        self,
        size: BlockSize,
        dtype: torch.dtype,
        minimum: int,
        needs: str,
        *,
        with_rows: bool = False,
        gram_budget: int = GRAM_BUDGET,
    ) -> None:
        if size == "batch" and with_rows:
            raise ConfigError(EXACT_IN_BATCHES)
        self.size = size
        self.notes: list[Note] = []
        self._dtype = dtype
        self._minimum = minimum
        self._needs = needs
        self._with_rows = with_rows
        self._gram_budget = gram_budget
        self._memory = KernelMemory()
        self._held: list[Piece] = []
        self._batches = 0
        self._joins = False
        self._layers = 1  # distinct layers of all sides; known after the first batch
        self._row_bytes = 0  # of one sample, the layers of the first batch so far

    @property
    def held(self) -> int:
        """Number of rows that are not in a block yet."""
        return sum(piece.origin.n for piece in self._held)

    def reducer(self, joins_next: bool) -> Callable[[Tensor, Tensor | None], Any] | None:
        """What the hooks shall make of the rows of the coming batch.

        Args:
            joins_next: Whether the one after it is the last, and too small for a block of its own.

        Returns:
            None to keep rows, for blocks that span batches and for a last batch too small for a
            block of its own, with the one before it; else what makes their Gram matrix at once.
        """
        self._joins = self._joins or joins_next
        if self._joins or isinstance(self.size, int):
            return None
        return self._reduce if self.size == "batch" else self._reduce_unsettled

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
        if not self._batches:
            piece = self._settle(piece)
        self._batches += 1
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
        if self.size in ("batch", "auto"):
            sizes = [left] if left or not self._batches else []
        else:
            sizes = block_sizes(left, int(self.size), self._minimum)
        for size in sizes:
            yield self._cut(size)

    def _reduce(self, rows: Tensor, groups: Tensor | None) -> LayerGram:
        """Make a layer's Gram matrix in the hook, unless all layers' together would not fit."""
        n = len(rows)
        fits = self._layers * n * n * self._dtype.itemsize <= self._gram_budget
        if not fits:
            rows = _own(rows)
        return layer_gram(rows, groups, dtype=self._dtype, with_kernel=fits)

    def _reduce_unsettled(self, rows: Tensor, groups: Tensor | None) -> Tensor | LayerGram:
        """Keep rows while they might fit a block; wide ones are not held for a whole batch."""
        self._row_bytes += rows.shape[1] * rows.itemsize
        if self._with_rows or AUTO_SIZES[-1] * self._row_bytes <= ROW_BUDGET:
            return _own(rows)
        return self._reduce(rows, groups)

    def _settle(self, piece: Piece) -> Piece:
        """Settle the automatic size by the first batch, and what blocks of batches make of it."""
        distinct = {id(value): value for side in piece.values for value in side}
        self._layers = len(distinct)
        if self.size == "auto":
            rows = [value for value in distinct.values() if isinstance(value, Tensor)]
            widths = sum(each.shape[1] * each.itemsize for each in rows)
            self.size = automatic_size(max(widths, self._row_bytes))
            self._check_automatic(piece.origin.n)
        if self.size != "batch" or self._joins:
            return piece
        made = {
            key: self._reduce(value, piece.groups) if isinstance(value, Tensor) else value
            for key, value in distinct.items()
        }
        return piece._replace(values=[[made[id(value)] for value in side] for side in piece.values])

    def _check_automatic(self, n: int) -> None:
        """Say what the automatic size is, where that is no usual block."""
        if self.size == "batch" and self._with_rows:
            raise ConfigError(EXACT_IN_BATCHES)
        if self.size == "batch":
            text = (
                "the rows of one sample are so wide that every batch is a block of its own "
                f"(n = {n}); larger batches make finer estimates"
            )
            self.notes.append(Note("batch_blocks", text))
        elif int(self.size) < self._minimum:
            raise ConfigError(
                f"block_size='auto' makes blocks of {self.size} here; {self._needs} needs at least "
                f"{self._minimum}. Give block_size={self._minimum} or more."
            )

    def _cut(self, n: int) -> Block:
        """Make a block of the first `n` rows held."""
        if n < self._minimum:
            self._refuse(n)
        rows = gather(self._take(n))
        return block_of(
            rows,
            self._dtype,
            self._memory,
            with_rows=self._with_rows,
            gram_budget=self._gram_budget,
        )

    def _take(self, n: int) -> list[Piece]:
        """The first `n` rows held, which are no longer."""
        taken: list[Piece] = []
        missing = n
        while missing:
            piece = self._held.pop(0)
            if piece.origin.n > missing:
                piece, rest = piece.split(missing)
                self._held.insert(0, rest)
            taken.append(piece)
            missing -= piece.origin.n
        return taken

    def _refuse(self, n: int) -> None:
        """Say that a block of n rows is too small, and what to do."""
        where, advice = "the data", "Use more samples."
        if not self._batches:
            advice = "The loader gave no batches; a generator can be read only once."
        if self.size == "batch" and self._held:
            where = f"batch {self._held[0].origin.batch}"
            advice = "Use more samples, larger batches or an integer block_size."
        raise NotEnoughSamplesError(
            f"{where} has {n} rows; {self._needs} needs at least {self._minimum} in a block. "
            + advice
        )


def _own(rows: Tensor) -> Tensor:
    """Rows that may be memory of a model, in memory of their own."""
    return rows.clone(memory_format=torch.contiguous_format)
