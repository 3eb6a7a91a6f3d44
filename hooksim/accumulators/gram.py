"""Sums for CKA and its standard error over kernel matrices."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hooksim.accumulators.base import Accumulator, Estimate, SideNames, SidePair
from hooksim.accumulators.gram_sums import GramSums
from hooksim.blocks.block import Block
from hooksim.errors import Note
from hooksim.functional.cka import check_kernel, cka_ratio
from hooksim.functional.hsic import minimum_samples

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
        pairs. All float64: sums over samples of the terms `h_i`, their products with each other and
        with those of the two layers with themselves; the largest term, what the rounding of the
        terms can add up to, and the number of dimensions. The squares keep rows of scale 1e-38 to
        1e38.

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
        own = {"bandwidth": self.bandwidth} if self.kernel == "rbf" else {}
        return {"debiased": self.debiased, "kernel": self.kernel, **own}

    def begin(self, block: Block) -> GramSums:
        """What takes the strips of a block for this accumulator."""
        rbf = block.rbf(self.bandwidth) if self.kernel == "rbf" else None
        return GramSums(block, self.pairs, self.debiased, rbf)

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

    def own_hsic(self, side: int) -> Tensor:
        """HSIC of each layer of a side with itself.

        Debiased and with the linear kernel it is the squared Frobenius norm of the covariance.

        Args:
            side: Which side.

        Returns:
            `(layers,)` float64 on the CPU; NaN where the layer does not vary.
        """
        sums = self._state["sides", str(side)]
        varies: Tensor = sums["h"] > sums["floor"]
        return torch.where(varies, sums["h"] / self._state["n"], float("nan")).cpu()

    def largest_shares(self, side: int) -> Tensor:
        """The share of a layer's HSIC with itself that a single row has a part in, at most.

        Every pair of rows counts for both; the pairs with row i make `2 h_i` of the sum of all h.

        Args:
            side: Which side.

        Returns:
            `(layers,)` float64 on the CPU, up to 1; NaN where the layer does not vary.
        """
        return (2 * self._peaks(side)).clamp(max=1)

    def _peaks(self, side: int) -> Tensor:
        """The largest term of each layer as a share of the sum of all."""
        peaks: Tensor = self._state["sides", str(side), "peak"].cpu()
        return peaks / (float(self._state["n"]) * self.own_hsic(side))

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
        flat = self.own_hsic(side).isnan().nonzero().flatten().tolist()
        if not flat:
            return None
        more = f" and {len(flat) - 1} more" if len(flat) > 1 else ""
        why = "do not vary" if self.kernel == "linear" else "are equal for half of all pairs"
        text = f"{names.describe(flat[0])}{more}: the samples {why}, so CKA is undefined (NaN)."
        return Note("constant_layer", text)

    def _ruling_sample(self, side: int, names: SideNames, n: int, bound: float) -> Note | None:
        """A warning if a single sample makes a large part of a layer's HSIC."""
        terms = self._peaks(side).nan_to_num(0.0).tolist()
        ruled = [layer for layer, share in enumerate(terms) if share > bound]
        if not ruled:
            return None
        worst = max(ruled, key=terms.__getitem__)
        share = self.largest_shares(side)[worst].item()
        more = f" (and less so in {len(ruled) - 1} more layers)" if len(ruled) > 1 else ""
        text = (
            f"{names.describe(worst)}: one of {n:,} samples has a part in {share:.0%} of its HSIC, "
            f"and so in its CKA{more}. Look for outliers."
        )
        return Note("ruling_sample", text)

    def _of_cells(self, pair: SidePair, name: str) -> tuple[Tensor, Tensor]:
        """A sum of the layers of A and of B, to be broadcast over the pair's cells."""
        a, b = (self._state["sides", str(side), name] for side in pair[:2])
        return (a, b) if pair.aligned else (a[:, None], b[None, :])
