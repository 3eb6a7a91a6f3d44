"""Sums for CKA and its standard error over kernel matrices."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import (
    Accumulator,
    BlockSums,
    Estimate,
    SideNames,
    SidePair,
    combined,
)
from hooksim.blocks.block import Block, RbfSums, Strip
from hooksim.errors import Note
from hooksim.functional.cka import check_kernel, cka_ratio
from hooksim.functional.hsic import (
    double_centred,
    hsic_factor,
    minimum_samples,
    noise_floor,
    u_centred,
)
from hooksim.functional.rbf import rbf_kernel

__all__ = ["GramAccumulator"]

_RULING_SHARE = 0.02  # one sample's share of a layer's HSIC that is news among many samples
_RULING_MULTIPLE = 20  # of the mean share, among few
_BIASED_MULTIPLE = 10  # samples to a dimension below which biased CKA misleads
_STDERR_FROM = 10  # samples below which the standard error is far too small


class GramAccumulator(Accumulator):
    """Centered kernel alignment of every pair of layers, with standard errors, block by block.

    CKA is the ratio of HSICs that are each summed over all blocks, never the mean of ratios.

    State:
        n: `()`. sides.S.{h, h_h, peak, floor, width}: `(layers of S,)`.
        pairs.A,B.{h, h_h, h_a, h_b, a_b}: `(layers of A, layers of B)`, or `(layers,)` for aligned
        pairs. All float64: sums over samples of the terms `h_i`, their products with each other and with those of the two layers
        with themselves; the largest term, what the rounding of the terms can add up to, and the
        number of dimensions. The squares keep rows of scale 1e-38 to 1e38.

    Args:
        debiased: With unbiased HSIC.
        kernel: `"linear"`, or `"rbf"` with a width of its own for each block.
        bandwidth: Of the RBF kernel, as a multiple of the median distance within the block.
        pairs: Pairs of sides to compare.

    Example:
        >>> rows = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0]])
        >>> accumulator = GramAccumulator().update([rows, rows**2], [2 * rows + 1])
        >>> accumulator.compute().values.shape
        torch.Size([2, 1])

    Source: Nguyen et al. 2021 (CKA over minibatches); Song et al. 2012 (unbiased HSIC).
    """

    def __init__(
        self,
        debiased: bool = True,
        kernel: str = "linear",
        bandwidth: float = 1.0,
        *,
        pairs: Sequence[SidePair] = (SidePair(0, 1),),
    ) -> None:
        super().__init__(pairs)
        check_kernel(kernel, bandwidth)
        self.debiased = debiased
        self.kernel = kernel
        self.bandwidth = bandwidth
        if kernel == "rbf":
            self.gram_dtype = torch.float64  # distances are differences of its entries

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""
        return minimum_samples(self.debiased)

    def options(self) -> dict[str, Any]:
        """What two accumulators must have in common to be merged."""
        return {"debiased": self.debiased, "kernel": self.kernel, "bandwidth": self.bandwidth}

    def begin(self, block: Block) -> "_GramSums":
        """What takes the strips of a block for this accumulator."""
        if self.kernel == "linear":
            return _GramSums(
                block, self.pairs, _linear(self.debiased), block.scale**2, self.debiased
            )
        kernel = _rbf(block.rbf(self.bandwidth), self.debiased)
        return _GramSums(block, self.pairs, kernel, torch.ones_like(block.scale), self.debiased)

    def compute(self, pair: int = 0) -> Estimate:
        """CKA of every pair of layers of one pair of sides.

        Args:
            pair: Position in `pairs`.

        Returns:
            Values and standard errors `(layers of A, layers of B)` float64. NaN where a layer does
            not vary; standard errors are NaN for fewer than 10 samples. Values are not clamped.

        Raises:
            NotEnoughSamplesError: Before the first block.

        Source: design of the error: influence function of the ratio, terms `h_i` as observations.
        """
        self._check_begun()
        asked = self.pairs[pair]
        sums = self._state["pairs", f"{asked.a},{asked.b}"]
        n = self._state["n"]
        h_a, h_b = self._of_cells(asked, "h")
        floor_a, floor_b = self._of_cells(asked, "floor")
        defined = (h_a > floor_a) & (h_b > floor_b)
        values = torch.where(defined, cka_ratio(sums["h"], h_a, h_b, floor=0.0), float("nan"))
        # u_i / 2 = h_xy / g - (CKA / 2) (h_xx / Hxx + h_yy / Hyy), squared and summed term by term.
        own_a, own_b, both = h_a / n, h_b / n, (h_a.sqrt() * h_b.sqrt()) / n
        squares_a, squares_b = self._of_cells(asked, "h_h")
        cross = sums["h_a"] / own_a + sums["h_b"] / own_b
        own = squares_a / own_a**2 + 2 * sums["a_b"] / (own_a * own_b) + squares_b / own_b**2
        squares = sums["h_h"] / both**2 - values / both * cross + (values / 2) ** 2 * own
        stderr = 2 * squares.clamp(min=0).sqrt() / n
        undefined = values.isnan() | (n < _STDERR_FROM)
        stderr = torch.where(undefined, float("nan"), stderr)
        return Estimate(asked.matrix(values).cpu(), asked.matrix(stderr).cpu())

    def notes(self, names: Sequence[SideNames]) -> list[Note]:
        """Warnings of too few samples, and of a sample that makes a large part of a HSIC."""
        if self._state.is_empty():
            return []
        n = int(self._state["n"])
        if n < _STDERR_FROM:
            text = f"{n} samples are too few for a standard error of CKA, and for CKA itself."
            return [Note("few_samples", text)]
        bound = max(_RULING_SHARE, _RULING_MULTIPLE / n)
        found = [self._biased(side, names[side], n) for side in self.sides]
        found += [self._undefined(side, names[side]) for side in self.sides]
        found += [self._ruling_sample(side, names[side], n, bound) for side in self.sides]
        return [note for note in found if note is not None]

    def _biased(self, side: int, names: SideNames, n: int) -> Note | None:
        """A warning if biased CKA of this few samples says little."""
        widths = self._state["sides", str(side), "width"].tolist()
        widest = max(range(len(widths)), key=widths.__getitem__)
        if self.debiased or self.kernel != "linear" or n >= _BIASED_MULTIPLE * widths[widest]:
            return None
        text = (
            f"{names.describe(widest)}: {widths[widest]:,.0f} dimensions and {n:,} samples; biased "
            "CKA of unrelated layers nears 1 as dimensions outnumber samples. Use debiased=True."
        )
        return Note("biased", text)

    def _undefined(self, side: int, names: SideNames) -> Note | None:
        """A warning if layers have no CKA."""
        sums = self._state["sides", str(side)]
        flat = (~(sums["h"] > sums["floor"])).nonzero().flatten().tolist()
        if not flat:
            return None
        more = f" and {len(flat) - 1} more" if len(flat) > 1 else ""
        why = "do not vary" if self.kernel == "linear" else "are equal for half of all pairs"
        text = f"{names.describe(flat[0])}{more}: the samples {why}, so CKA is undefined (NaN)."
        return Note("constant_layer", text)

    def _ruling_sample(self, side: int, names: SideNames, n: int, bound: float) -> Note | None:
        """A warning if a single sample makes a large part of a layer's HSIC."""
        sums = self._state["sides", str(side)]
        shares = (sums["peak"] / sums["h"]).nan_to_num(0.0).tolist()
        ruled = [layer for layer, share in enumerate(shares) if share > bound]
        if not ruled:
            return None
        worst = max(ruled, key=shares.__getitem__)
        more = f" (and less so in {len(ruled) - 1} more layers)" if len(ruled) > 1 else ""
        text = (
            f"{names.describe(worst)}: one of {n:,} samples makes {shares[worst]:.0%} of its HSIC, "
            f"and so of its CKA{more}. Look for outliers."
        )
        return Note("ruling_sample", text)

    def _of_cells(self, pair: SidePair, name: str) -> tuple[Tensor, Tensor]:
        """A sum of the layers of A and of B, to be broadcast over the pair's cells."""
        a, b = (self._state["sides", str(side), name] for side in pair[:2])
        return (a, b) if pair.aligned else (a[:, None], b[None, :])


class _GramSums(BlockSums):
    """The terms `h_i` of one block's samples, summed."""

    def __init__(
        self,
        block: Block,
        pairs: Sequence[SidePair],
        centred: Callable[[Strip], Tensor],
        unit: Tensor,  # (stored layers,), what a kernel's entries are multiplied by
        debiased: bool,
    ) -> None:
        squares = self._unit = unit
        factor = hsic_factor(block.n, debiased)
        self._block = block
        self._pairs = pairs
        self._sides = sorted({side for pair in pairs for side in pair[:2]})
        self._centred = centred
        self._sums = TensorDict()
        self._peak = torch.zeros_like(squares)
        self._own_weight = factor * squares.square()  # back to the layers' own scale
        self._cross_weights = []
        for pair in pairs:
            a, b = self._expanded(pair.a, squares), self._expanded(pair.b, squares)
            self._cross_weights.append(factor * (a * b if pair.aligned else torch.outer(a, b)))
        self._pending: list[Tensor] | None = None

    def strip(self, strip: Strip) -> None:
        """Take the terms of the strip's samples, of all layers and pairs."""
        kernel = self._centred(strip)
        own = torch.linalg.vecdot(kernel, kernel).to(torch.float64).mT * self._own_weight
        terms = [own]
        for pair, weight in zip(self._pairs, self._cross_weights, strict=True):
            terms.append(self._cross(pair, kernel).to(torch.float64) * weight)
        self._peak = torch.maximum(self._peak, own.amax(0))
        if self._block.groups is None:
            self._fold(terms)
            return
        # Tokens of one sequence are not independent: their terms are summed before squaring.
        if self._pending is None:
            self._pending = [term.new_zeros((self._block.n, *term.shape[1:])) for term in terms]
        groups = self._block.groups[strip.start : strip.stop]
        for total, term in zip(self._pending, terms, strict=True):
            total.index_add_(0, groups, term)

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state."""
        if self._pending is not None:
            self._fold(self._pending)
        block = self._block
        self._sums["n"] = block.scale.new_full((), block.n)
        floor = block.n * noise_floor(block.norms.dtype) * self._unit.square()
        for side in self._sides:
            self._sums["sides", str(side), "peak"] = self._expanded(side, self._peak)
            self._sums["sides", str(side), "floor"] = self._expanded(side, floor)
            widths = [len(block.grams[stored].mean) for stored in block.stored(side)]
            filled = [block.scale.new_full((), width) for width in widths]  # no copy from the host
            self._sums["sides", str(side), "width"] = torch.stack(filled)
        return self._sums

    def _expanded(self, side: int, values: Tensor) -> Tensor:
        """One side's layers of `values`, all stored layers first."""
        return self._block.expand(side, self._block.of_side(side, values))

    def _cross(self, pair: SidePair, kernel: Tensor) -> Tensor:
        """`sum_j A_ij B_ij` of centred strips (stored layers, m, n), as (m, *cells)."""
        block = self._block
        if pair.aligned:
            a, b = self._expanded(pair.a, kernel), self._expanded(pair.b, kernel)
            terms: Tensor = torch.linalg.vecdot(a, b)
            return terms.mT
        a, b = (block.of_side(side, kernel) for side in pair[:2])
        products = a.transpose(0, 1) @ b.permute(1, 2, 0)
        return block.expand(pair.b, block.expand(pair.a, products, 1), 2)

    def _fold(self, terms: Sequence[Tensor]) -> None:
        """Add independent terms, own ones (units, stored layers) first, to the block's sums."""
        own, *crosses = terms
        layers = {side: self._expanded(side, own.mT).mT for side in self._sides}
        sides = {
            str(side): {"h": terms.sum(0), "h_h": terms.square().sum(0)}
            for side, terms in layers.items()
        }
        pairs = {}
        for pair, cross in zip(self._pairs, crosses, strict=True):
            a, b = layers[pair.a], layers[pair.b]
            if not pair.aligned:
                a, b = a[:, :, None], b[:, None, :]
            pairs[f"{pair.a},{pair.b}"] = {
                "h": cross.sum(0),
                "h_h": cross.square().sum(0),
                "h_a": (cross * a).sum(0),
                "h_b": (cross * b).sum(0),
                "a_b": (a * b).sum(0),
            }
        self._sums = combined(self._sums, TensorDict({"sides": sides, "pairs": pairs}))


def _linear(debiased: bool) -> Callable[[Strip], Tensor]:
    """Centre strips of the linear kernel: the rows are centred, so the row sums are known."""

    def centred(strip: Strip) -> Tensor:
        return u_centred(strip.kernel, -strip.norms, strip.start) if debiased else strip.kernel

    return centred


def _rbf(known: RbfSums, debiased: bool) -> Callable[[Strip], Tensor]:
    """Make and centre strips of the RBF kernel."""

    def centred(strip: Strip) -> Tensor:
        kernel = rbf_kernel(strip.kernel, strip.norms, known.width, strip.start)
        if debiased:
            return u_centred(kernel, known.sums, strip.start)
        return double_centred(kernel, known.sums + 1, strip.start)

    return centred
