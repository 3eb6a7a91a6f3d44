"""Sums over each layer's own rows: how many dimensions, how spread, how many of them equal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import Accumulator, BlockSums, SideNames, SidePair
from hooksim.blocks.block import Block
from hooksim.blocks.strip import Strip
from hooksim.errors import Note

__all__ = ["RowAccumulator", "RowFacts"]

_REPEATED_SHARE = 0.05  # of samples, from which values mislead


class RowFacts(NamedTuple):
    """What is known of the rows of some layers, each `(layers,)` float64 on the CPU.

    Attributes:
        widths: Dimensions.
        directions: The participation ratio, how many directions of equal variance would vary as
            much: `tr(C)^2 / tr(C^2)` of the covariance C within blocks, 1 to d. What few rows show
            too little of is made up for as is right for normal rows. NaN where nothing varies, or
            in blocks of fewer than 3 rows.
        duplicates: Share of rows that equal another one of their block, number by number: 0 where
            all differ, as nearly all data should; 1 for a constant layer.
    """

    widths: Tensor
    directions: Tensor
    duplicates: Tensor


class RowAccumulator(Accumulator):
    """Width, directions and duplicates of each layer's rows.

    State:
        n: `()` rows. sides.S.{width, trace, trace_of_square, twins}: `(layers of S,)` float64:
        dimensions, n times the traces of the covariance and of its square, rows with an equal one.

    Args:
        pairs: Pairs of sides whose layers are looked at.

    Example:
        >>> rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.1]])
        >>> RowAccumulator().update([rows], [rows[:, :1]]).compute().duplicates
        tensor([0.5000, 0.7500], dtype=torch.float64)

    Source: Srivastava 2005, "Some tests concerning the covariance matrix in high dimensional data",
        for the trace of the squared covariance.
    """

    def __init__(self, *, pairs: Sequence[SidePair] = (SidePair(0, 1),)) -> None:
        super().__init__(pairs)

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""
        return 1

    @property
    def n(self) -> float:
        """Number of rows so far."""
        return 0.0 if self._state.is_empty() else float(self._state["n"])

    def options(self) -> dict[str, Any]:
        """What two accumulators must have in common to be merged."""
        return {}

    def begin(self, block: Block) -> "_RowSums":
        """What looks at the rows of a block for this accumulator."""
        return _RowSums(block, self.sides)

    def compute(self, pair: int = 0) -> RowFacts:
        """The facts of every layer of side A of a pair, then of side B.

        Args:
            pair: Position in `pairs`.

        Returns:
            `(layers of A + layers of B,)` each; those of A alone for a side with itself.

        Raises:
            NotEnoughSamplesError: Before the first block.
        """
        a, b, _ = self.pairs[pair]
        found = [self.of_side(side) for side in dict.fromkeys((a, b))]
        return RowFacts(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def notes(self, names: Sequence[SideNames]) -> list[Note]:
        """A warning of samples that were given more than once: every layer that varies shows it."""
        if self._state.is_empty():
            return []
        facts = [self.of_side(side) for side in self.sides]
        shares = torch.cat([each.duplicates[~each.directions.isnan()] for each in facts])
        if not len(shares) or shares.min() < _REPEATED_SHARE:
            return []
        text = (
            f"at least {shares.min():.0%} of the samples equal another one of their block in every "
            "layer. Samples that are given more than once are each other's neighbours in any "
            "model, which raises CKA and lowers the imbalance. Leave the copies out."
        )
        return [Note("repeated_rows", text)]

    def of_side(self, side: int) -> RowFacts:
        """The facts of every layer of one side.

        Args:
            side: Which side.

        Returns:
            `(layers,)` each.

        Raises:
            NotEnoughSamplesError: Before the first block.
        """
        self._check_begun()
        sums = self._state["sides", str(side)].cpu()
        squares = sums["trace_of_square"] / self.n
        directions = (sums["trace"] / self.n).square() / squares
        return RowFacts(
            sums["width"],
            torch.where(squares > 0, directions, float("nan")),
            sums["twins"] / self.n,
        )


class _RowSums(BlockSums):
    """The rows of one block."""

    def __init__(self, block: Block, sides: Sequence[int]) -> None:
        self._block = block
        self._sides = sides
        self._squares = torch.zeros_like(block.scale)  # of all entries, U-centred

    def strip(self, strip: Strip) -> Tensor:
        """The squares of the strip's entries, summed; of what is made for CKA in any case."""
        squares: Tensor = strip.u_norms.to(torch.float64).square().sum(-1)
        return squares

    def add(self, found: Tensor) -> None:
        """Add the squares of a strip's entries."""
        self._squares += found

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state."""
        block, n = self._block, self._block.n
        trace = block.scale.square() * (n / (n - 1) if n > 1 else float("nan"))
        stored = {
            "width": trace.new_tensor([len(layer.mean) for layer in block.grams]),
            "trace": n * trace,
            "trace_of_square": n * self._trace_of_square(trace),
            "twins": self._twins(),
        }
        sides = {
            str(side): {
                name: block.expand(side, block.of_side(side, values))
                for name, values in stored.items()
            }
            for side in self._sides
        }
        return TensorDict({"n": trace.new_full((), n), "sides": sides})

    def _trace_of_square(self, trace: Tensor) -> Tensor:
        """The trace of C^2, unbiased for normal rows: that of the sample itself is too large."""
        n = self._block.n
        if n < 3:
            return torch.full_like(trace, float("nan"))
        own = self._squares_of_kernel() * self._block.scale**4 / (n - 1) ** 2
        return (own - trace.square() / (n - 1)) * ((n - 1) ** 2 / ((n - 2) * (n + 1)))

    def _squares_of_kernel(self) -> Tensor:
        """Of all entries of each Gram matrix: what U-centring took out is known from the diagonal.

        What it leaves and what it takes out are orthogonal. Row sums without it are its opposite.
        """
        n, norms = self._block.n, self._block.norms.to(torch.float64)
        squares, total = norms.square().sum(-1), norms.sum(-1).square()
        taken = 2 * squares / (n - 2) - total / ((n - 1) * (n - 2))
        return self._squares + taken + squares

    def _twins(self) -> Tensor:
        """How many rows of each stored layer have an equal one, by their signatures."""
        signatures = torch.stack([layer.signature for layer in self._block.grams])
        equal = signatures.sort(-1).values.diff(dim=-1) == 0  # to the next one, in this order
        none = torch.zeros_like(signatures[:, :1], dtype=torch.bool)
        twins = torch.cat([equal, none], -1) | torch.cat([none, equal], -1)
        return twins.sum(-1, dtype=torch.float64)
