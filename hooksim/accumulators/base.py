"""The contract of all accumulators, and the one way a block gets into them."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.merging import combined
from hooksim.blocks.block import Block, Origin, read_counts
from hooksim.blocks.pieces import Piece, block_of
from hooksim.blocks.strip import Strip
from hooksim.blocks.tail import tensor_text, text_tensor
from hooksim.errors import ConfigError, NonFiniteError, Note, NotEnoughSamplesError, ShapeError
from hooksim.functional.inputs import check_pair
from hooksim.functional.precision import full_precision

__all__ = [
    "Accumulator",
    "BlockSums",
    "Estimate",
    "SideNames",
    "SidePair",
    "accumulate",
]


_OPTIONS = "options"  # what the sums were taken with


class Estimate(NamedTuple):
    """Values and their standard errors, each `(layers of A, layers of B)` float64.

    NaN marks what is undefined or was not asked for.
    """

    values: Tensor
    stderr: Tensor


class SidePair(NamedTuple):
    """Two sides to compare, by position.

    Attributes:
        a: The side whose layers go down the matrix.
        b: The side whose layers go across; the same as `a` for a model with itself.
        aligned: Compare only layers at the same position: the diagonal.
    """

    a: int
    b: int
    aligned: bool = False

    def matrix(self, cells: Tensor) -> Tensor:
        """Cells as a matrix: aligned ones on the diagonal, NaN elsewhere."""
        if not self.aligned:
            return cells
        size = len(cells)
        return cells.new_full((size, size), float("nan")).diagonal_scatter(cells)


class SideNames(NamedTuple):
    """What messages call a side and its layers.

    Attributes:
        title: Such as `model A`.
        layers: Names in axis order.
    """

    title: str
    layers: Sequence[str]

    def describe(self, layer: int) -> str:
        """A layer in a sentence."""
        return f"layer {self.layers[layer]!r} of {self.title}"


class BlockSums(ABC):
    """What one accumulator takes of one block; nothing reaches the accumulator before `end`."""

    @abstractmethod
    def strip(self, strip: Strip) -> Any:
        """Look at a strip of the block, of which each is shown once.

        On the CPU several are looked at side by side. So no sums are changed here, unless they
        belong to the rows of the strip alone.

        Returns:
            What `add` wants to know; the strip is valid until then.
        """

    def add(self, found: Any) -> None:  # noqa: B027 - who takes nothing of strips has no sums
        """Add what was found in a strip; called in the order of the strips.

        Args:
            found: What `strip` returned.
        """

    def counts(self) -> Tensor | None:
        """Integers that `end` wants to know on the host, `(m,)`; None by default."""
        return None

    @abstractmethod
    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state.

        Args:
            counts: What `counts` gave, as numbers.
        """


class Accumulator(ABC):
    """Running sums over blocks, for a list of pairs of sides.

    Merging is associative, and an accumulator without samples is its identity. `merge` never
    changes the other one and shares no memory with it.

    State:
        A TensorDict of float64 sums over samples; empty before the first block. Its size grows
        with the layers and the pairs, not with the samples.

    Args:
        pairs: Pairs of sides to compare.
    """

    gram_dtype: torch.dtype = torch.float32
    """The least precise Gram matrix that the sums may be taken of."""

    needs_rows: ClassVar[bool] = False
    """Whether the rows themselves are wanted, beside their Gram matrices."""

    settles: ClassVar[bool] = False
    """Whether float32 Gram matrices do all the same, in a block that is not exact."""

    def __init__(self, pairs: Sequence[SidePair] = (SidePair(0, 1),)) -> None:
        self.pairs = tuple(SidePair(*pair) for pair in pairs)
        self.sides = sorted({side for pair in self.pairs for side in pair[:2]})
        self._state = TensorDict()

    @property
    @abstractmethod
    def minimum(self) -> int:
        """The fewest samples that a block may have."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """What two accumulators must have in common to be merged; plain data."""

    @abstractmethod
    def begin(self, block: Block) -> BlockSums:
        """What takes the strips of a block for this accumulator."""

    @abstractmethod
    def compute(self, pair: int = 0) -> Any:
        """The estimates for one of the pairs, as they stand; may be called at any time."""

    def notes(self, names: Sequence[SideNames]) -> list[Note]:
        """What a user should know about the samples seen so far.

        Args:
            names: Of every side.
        """
        return []

    def update(self, rows_a: Sequence[Tensor], rows_b: Sequence[Tensor]) -> Self:
        """Add one block of samples.

        Args:
            rows_a: For each layer of A its rows `(n, d)`.
            rows_b: For each layer of B its rows `(n, d)`, the same samples.

        Returns:
            Itself.

        Raises:
            ShapeError: The layers do not have the same number of rows, or not as many layers as
                before.
            NotEnoughSamplesError: Fewer samples than the measure needs.
            NonFiniteError: A row holds NaN or infinity.
            ConfigError: Complex numbers, two devices, or pairs of more than two sides.
        """
        sides = [list(rows_a), list(rows_b)]
        _check_rows(sides, self.pairs, self.minimum)
        n = sides[0][0].shape[0]
        piece = Piece(sides, None, n, Origin(0, 0, n))
        names = [
            SideNames(f"rows_{label}", [str(index) for index in range(len(side))])
            for label, side in zip("ab", sides, strict=True)
        ]
        block = block_of([piece], self.gram_dtype, with_rows=self.needs_rows, settles=self.settles)
        accumulate([self], block, names)
        return self

    def merge(self, other: Self) -> Self:
        """Add the samples of another accumulator; it stays as it is.

        Returns:
            Itself.

        Raises:
            ConfigError: The other one has other options or pairs.
            ShapeError: The other one has seen other layers.
        """
        if not self.matches(other):
            got = repr(other)
            if isinstance(other, Accumulator):
                got = f"{type(other).__name__} {other._settings()}"
            raise ConfigError(
                f"merge: expected {type(self).__name__} {self._settings()}, got {got}."
            )
        self._add(other._state)
        return self

    def matches(self, other: object) -> bool:
        """Whether another accumulator takes the very same sums, so that one is enough for both.

        Args:
            other: Anything.
        """
        return type(other) is type(self) and other._settings() == self._settings()

    def reset(self) -> Self:
        """Forget all samples.

        Returns:
            Itself.
        """
        self._state = TensorDict()
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """The sums, by dotted name, and the options as the bytes of JSON; copies, to be saved."""
        state = self._state.flatten_keys(".")
        settings = {_OPTIONS: text_tensor(self._settings())}
        return settings | {str(key): value.clone() for key, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Take over the sums of `state_dict()`.

        Returns:
            Itself.

        Raises:
            ConfigError: They were taken with other options or pairs, or some are missing.
        """
        given = tensor_text(state[_OPTIONS]) if _OPTIONS in state else "none"
        if given != self._settings():
            raise ConfigError(f"state: expected options {self._settings()}, got {given}.")
        sums = {key: value.clone() for key, value in state.items() if key != _OPTIONS}
        before, self._state = self._state, TensorDict(sums).unflatten_keys(".")
        try:
            for pair in range(len(self.pairs) if sums else 0):
                self.compute(pair)
        except (KeyError, RuntimeError) as error:
            self._state = before
            raise ConfigError(f"state: the sums do not fit each other ({error}).") from error
        return self

    def _settings(self) -> str:
        """Options and pairs as JSON."""
        return json.dumps(self.options() | {"pairs": self.pairs}, sort_keys=True)

    def _add(self, state: TensorDict) -> None:
        """Add sums to the state without keeping hold of them."""
        self._state = self._state if state.is_empty() else combined(self._state, state)

    def _check_begun(self) -> None:
        if self._state.is_empty():
            raise NotEnoughSamplesError(
                f"{type(self).__name__}: no samples yet, nothing to compute."
            )


def _check_rows(sides: Sequence[Sequence[Tensor]], pairs: Sequence[SidePair], minimum: int) -> None:
    """Refuse layers of other sample counts, no layers, too few samples, or sides not given."""
    if not all(sides):
        raise ShapeError("rows: expected at least one layer on each side, got none.")
    if any(side not in (0, 1) for pair in pairs for side in pair[:2]):
        raise ConfigError(f"update: expected pairs of sides 0 and 1, got {list(pairs)}.")
    if any(pair.aligned for pair in pairs) and len(sides[0]) != len(sides[1]):
        raise ShapeError(
            f"aligned pairs: {len(sides[0])} layers of rows_a, {len(sides[1])} of rows_b. "
            "Give the same layers on both sides, in the same order."
        )
    for label, side in zip("ab", sides, strict=True):
        for index, rows in enumerate(side):
            if rows.ndim != 2:
                raise ShapeError(
                    f"rows_{label}[{index}]: expected (n, d), got {tuple(rows.shape)}."
                )
            check_pair(sides[0][0], rows, "rows_a[0]", f"rows_{label}[{index}]")
    n = sides[0][0].shape[0]
    if n < minimum:
        raise NotEnoughSamplesError(f"rows: expected at least {minimum} samples, got {n}.")


@torch.no_grad()
@full_precision()
def accumulate(
    accumulators: Sequence[Accumulator],
    block: Block,
    names: Sequence[SideNames],
    on_rows: Callable[[int, int], None] | None = None,
) -> None:
    """Take one block into accumulators: begin, every strip, one look at the counts, end.

    Args:
        accumulators: All see the same strips, each of which is made once.
        block: The block; its strips may be made a second time for layers with ties.
        names: Of every side, for the error.
        on_rows: Called after each strip with the rows taken and those of the block.

    Raises:
        NonFiniteError: A row holds NaN or infinity; the accumulators are as before.
    """
    sums = [accumulator.begin(block) for accumulator in accumulators]
    _show_strips(block, sums, on_rows)
    wanted = [each.counts() for each in sums]
    bad, *found = read_counts([block.non_finite(), *(each for each in wanted if each is not None)])
    if any(bad):
        _refuse_non_finite(block, bad, names)
    numbers = iter(found)
    for accumulator, each, asked in zip(accumulators, sums, wanted, strict=True):
        accumulator._add(each.end([] if asked is None else next(numbers)))


def _show_strips(
    block: Block, sums: Sequence[BlockSums], on_rows: Callable[[int, int], None] | None
) -> None:
    """Walk over the strips; none is held any longer afterwards, when others may be made."""

    def look(strip: Strip) -> tuple[int, list[Any]]:
        return strip.stop, [each.strip(strip) for each in sums]

    def take(found: tuple[int, list[Any]]) -> None:
        stop, parts = found
        for each, part in zip(sums, parts, strict=True):
            each.add(part)
        if on_rows is not None:
            on_rows(stop, block.n)

    block.walk(look, take)


def _refuse_non_finite(block: Block, bad: Sequence[int], names: Sequence[SideNames]) -> None:
    """Name the first layer with NaN or infinity, and where it has the first one."""
    stored = next(index for index, count in enumerate(bad) if count)
    side = next(index for index, layers in enumerate(block.sides) if stored in layers)
    layer = names[side].describe(block.stored(side).index(stored))
    row = int((~block.grams[stored].finite).nonzero()[0])
    batch, position = block.origin(row)
    raise NonFiniteError(
        f"{layer}: {bad[stored]} of {block.n} rows hold NaN or infinity, the first of them row "
        f"{position} of batch {batch}. Leave those samples out, or run the model in a wider dtype.",
        at=(batch, position),
    )
