"""One block's sums for CKA: centred kernels, their products, sequences where rows are tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import BlockSums, SidePair
from hooksim.blocks.block import Block, RbfSums
from hooksim.blocks.strip import Strip
from hooksim.functional.hsic import double_centred, hsic_factor, noise_floor, u_centred
from hooksim.functional.rbf import rbf_kernel

__all__ = ["GramSums"]


class _Found(NamedTuple):
    """What a strip says of its samples.

    Attributes:
        rows: Where they are in the block.
        peak: `(stored layers,)` the largest own term.
        terms: `(m, ...)` each, own ones first; empty where they are summed already.
        sums: Over them, where samples are independent; else empty.
    """

    rows: slice
    peak: Tensor
    terms: Sequence[Tensor]
    sums: Sequence[Tensor]


class GramSums(BlockSums):
    """The terms `h_i` of one block's samples, summed.

    Args:
        block: The block.
        pairs: Pairs of sides to compare.
        debiased: Unbiased or biased HSIC.
        rbf: What the RBF kernel needs; None for the linear kernel.
    """

    def __init__(
        self, block: Block, pairs: Sequence[SidePair], debiased: bool, rbf: RbfSums | None
    ) -> None:
        # The linear kernel's entries are those of scaled rows; back to the layers' own scale.
        squares = block.scale.square() if rbf is None else torch.ones_like(block.scale)
        self._unit = squares
        factor = hsic_factor(block.n, debiased)
        self._block = block
        self._pairs = pairs
        self._sides = sorted({side for pair in pairs for side in pair[:2]})
        self._debiased = debiased
        self._rbf = rbf
        self._sums: list[Tensor] = []
        self._peak = torch.zeros_like(squares)
        self._own_weight = factor * squares.square()
        self._cross_weights = []
        for pair in pairs:
            a, b = (self._of_pair(pair, side, squares) for side in pair[:2])
            self._cross_weights.append(factor * (a * b if pair.aligned else torch.outer(a, b)))
        self._pending: list[Tensor] | None = None

    def strip(self, strip: Strip) -> _Found:
        """The terms of the strip's samples, of all layers and pairs."""
        kernel, norms = self._kernel(strip)
        own = norms.to(torch.float64).square().mT * self._own_weight
        terms = [own]
        for pair, weight in zip(self._pairs, self._cross_weights, strict=True):
            terms.append(self._cross(pair, kernel).to(torch.float64) * weight)
        if self._block.groups is None:
            return _Found(slice(strip.start, strip.stop), own.amax(0), [], self._folded(terms))
        return _Found(slice(strip.start, strip.stop), own.amax(0), terms, [])

    def add(self, found: _Found) -> None:
        """Add the terms of a strip's samples."""
        self._peak = torch.maximum(self._peak, found.peak)
        if self._block.groups is None:
            self._add(found.sums)
            return
        # Tokens of one sequence are not independent: their terms are summed before squaring.
        if self._pending is None:
            self._pending = [
                term.new_zeros((self._block.n, *term.shape[1:])) for term in found.terms
            ]
        groups = self._block.groups[found.rows]
        for total, term in zip(self._pending, found.terms, strict=True):
            total.index_add_(0, groups, term)

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state."""
        if self._pending is not None:
            self._add(self._folded(self._pending))
        block = self._block
        sides, pairs = self._named_sums()
        floor = block.n * noise_floor(block.norms.dtype) * self._unit.square()
        for side in self._sides:
            widths = [len(block.grams[stored].mean) for stored in block.stored(side)]
            filled = [block.scale.new_full((), width) for width in widths]  # no copy from the host
            sides[str(side)] |= {
                "peak": self._expanded(side, self._peak),
                "floor": self._expanded(side, floor),
                "width": torch.stack(filled),
            }
        n = block.scale.new_full((), block.n)
        return TensorDict({"n": n, "sides": sides, "pairs": pairs})

    def _kernel(self, strip: Strip) -> tuple[Tensor, Tensor]:
        """The strip's kernel matrices, centred, (stored layers, m, n), and the norms of their rows.

        Rows are centred: the biased form of the linear kernel is.
        """
        if self._rbf is None and self._debiased:
            return strip.u_centred, strip.u_norms
        kernel = strip.kernel
        if self._rbf is not None:
            kernel = rbf_kernel(kernel, strip.norms, self._rbf.width, strip.start)
            if self._debiased:
                kernel = u_centred(kernel, self._rbf.sums, strip.start)
            else:
                kernel = double_centred(kernel, self._rbf.sums + 1, strip.start)
        return kernel, torch.linalg.vector_norm(kernel, dim=-1)

    def _expanded(self, side: int, values: Tensor) -> Tensor:
        """One side's layers of `values`, all stored layers first."""
        return self._block.expand(side, self._block.of_side(side, values))

    def _of_pair(self, pair: SidePair, side: int, values: Tensor) -> Tensor:
        """Values of stored layers of all sides: those of a side of a pair, each once.

        Where only layers at the same position are compared, those of its layers instead.
        """
        return self._expanded(side, values) if pair.aligned else self._block.of_side(side, values)

    def _cross(self, pair: SidePair, kernel: Tensor) -> Tensor:
        """`sum_j A_ij B_ij` of centred strips (stored layers, m, n), as (m, *cells)."""
        a, b = (self._of_pair(pair, side, kernel) for side in pair[:2])
        if pair.aligned:
            terms: Tensor = torch.linalg.vecdot(a, b)
            return terms.mT
        return a.transpose(0, 1) @ b.permute(1, 2, 0)

    def _folded(self, terms: Sequence[Tensor]) -> list[Tensor]:
        """The sums over independent terms, of which own ones (units, stored layers) come first.

        Returns:
            `(2, stored layers)` for each side, then `(5, *cells)` for each pair: few tensors, since
            they are added up strip by strip. `_named_sums` says what they are.
        """
        own, *crosses = terms
        sides = [self._block.of_side(side, own.mT) for side in self._sides]
        sums = [torch.stack([each.sum(-1), each.square().sum(-1)]) for each in sides]
        for pair, cross in zip(self._pairs, crosses, strict=True):
            a, b = (self._of_pair(pair, side, own.mT).mT for side in pair[:2])
            if not pair.aligned:
                a, b = a[:, :, None], b[:, None, :]
            products = cross, cross.square(), cross * a, cross * b, a * b
            sums.append(torch.stack([product.sum(0) for product in products]))
        return sums

    def _add(self, sums: Sequence[Tensor]) -> None:
        before = self._sums or [torch.zeros_like(part) for part in sums]
        self._sums = [total + part for total, part in zip(before, sums, strict=True)]

    def _named_sums(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, dict[str, Tensor]]]:
        """The sums of each side and of each pair, in the form of the accumulator's state."""
        block = self._block
        own, crosses = self._sums[: len(self._sides)], self._sums[len(self._sides) :]
        sides = {
            str(side): dict(zip(("h", "h_h"), block.expand(side, sums, 1), strict=True))
            for side, sums in zip(self._sides, own, strict=True)
        }
        names = ("h", "h_h", "h_a", "h_b", "a_b")
        pairs = {}
        for pair, sums in zip(self._pairs, crosses, strict=True):
            if not pair.aligned:
                sums = block.expand(pair.b, block.expand(pair.a, sums, 1), 2)
            pairs[f"{pair.a},{pair.b}"] = dict(zip(names, sums, strict=True))
        return sides, pairs
