"""One block's sums for Information Imbalance: lists, ties, edges, in bounded memory."""

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import BlockSums
from hooksim.accumulators.edges import PAIR_SUMS, SOURCE_SUMS, SourceEdges, by_group
from hooksim.accumulators.lookups import Direction, LookUp, restricted, whole
from hooksim.accumulators.neighbour_lists import ListWidths, NeighbourLists
from hooksim.accumulators.rank_walks import listed_walks, streamed_walks
from hooksim.accumulators.streamed_edges import StreamedEdges
from hooksim.blocks.block import Block, layer_index
from hooksim.blocks.strip import Strip
from hooksim.functional.ranks import all_mid_ranks

__all__ = ["RankSums"]

_SAMPLED_ROWS = 128  # rows that the mean rank of a sample as target is taken over
_PART_ELEMENTS = 1 << 21  # values of edges that are summed at a time


class _Taker(Protocol):
    """Takes the strips of one walk, in the way of `BlockSums`."""

    def look(self, strip: Strip) -> Any:
        """Look at a strip, of which each is shown once."""

    def add(self, found: Any) -> None:
        """Add what was found in a strip; called in the order of the strips."""


class RankSums(BlockSums):
    """The neighbour edges of one block's samples, summed.

    Where the lists of k neighbours fit the memory, they are enough for layers without ties at the
    k-th place. Which have some is known when all strips are taken; those layers' strips are then
    walked over once more, with longer lists, or without any where those would be too long. What
    does not fit at the same time costs further walks.

    Args:
        block: The block.
        directions: What is compared with what.
        k: Number of neighbours.
    """

    def __init__(self, block: Block, directions: Sequence[Direction], k: int) -> None:
        self._block = block
        self._k = k
        self._lookups = [whole(block, direction) for direction in directions]
        sources = sorted({source for lookup in self._lookups for source in lookup.sources})
        self._sampled = torch.tensor(_sampled_rows(block.n), device=block.device)
        self._ranks = torch.zeros_like(block.norms, dtype=torch.float64)
        self._sums = {
            lookup.direction: {name: self._ranks.new_zeros(lookup.shape) for name in PAIR_SUMS}
            for lookup in self._lookups
        }
        self._own = {name: self._ranks.new_zeros(len(block.grams)) for name in SOURCE_SUMS}
        layers = range(len(block.grams))
        self._counted: list[NeighbourLists | ListWidths] = []
        self._streamed: list[StreamedEdges] = []
        self._walks: list[list[LookUp]] = []  # without lists, known to be needed after the first
        first, *later = listed_walks(self._lookups, dict.fromkeys(sources, k), block.n) or [[]]
        if len(sources) == len(first) + sum(map(len, later)):
            self._counted += self._lists(layers, dict.fromkeys(first, k))
            self._counted += [ListWidths(each, k=k, device=block.device) for each in later]
        else:
            now, *self._walks = streamed_walks(self._lookups, sources, block.n)
            self._streamed = [self._without_lists(layers, now)]

    def strip(self, strip: Strip) -> tuple[Tensor | None, list[Any]]:
        """Find the neighbours of the strip's samples and their ranks."""
        return self._ranks_from_sampled(strip), [each.look(strip) for each in self._first_walk]

    def add(self, found: tuple[Tensor | None, list[Any]]) -> None:
        """Add what was found in a strip."""
        ranks, parts = found
        if ranks is not None:
            self._ranks += ranks
        for each, part in zip(self._first_walk, parts, strict=True):
            each.add(part)

    @property
    def _first_walk(self) -> list[_Taker]:
        """What takes the strips that every accumulator is shown."""
        return [*self._counted, *self._streamed]

    @property
    def lists_all(self) -> bool:
        """Whether the first walk makes lists of all sources, and nothing else."""
        return not self._streamed and len(self._counted) == 1

    def undecided(self) -> Tensor:
        """Samples that tie for the last places among the k nearest, `(sources, n)` bool."""
        found = [each.undecided for each in self._counted if isinstance(each, NeighbourLists)]
        return torch.cat(found)

    def settle(self, undecided: Tensor) -> None:
        """Look again at all that is undecided, as exactly as can be, and go on with exact strips.

        Args:
            undecided: What `undecided` gave.
        """
        lists = [each for each in self._counted if isinstance(each, NeighbourLists)]
        sources = [source for each in lists for source in each.sources]
        layers = [sources[i] for i in undecided.any(1).nonzero().flatten().tolist()]
        for each in lists:
            each.forget_widths()
        for strip in self._block.settled(undecided.any(0).nonzero().flatten(), layers):
            for each in lists:
                each.add(each.look(strip))
        self._block = self._block.exact

    def counts(self) -> Tensor | None:
        """For each source with lists how long they must be: k where nothing ties."""
        found = [each.widest for each in self._counted]
        return torch.cat(found) if found else None

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's sums, in the form of the accumulator's state."""
        n = self._block.n
        itself = torch.zeros_like(self._ranks[0])
        itself[self._sampled] = 1  # a sample is no target of itself, but was ranked last, as n
        others = len(self._sampled) - itself
        excess = 2 * (self._ranks - n * itself) / n - others
        self._expected = excess * (self._k / others)
        left = self._fold_first_walk(counts)
        lists = listed_walks(self._lookups, left, self._block.n)
        rest = left.keys() - {source for walk in lists for source in walk}
        self._walks += streamed_walks(self._lookups, rest, self._block.n)
        for listed, unlisted in zip_longest(lists, self._walks):
            self._walk({source: left[source] for source in listed or ()}, unlisted or [])
        return self._state()

    def _fold_first_walk(self, counts: Sequence[int]) -> dict[int, int]:
        """Add what the first walk found, and forget it, for its memory is needed again.

        Args:
            counts: How long the lists of the counted sources must be.

        Returns:
            The width of the lists that are still to be made.
        """
        sources = [source for each in self._counted for source in each.sources]
        left = dict(zip(sources, counts, strict=True))
        for counted in self._counted:
            if isinstance(counted, NeighbourLists):
                done = {source for source in counted.sources if left[source] == self._k}
                self._fold_lists(counted, done)
                left = {source: width for source, width in left.items() if source not in done}
        for streamed in self._streamed:
            self._fold_streamed(streamed)
        self._counted, self._streamed = [], []
        return left

    def _walk(self, widths: Mapping[int, int], unlisted: Sequence[LookUp]) -> None:
        """Walk over the strips again, with lists of some sources, without for some look-ups."""
        lookups = [*restricted(self._lookups, widths), *unlisted]
        layers = sorted({layer for each in lookups for layer in (*each.sources, *each.targets)})
        lists = self._lists(layers, widths)
        streamed = [self._without_lists(layers, unlisted)] if unlisted else []
        self._show(layers, [*lists, *streamed])
        for listed in lists:
            self._fold_lists(listed, listed.sources)
        for each in streamed:
            self._fold_streamed(each)

    def _show(self, layers: Sequence[int], takers: Sequence[_Taker]) -> None:
        """Walk over the strips of some layers; no strip is held any longer afterwards."""

        def take(found: Sequence[Any]) -> None:
            for each, part in zip(takers, found, strict=True):
                each.add(part)

        self._block.walk(lambda strip: [each.look(strip) for each in takers], take, layers)

    def _lists(self, layers: Sequence[int], widths: Mapping[int, int]) -> list[NeighbourLists]:
        """Lists of some sources, those of one length together, to be filled."""
        n, device = self._block.n, self._block.device
        sources: dict[int, list[int]] = {}
        for source, width in sorted(widths.items()):
            sources.setdefault(width, []).append(source)
        return [
            NeighbourLists(
                layers,
                each,
                restricted(self._lookups, each),
                n=n,
                k=self._k,
                width=width,
                device=device,
            )
            for width, each in sources.items()
        ]

    def _without_lists(self, layers: Sequence[int], lookups: Sequence[LookUp]) -> StreamedEdges:
        n, device = self._block.n, self._block.device
        return StreamedEdges(layers, lookups, n=n, k=self._k, device=device)

    def _ranks_from_sampled(self, strip: Strip) -> Tensor | None:
        """Each sample's rank as a target, summed over sampled rows, (layers, n)."""
        rows = [i for i, row in enumerate(_sampled_rows(self._block.n)) if strip.has(row)]
        if not rows:
            return None
        picked = strip.distances.of_rows(self._sampled[rows[0] : rows[-1] + 1] - strip.start)
        return all_mid_ranks(picked).sum(1)

    def _fold_lists(self, lists: NeighbourLists, sources: Collection[int]) -> None:
        """Add the edges of some sources to the block's sums."""
        n = self._block.n
        for source, near, found in lists.of_sources():
            if source not in sources:
                continue
            edges = SourceEdges(near.columns, near.weights, self._block.groups)
            for name, value in edges.own_sums().items():
                self._own[name][source] = value
            step = max(1, _PART_ELEMENTS // near.columns.numel())
            for lookup, row, ranks in found:
                which = layer_index(lookup.of_row(row), self._block.device)
                expected = self._expected[which]
                for first in range(0, len(ranks), step):
                    part = slice(first, first + step)
                    values = ranks[part].to(expected.dtype) / n
                    self._put(lookup, row, edges.pair_sums(values, expected[part]), part)

    def _fold_streamed(self, edges: StreamedEdges) -> None:
        """Add the edges of sources without lists to the block's sums."""
        where = layer_index(edges.sources, self._block.device)
        for name, value in edges.own_sums(self._block.groups).items():
            self._own[name][where] = value
        for lookup, row, sums in edges.pair_sums(self._expected, self._block.groups):
            self._put(lookup, row, sums)

    def _put(
        self, lookup: LookUp, row: int, sums: Mapping[str, Tensor], part: slice = slice(None)
    ) -> None:
        """Put the sums of one row, or of a part of its targets, in their place."""
        for name in PAIR_SUMS:
            cells = self._sums[lookup.direction][name]
            cells[lookup.rows[row], lookup.columns()][part] = sums[name]

    def _state(self) -> TensorDict:
        """The block's sums, for layers instead of stored layers."""
        block = self._block
        ones = torch.ones_like(self._ranks[0])
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
