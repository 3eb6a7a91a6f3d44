"""Cuts the rows that come batch by batch into blocks; owns those that are not in one yet."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from hooksim.blocks.block import Block, Origin
from hooksim.blocks.grams import LayerGram, layer_gram, wide_layer_gram
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.pieces import GRAM_BUDGET, Piece, block_of, gather
from hooksim.blocks.sizes import AUTO_SIZES, ROW_BUDGET, BlockSize, automatic_size, block_sizes
from hooksim.blocks.tail import Tail, tensor_text, text_tensor
from hooksim.errors import ConfigError, Note, NotEnoughSamplesError, ShapeError

__all__ = ["Blocker", "SideRows"]

EXACT_IN_BATCHES = (
    "exact=True needs rows, and blocks of batches keep none. Give an integer block_size, or use "
    "exact=False."
)
_STATE = "blocker"  # what is no tensor


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


class Blocker:
    """Takes the rows of all sides batch by batch and hands out blocks.

    A block leaves when two block sizes of rows are held, so that the last ones can be of nearly
    equal size whatever remains: small blocks beside large ones cost much precision.

    State:
        The tail, which are the rows held, a piece for each batch: fewer than two blocks. What the
        first batch settled, which is the size of a block where it was to be found out, and the
        number of layers.

    Attributes:
        size: Rows to a block, once it is settled.
        dtype: Of the Gram matrices, unless rows are wider.
        settles: Whether a block that is not exact does for float64.
        notes: What to warn of.

    Args:
        size: Rows to a block, `"batch"` for one block a batch, `"auto"` for what fits.
        dtype: Of the Gram matrices.
        minimum: The fewest rows that a block may have.
        needs: What needs that many, for the error.
        with_rows: Whether blocks keep the rows beside their Gram matrices; blocks of batches
            cannot.
        settles: As the attribute.
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
        settles: bool = False,
        gram_budget: int = GRAM_BUDGET,
    ) -> None:
        if size == "batch" and with_rows:
            raise ConfigError(EXACT_IN_BATCHES)
        self.size = size
        self.notes: list[Note] = []
        self._asked = size
        self.dtype = dtype
        self._minimum = minimum
        self._needs = needs
        self._with_rows = with_rows
        self.settles = settles
        self._gram_budget = gram_budget
        self._memory = KernelMemory()
        self._tail = Tail()
        self._batches = 0
        self._settled = False
        self._joins = False
        self._layers = 1  # distinct layers of all sides; known after the first batch
        self._row_bytes = 0  # of one sample, the layers of the first batch so far

    @property
    def held(self) -> int:
        """Number of rows that are not in a block yet."""
        return self._tail.n

    @property
    def held_bytes(self) -> int:
        """Memory of the rows that are not in a block yet."""
        pieces = self._tail.pieces
        parts = {id(part): part for piece in pieces for side in piece.values for part in side}
        return sum(part.nbytes for part in parts.values() if isinstance(part, Tensor))

    def gram_bytes(self, n: int) -> int:
        """Memory of the Gram matrices of a block.

        Args:
            n: Its rows.
        """
        whole = self._layers * n * n * self.dtype.itemsize
        return min(whole, self._gram_budget)

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

    def push(self, sides: Sequence[SideRows], batch: int | None = None) -> Iterator[Block]:
        """Take one batch of all sides and hand out the blocks that are full.

        A block is valid until the next one is asked for.

        Args:
            sides: What each side gave.
            batch: Its number in the data; None where every batch is pushed.

        Raises:
            NotEnoughSamplesError: With `"batch"`, for one that is too small and not the last.
        """
        piece = _piece(sides, self._batches if batch is None else batch)
        if not self._settled:
            piece = self._settle(piece)
        self._batches += 1
        yield from self.take(piece)

    def settle(self, sides: Sequence[SideRows]) -> None:
        """Look at the first batch as `push` does, where its rows are for somebody else.

        Args:
            sides: What each side gave.
        """
        if not self._settled:
            self._settle(_piece(sides, 0))

    def take(self, piece: Piece) -> Iterator[Block]:
        """Take rows that waited elsewhere, and hand out the blocks that are full.

        Args:
            piece: Of a batch that comes after those that are held.
        """
        self._tail.add(piece)
        if self.size == "batch":
            if not self._joins:
                yield self._cut(piece.origin.n)
            return
        while self.held >= 2 * int(self.size):
            yield self._cut(int(self.size))

    def release(self) -> list[Piece]:
        """Give up the tail, piece by piece in order."""
        return self._tail.release()

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

    def refuse_few(self, n: int, batches: int) -> None:
        """Refuse a block of too few rows that are kept elsewhere.

        Args:
            n: How many there are in all.
            batches: Of how many batches.

        Raises:
            NotEnoughSamplesError: They are too few.
        """
        self._batches = batches
        if n < self._minimum:
            self._refuse(n)

    def merge(self, other: "Blocker") -> Self:
        """Join the tail of another blocker, which stays as it is, in the order of the data.

        No block leaves before the next batch comes, or `close`. Rows are shared: nobody writes to
        them.

        Args:
            other: One that saw other batches of the same data.

        Returns:
            Itself.

        Raises:
            ConfigError: It makes other blocks.
            ShapeError: It has seen other layers.
        """
        self._check_same(other._settings(), "merge")
        if other._settled:
            self._adopt(other._found(), "merge")
        self._batches += other._batches
        self._joins = self._joins or other._joins
        self._tail.join(other._tail)
        self.notes = list(dict.fromkeys([*self.notes, *other.notes]))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """The tail, and in bytes of JSON what is no tensor; copies on the CPU, to be saved.

        Whole between two batches: not while the blocks of one are handed out.
        """
        kept = {
            "settings": self._settings(),
            "found": self._found() if self._settled else None,
            "batches": self._batches,
            "joins": self._joins,
            "notes": self.notes,
        }
        return {_STATE: text_tensor(json.dumps(kept)), **self._tail.state_dict()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Take over the tail of `state_dict()`.

        Args:
            state: What it gave; copied.

        Returns:
            Itself.

        Raises:
            ConfigError: It is of a blocker that makes other blocks, or some of it is missing.
        """
        try:
            kept = json.loads(tensor_text(state[_STATE]))
            tail = Tail().load_state_dict(state)
        except KeyError as error:
            raise ConfigError(f"state: expected an entry {error}, which is missing.") from error
        self._check_same(kept["settings"], "state")
        self._settled, self.size = False, self._asked
        if kept["found"] is not None:
            self._adopt(kept["found"], "state")
        self._batches, self._joins, self._tail = kept["batches"], kept["joins"], tail
        self.notes = [Note(*note) for note in kept["notes"]]
        return self

    def _settings(self) -> dict[str, Any]:
        """What two blockers must have in common; plain data."""
        return {
            "block_size": self._asked,
            "dtype": str(self.dtype).removeprefix("torch."),
            "minimum": self._minimum,
            "with_rows": self._with_rows,
            "settles": self.settles,
            "gram_budget": self._gram_budget,
        }

    def _check_same(self, other: Mapping[str, Any], what: str) -> None:
        own = self._settings()
        differing = [name for name in own if other.get(name) != own[name]]
        if differing:
            expected, got = (
                ", ".join(f"{name}={each.get(name)!r}" for name in differing)
                for each in (own, other)
            )
            raise ConfigError(f"{what}: expected blocks of {expected}, got {got}.")

    def _found(self) -> list[Any]:
        """What the first batch settled; plain data."""
        return [self.size, self._layers, self._row_bytes]

    def _adopt(self, found: list[Any], what: str) -> None:
        """Take over what the first batch of another blocker settled."""
        if self._settled and self._found() != found:
            raise ShapeError(
                f"{what}: expected blocks of {self.size} of {self._layers} layers, got {found[0]} "
                f"of {found[1]}. Every batch must have the same layers."
            )
        self.size, self._layers, self._row_bytes = found
        self._settled = True

    def _reduce(self, rows: Tensor, groups: Tensor | None) -> LayerGram:
        """Make a layer's Gram matrix in the hook, unless all layers' together would not fit."""
        n = len(rows)
        fits = self._layers * n * n * self.dtype.itemsize <= self._gram_budget
        if fits:
            return wide_layer_gram(rows, groups, dtype=self.dtype, memory=self._memory)
        return layer_gram(_own(rows), groups, dtype=self.dtype, with_kernel=False)

    def _reduce_unsettled(self, rows: Tensor, groups: Tensor | None) -> Tensor | LayerGram:
        """Keep rows while they might fit a block; wide ones are not held for a whole batch."""
        self._row_bytes += rows.shape[1] * rows.itemsize
        if self._with_rows or AUTO_SIZES[-1] * self._row_bytes <= ROW_BUDGET:
            return _own(rows)
        return self._reduce(rows, groups)

    def _settle(self, piece: Piece) -> Piece:
        """Settle the automatic size by the first batch, and what blocks of batches make of it."""
        self._settled = True
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
        rows = gather(self._tail.take(n))
        return block_of(
            rows,
            self.dtype,
            self._memory,
            with_rows=self._with_rows,
            settles=self.settles,
            gram_budget=self._gram_budget,
        )

    def _refuse(self, n: int) -> None:
        """Say that a block of n rows is too small, and what to do."""
        where, advice = "the data", "Use more samples."
        if not self._batches:
            advice = "The loader gave no batches; a generator can be read only once."
        if self.size == "batch" and self._tail.pieces:
            where = f"batch {self._tail.pieces[0].origin.batch}"
            advice = "Use more samples, larger batches or an integer block_size."
        raise NotEnoughSamplesError(
            f"{where} has {n} rows; {self._needs} needs at least {self._minimum} in a block. "
            + advice
        )


def _piece(sides: Sequence[SideRows], batch: int) -> Piece:
    """All rows of one batch."""
    values = [list(side.values) for side in sides]
    return Piece(values, sides[0].groups, sides[0].items, Origin(batch, 0, sides[0].n))


def _own(rows: Tensor) -> Tensor:
    """Rows that may be memory of a model, in memory of their own."""
    return rows.clone(memory_format=torch.contiguous_format)
