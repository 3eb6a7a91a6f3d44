"""One block's sums for Information Imbalance where float32 kernel matrices leave some undecided."""

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import BlockSums
from hooksim.accumulators.lookups import Direction
from hooksim.accumulators.rank_sums import RankSums
from hooksim.blocks.block import Block, read_counts
from hooksim.blocks.strip import Strip

__all__ = ["SettledRanks"]

_FEW = 4  # at most every fourth sample is looked at again by itself


class SettledRanks(BlockSums):
    """Looks again, in float64, at the samples whose neighbours float32 cannot tell.

    These are the ones whose k-th and next neighbour, in some layer, are less far apart than the
    rounding of a Gram matrix. Their distances in that layer are then made anew, for them as sources
    and as targets; where they are many, all distances are.

    Args:
        block: A block that is not exact.
        directions: What is compared with what.
        k: Number of neighbours.
    """

    def __init__(self, block: Block, directions: Sequence[Direction], k: int) -> None:
        self._block = block
        self._given = directions, k
        ranks = RankSums(block, directions, k)
        self._ranks = ranks if ranks.lists_all else None

    def strip(self, strip: Strip) -> Any:
        """Find the neighbours of the strip's samples and their ranks."""
        return None if self._ranks is None else self._ranks.strip(strip)

    def add(self, found: Any) -> None:
        """Add what was found in a strip."""
        if self._ranks is not None:
            self._ranks.add(found)

    def counts(self) -> Tensor | None:
        """How many samples are undecided, then the counts of the ranks; None where all are anew."""
        if self._ranks is None:
            return None
        undecided = self._ranks.undecided().any(0).sum()[None]
        widths = self._ranks.counts()
        return undecided if widths is None else torch.cat([undecided, widths])

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state."""
        if self._ranks is None or counts[0] * _FEW > self._block.n:
            self._ranks = None
            return self._anew()
        if not counts[0]:
            return self._ranks.end(counts[1:])
        self._ranks.settle(self._ranks.undecided())
        return _ended(self._ranks)

    def _anew(self) -> TensorDict:
        """The sums of the exact block."""
        exact = self._block.exact
        ranks = RankSums(exact, *self._given)
        exact.walk(ranks.strip, ranks.add)
        return _ended(ranks)


def _ended(ranks: RankSums) -> TensorDict:
    """The sums, once the host knows how long lists must be."""
    counts = ranks.counts()
    return ranks.end([] if counts is None else read_counts([counts])[0])
