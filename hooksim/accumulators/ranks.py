"""Sums for Information Imbalance, both ways, and its standard error over ranks of distances."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch

from hooksim.accumulators.base import Accumulator, Estimate, SidePair
from hooksim.accumulators.lookups import Direction
from hooksim.accumulators.rank_sums import RankSums
from hooksim.accumulators.settled_ranks import SettledRanks
from hooksim.blocks.block import Block
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
    Memory is bounded for any k and any ties. It costs an approximation in blocks of more than
    2048 samples, for layers whose samples have very many neighbours: part of the standard error,
    never of the value, is then that of 1024 samples, which as a rule changes it by less than 1 %.

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

    gram_dtype: torch.dtype = torch.float64  # float32 finds wrong neighbours
    settles: ClassVar[bool] = True

    def __init__(self, k: int = 1, *, pairs: Sequence[SidePair] = (SidePair(0, 1),)) -> None:
        super().__init__(pairs)
        check_neighbours(k)
        self.k = int(k)
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

    def options(self) -> dict[str, Any]:
        """What two accumulators must have in common to be merged."""
        return {"k": self.k}

    def begin(self, block: Block) -> RankSums | SettledRanks:
        """What takes the strips of a block for this accumulator."""
        kind = RankSums if block.is_exact else SettledRanks
        return kind(block, self._directions, self.k)

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
