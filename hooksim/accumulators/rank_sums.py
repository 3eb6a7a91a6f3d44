"""One block's sums for Information Imbalance: lists, ties, edges, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import BlockSums
from hooksim.accumulators.edges import PAIR_SUMS, SOURCE_SUMS, SourceEdges, by_group
from hooksim.accumulators.neighbour_lists import Direction, LookUp, NeighbourLists
from hooksim.blocks.block import Block, Strip, layer_index
from hooksim.functional.ranks import Distances, all_mid_ranks, list_width

__all__ = ["RankSums"]

_SAMPLED_ROWS = 128  # rows that the mean rank of a sample as target is taken over
_LOOKUP_ELEMENTS = 1 << 22  # ranks that one source's ties may ask for at a time
_WALK_ELEMENTS = 1 << 24  # the same for all sources of one walk over the strips


class RankSums(BlockSums):
    """The neighbour edges of one block's samples, summed.

    Lists of k neighbours are enough for layers without ties at the k-th place. Which have some is
    known when all strips are taken; those layers' strips are then walked over once more, with
    longer lists.

    Args:
        block: The block.
        directions: What is compared with what.
        k: Number of neighbours.
    """

    def __init__(self, block: Block, directions: Sequence[Direction], k: int) -> None:
        self._block = block
        self._k = k
        self._lookups = [_whole(block, direction) for direction in directions]
        sources = sorted({source for lookup in self._lookups for source in lookup.sources})
        self._lists = NeighbourLists(
            range(len(block.grams)), sources, self._lookups, k=k, width=k, device=block.device
        )
        self._sampled = torch.tensor(_sampled_rows(block.n), device=block.device)
        self._excess = torch.zeros_like(block.norms, dtype=torch.float64)
        self._sums = {
            lookup.direction: {name: self._excess.new_zeros(_shape(lookup)) for name in PAIR_SUMS}
            for lookup in self._lookups
        }
        self._own = {name: self._excess.new_zeros(len(block.grams)) for name in SOURCE_SUMS}

    def strip(self, strip: Strip) -> None:
        """Find the neighbours of the strip's samples and their ranks."""
        self._lists.take(strip)
        self._excess += self._targets_excess(strip)

    def counts(self) -> Tensor:
        """For each source how long its lists must be: k where nothing ties."""
        return self._lists.widest

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state."""
        width = dict(zip(self._lists.sources, counts, strict=True))
        wide = {source: count for source, count in width.items() if count > self._k}
        others = torch.full_like(self._excess[0], len(self._sampled))
        others[self._sampled] -= 1  # a sample is no target of itself
        self._expected = self._excess * (self._k / others)
        self._fold(self._lists, wide)
        for lookups in _walks(self._lookups, wide, self._block.n):
            layers = sorted({s for each in lookups for s in (*each.sources, *each.targets)})
            lists = [self._wide_lists(layers, s, lookups, wide[s]) for s in wide if s in layers]
            for strip in self._block.strips(layers):
                for each in lists:
                    each.take(strip)
            for each in lists:
                self._fold(each, {})
        return self._state()

    def _wide_lists(
        self, layers: Sequence[int], source: int, lookups: Sequence[LookUp], width: int
    ) -> NeighbourLists:
        own = [lookup for lookup in lookups if lookup.sources[0] == source]
        device = self._block.device
        return NeighbourLists(layers, [source], own, k=self._k, width=width, device=device)

    def _targets_excess(self, strip: Strip) -> Tensor:
        """Each sample's excess over 1 as a target, summed over sampled rows, (layers, n)."""
        rows = [i for i, row in enumerate(_sampled_rows(self._block.n)) if strip.has(row)]
        if not rows:
            return torch.zeros_like(self._excess)
        index = self._sampled[rows[0] : rows[-1] + 1] - strip.start
        values, row_norms, column_norms = strip.distances
        row_norms = None if row_norms is None else row_norms[:, index]
        picked = Distances(values[:, index], row_norms, column_norms)
        excess = all_mid_ranks(picked) * (2 / self._block.n) - 1
        return excess.masked_fill_(picked.values.isinf(), 0.0).sum(1)

    def _fold(self, lists: NeighbourLists, skip: Mapping[int, int]) -> None:
        """Add the edges of all sources but some to the block's sums."""
        for source, near, found in lists.of_sources():
            if source in skip or not found:
                continue
            edges = SourceEdges(near.columns, near.weights, self._block.groups)
            for name, value in edges.own_sums().items():
                self._own[name][source] = value
            values = torch.cat([each.ranks for each in found]) * (2 / self._block.n)
            targets = [target for each in found for target in each.targets]
            expected = self._expected[layer_index(targets, self._block.device)]
            sums = edges.pair_sums(values, expected)
            begin = 0
            for each in found:
                part = slice(begin, begin + len(each.targets))
                begin = part.stop
                for name in PAIR_SUMS:
                    self._sums[each.direction][name][each.row, each.columns] = sums[name][part]

    def _state(self) -> TensorDict:
        """The block's sums, for layers instead of stored layers."""
        block = self._block
        ones = torch.ones_like(self._excess[0])
        q_q = by_group(self._expected, block.groups).square().sum(-1)
        directions: dict[str, Any] = {}
        sources: dict[str, Any] = {}
        targets: dict[str, Any] = {}
        for (source, target, aligned), sums in self._sums.items():
            directions[f"{source},{target}"] = {
                name: cells[:, 0]
                if aligned
                else block.expand(target, block.expand(source, cells, 0), 1)
                for name, cells in sums.items()
            }
            sources[str(source)] = {
                name: block.expand(source, block.of_side(source, values))
                for name, values in self._own.items()
            }
            targets[str(target)] = {"q_q": block.expand(target, block.of_side(target, q_q))}
        state: dict[str, Any] = {
            "n": ones.sum(),
            "n_n": by_group(ones, block.groups).square().sum(),
        }
        return TensorDict(
            state | {"directions": directions, "sources": sources, "targets": targets}
        )


def _sampled_rows(n: int) -> list[int]:
    """The rows of a block over which a sample's mean value as a target is taken."""
    if n <= _SAMPLED_ROWS:
        return list(range(n))
    return [n * m // _SAMPLED_ROWS for m in range(_SAMPLED_ROWS)]


def _whole(block: Block, direction: Direction) -> LookUp:
    """All ranks of a direction; if aligned, a row for each layer, else for each stored one."""
    if direction.aligned:
        sources, targets = block.stored(direction.source), block.stored(direction.target)
    else:
        sources = list(block.sides[direction.source])
        targets = list(block.sides[direction.target])
    return LookUp(direction, range(len(sources)), sources, targets)


def _shape(lookup: LookUp) -> tuple[int, int]:
    return len(lookup.rows), 1 if lookup.direction.aligned else len(lookup.targets)


def _walks(lookups: Sequence[LookUp], wide: Mapping[int, int], n: int) -> Iterator[list[LookUp]]:
    """The look-ups of layers with ties, cut so that each walk over the strips fits the budget."""
    walk: list[LookUp] = []
    elements = 0
    for lookup, index, targets, first in _cut(lookups, wide, n):
        source = lookup.sources[index]
        size = n * list_width(n, wide[source]) * len(targets)
        if walk and elements + size > _WALK_ELEMENTS:
            yield walk
            walk, elements = [], 0
        walk.append(LookUp(lookup.direction, [lookup.rows[index]], [source], targets, first))
        elements += size
    if walk:
        yield walk


def _cut(
    lookups: Sequence[LookUp], wide: Mapping[int, int], n: int
) -> Iterator[tuple[LookUp, int, Sequence[int], int]]:
    """Each row with ties: its look-up, its index there, and its targets part by part."""
    for lookup in lookups:
        for index, source in enumerate(lookup.sources):
            if source not in wide:
                continue
            if lookup.direction.aligned:
                yield lookup, index, [lookup.targets[index]], 0
                continue
            step = max(1, _LOOKUP_ELEMENTS // (n * list_width(n, wide[source])))
            for first in range(0, len(lookup.targets), step):
                yield lookup, index, lookup.targets[first : first + step], first
