"""Sums for Information Imbalance, both ways, and its standard error over ranks of distances."""

from collections.abc import Container, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import Accumulator, Estimate, SidePair
from hooksim.accumulators.edges import (
    PAIR_SUMS,
    SOURCE_SUMS,
    Direction,
    SourceLists,
    by_group,
    edge_sums,
    sampled_rows,
    targets_excess,
)
from hooksim.blocks.block import Block, Strip
from hooksim.functional.information_imbalance import check_neighbours

__all__ = ["BothWays", "RankAccumulator"]

_STDERR_FROM = 10  # samples below which the standard error is not defined


class BothWays(NamedTuple):
    """Information Imbalance in both directions, each `(layers of A, layers of B)`."""

    a_to_b: Estimate
    b_to_a: Estimate


class RankAccumulator(Accumulator):
    """Information Imbalance of every pair of layers, both ways, with standard errors.

    The value depends on the number of samples of a block, among which neighbours are looked for.

    State:
        n: `()` samples. n_n: `()` sum of squared sequence lengths. sources.S.{c_c, w_w} and
        targets.S.q_q: `(layers of S,)`. directions.S,T.{p, a_a, ...}: `(layers of S, layers of T)`,
        or `(layers,)` for aligned pairs. All float64 sums over samples or neighbour edges.

    Args:
        k: Number of neighbours; a block needs at least k + 2 samples.
        pairs: Pairs of sides to compare.

    Example:
        >>> rows = torch.arange(12.0)[:, None] ** 2
        >>> a_to_b, b_to_a = RankAccumulator().update([rows], [rows, -rows]).compute()
        >>> a_to_b.values
        tensor([[0.1667, 0.1667]], dtype=torch.float64)

    Source: Glielmo et al. 2022, "Ranking the information content of distance measures"; the
        standard error is this project's own and takes into account that edges share samples.
    """

    gram_dtype: ClassVar[torch.dtype] = torch.float64  # float32 finds wrong neighbours

    def __init__(self, k: int = 1, *, pairs: Sequence[SidePair] = (SidePair(0, 1),)) -> None:
        super().__init__(pairs)
        check_neighbours(k)
        self.k = k
        both = [
            Direction(*sides, pair.aligned)
            for pair in self.pairs
            for sides in ((pair.a, pair.b), (pair.b, pair.a))
        ]
        self._directions = list(dict.fromkeys(both))

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""
        return self.k + 2

    def options(self) -> dict[str, float]:
        """What two accumulators must have in common to be merged."""
        return {"k": float(self.k)}

    def begin(self, block: Block) -> None:
        """Prepare for the strips of a block."""
        self._block = block
        everyone = range(len(block.grams))
        self._lists = SourceLists(block, self._directions, everyone, self.k, self.k)
        self._excess = torch.zeros_like(block.norms, dtype=torch.float64)

    def strip(self, strip: Strip) -> None:
        """Find the neighbours of the strip's samples and their ranks."""
        self._lists.take(strip)
        self._excess += targets_excess(strip, self._block.n)

    def counts(self) -> Tensor:
        """For each stored layer how long its neighbour lists must be: k where nothing ties."""
        return self._lists.widest

    def end(self, counts: Sequence[int]) -> None:
        """Add the block's sums to the state; layers with ties get longer lists first."""
        wide = {source: width for source, width in enumerate(counts) if width > self.k}
        self._expected = self._targets_mean()
        self._empty_sums()
        self._fold(self._lists, range(len(counts)), skip=wide)
        for source, width in wide.items():
            lists = SourceLists(self._block, self._directions, [source], self.k, width)
            for strip in self._block.strips():
                lists.take(strip)
            self._fold(lists, [source])
        self._add(self._block_state())
        del self._block, self._lists, self._excess, self._expected, self._sums, self._source_sums

    def compute(self, pair: int = 0) -> BothWays:
        """Information Imbalance of every pair of layers of one pair of sides.

        Args:
            pair: Position in `pairs`.

        Returns:
            Both directions, values and standard errors `(layers of A, layers of B)` float64.
            Standard errors are NaN for fewer than 10 samples.

        Raises:
            NotEnoughSamplesError: Before the first block.
        """
        self._check_begun()
        asked = self.pairs[pair]
        forth = self._estimate(Direction(asked.a, asked.b, asked.aligned))
        back = self._estimate(Direction(asked.b, asked.a, asked.aligned))
        return BothWays(
            Estimate(*(asked.matrix(cells).cpu() for cells in forth)),
            Estimate(*(asked.matrix(cells).mT.contiguous().cpu() for cells in back)),
        )

    def _targets_mean(self) -> Tensor:
        """q_v for all stored layers, (layers, n): k times the mean excess of v as a target."""
        rows = sampled_rows(self._block.n)
        others = torch.full_like(self._excess[0], len(rows))
        others[torch.tensor(rows, device=others.device)] -= 1  # a sample is no target of itself
        return self._excess * (self.k / others)

    def _empty_sums(self) -> None:
        block = self._block
        self._sums: dict[Direction, dict[str, Tensor]] = {}
        for direction in self._directions:
            shape = (len(block.sides[direction.source]), len(block.sides[direction.target]))
            if direction.aligned:
                shape = (len(block.stored(direction.source)), 1)
            self._sums[direction] = {name: self._excess.new_zeros(shape) for name in PAIR_SUMS}
        self._source_sums = {name: self._excess.new_zeros(len(block.grams)) for name in SOURCE_SUMS}

    def _fold(self, lists: SourceLists, sources: Sequence[int], skip: Container[int] = ()) -> None:
        """Add the edges of some sources to the block's sums."""
        block = self._block
        for direction, row, position, edges in lists.edges():
            source = sources[position]
            if source in skip:
                continue
            expected = block.of_side(direction.target, self._expected)
            if direction.aligned:
                expected = self._expected[block.stored(direction.target)[row]][None]
            found = edge_sums(edges, expected, block.groups)
            for name in PAIR_SUMS:
                self._sums[direction][name][row] = found[name]
            for name in SOURCE_SUMS:
                self._source_sums[name][source] = found[name]

    def _block_state(self) -> TensorDict:
        """The block's sums in the form of the state."""
        block = self._block
        directions, sources, targets = {}, {}, {}
        for direction, sums in self._sums.items():
            source, target = direction.source, direction.target
            name = f"{source},{target}"
            directions[name] = {
                key: cells[:, 0]
                if direction.aligned
                else block.expand(target, block.expand(source, cells, 0), 1)
                for key, cells in sums.items()
            }
            sources[str(source)] = {
                key: block.expand(source, block.of_side(source, values))
                for key, values in self._source_sums.items()
            }
            expected = by_group(block.of_side(target, self._expected), block.groups)
            targets[str(target)] = {"q_q": block.expand(target, expected.square().sum(-1))}
        ones = torch.ones_like(self._excess[0])
        n, n_n = ones.sum(), by_group(ones, block.groups).square().sum()
        state: dict[str, Any] = {"n": n, "n_n": n_n}
        state |= {"directions": directions, "sources": sources, "targets": targets}
        return TensorDict(state)

    def _estimate(self, direction: Direction) -> Estimate:
        """Values and standard errors of one direction, (source layers, target layers) or aligned.

        The first error counts that edges share samples, by the sums a, c, q over each sample's
        edges as source and as target; the second is the plain one over samples as sources.
        """
        s = self._state["directions", f"{direction.source},{direction.target}"]
        n, n_n = self._state["n"], self._state["n_n"]
        of_source = self._state["sources", str(direction.source)]
        c_c, w_w, q_q = (
            of_source["c_c"],
            of_source["w_w"],
            self._state["targets", str(direction.target), "q_q"],
        )
        if not direction.aligned:
            c_c, w_w, q_q = c_c[:, None], w_w[:, None], q_q[None, :]
        value = s["p"] / (n * self.k)
        weight = value.clamp(max=1).square()
        shared = (
            (s["a_a"] - s["g_g"])
            - 2 * value * (s["a_c"] - s["g_w"])
            + value.square() * (c_c - w_w)
            - 2 * weight * s["a_q"]
            + 2 * weight * value * s["c_q"]
            + weight.square() * q_q
        )
        mean = self.k * value
        plain = s["p_p"] - 2 * mean * s["p_n"] + mean.square() * n_n
        stderr = torch.maximum(shared, plain).clamp(min=0).sqrt() / (n * self.k)
        return Estimate(value, torch.where(n < _STDERR_FROM, float("nan"), stderr))
