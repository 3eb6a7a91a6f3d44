"""Neighbour edges of one block: each layer's lists, and what the error of the imbalance sums.

An edge leads from a sample to one of its k nearest in the source layer; its weight W is its share
of the k places, its value R the neighbour's rank in the target layer, `2 rank / n`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.block import Block, Strip, layer_index
from hooksim.functional.ranks import Distances, Neighbours, all_mid_ranks, mid_ranks, neighbours

__all__ = [
    "PAIR_SUMS",
    "SOURCE_SUMS",
    "Direction",
    "Edges",
    "SourceLists",
    "by_group",
    "edge_sums",
    "sampled_rows",
    "targets_excess",
]

PAIR_SUMS = ("p", "a_a", "a_c", "a_q", "c_q", "g_g", "g_w", "p_p", "p_n")
SOURCE_SUMS = ("c_c", "w_w")
_SAMPLED_ROWS = 128  # rows that the mean rank of a sample as target is taken over


class Direction(NamedTuple):
    """From which side's neighbours to which side's ranks.

    Attributes:
        source: Side whose neighbours are taken.
        target: Side in which their ranks are looked up.
        aligned: Only from each layer to the one at the same position.
    """

    source: int
    target: int
    aligned: bool


class Edges(NamedTuple):
    """All edges from one source layer, and their values in some target layers.

    Attributes:
        columns: `(n, width)` int64.
        weights: `(n, width)` float64.
        values: `(targets, n, width)` float64.
    """

    columns: Tensor
    weights: Tensor
    values: Tensor


class SourceLists:
    """The neighbour lists of some stored layers of a block, with the ranks in their targets.

    Args:
        block: The block.
        directions: What is compared with what.
        sources: Stored layers.
        k: Number of neighbours.
        width: Length of the lists: k, or more where samples tie for the last place.

    Attributes:
        widest: `(sources,)` int64: the width that the strips taken so far would have needed.
    """

    def __init__(
        self,
        block: Block,
        directions: Sequence[Direction],
        sources: Sequence[int],
        k: int,
        width: int,
    ) -> None:
        self._n = block.n
        self._k = k
        self._width = width
        self._sources = layer_index(sources, block.device)
        self._lookups = [_LookUp(block, direction, sources) for direction in directions]
        self._lists: list[Neighbours] = []  # a strip each
        self.widest = torch.zeros(len(sources), dtype=torch.int64, device=block.device)

    def take(self, strip: Strip) -> None:
        """Find the neighbours of the strip's samples, and their ranks in all targets."""
        distances = strip.distances.of_layers(self._sources)
        near, counts = neighbours(distances, strip.ordered[self._sources], self._k, self._width)
        self.widest = torch.maximum(self.widest, counts.amax(-1))
        self._lists.append(near)
        for lookup in self._lookups:
            lookup.take(strip, near.columns)

    def edges(self) -> Iterator[tuple[Direction, int, int, Edges]]:
        """The edges of each source: direction, row of its sums, position in `sources`, edges."""
        columns = torch.cat([near.columns for near in self._lists], 1)
        weights = torch.cat([near.weights for near in self._lists], 1)
        for lookup in self._lookups:
            for (row, position), values in zip(lookup.rows, lookup.values(self._n), strict=False):
                yield (
                    lookup.direction,
                    row,
                    position,
                    Edges(columns[position], weights[position], values),
                )


class _LookUp:
    """The ranks, in one direction, of the neighbours found in some sources."""

    def __init__(self, block: Block, direction: Direction, sources: Sequence[int]) -> None:
        self.direction = direction
        places = {source: position for position, source in enumerate(sources)}
        stored = block.stored(direction.source)
        if not direction.aligned:
            stored = list(block.sides[direction.source])
        # Which row of the direction's sums each source fills: several if layers share a tensor.
        self.rows = [(row, places[source]) for row, source in enumerate(stored) if source in places]
        targets: Sequence[int] = block.sides[direction.target]
        if direction.aligned:
            targets = [block.stored(direction.target)[row] for row, _ in self.rows]
        if self.rows:
            self._targets = layer_index(targets, block.device)
            self._columns = layer_index([position for _, position in self.rows], block.device)
        self._found: list[Tensor] = []  # a strip each

    def take(self, strip: Strip, columns: Tensor) -> None:
        """Look up columns (sources, m, width), as (rows, targets, m, width)."""
        if not self.rows:
            return
        asked = columns[self._columns]
        distances, ordered = strip.distances.of_layers(self._targets), strip.ordered[self._targets]
        if self.direction.aligned:
            self._found.append(mid_ranks(distances, ordered, asked)[:, None])
            return
        rows, m, width = asked.shape
        targets = len(ordered)
        asked = asked.transpose(0, 1).reshape(m, rows * width).expand(targets, -1, -1)
        ranks = mid_ranks(distances, ordered, asked).view(targets, m, rows, width)
        self._found.append(ranks.permute(2, 0, 1, 3))

    def values(self, n: int) -> list[Tensor]:
        """For each row the edges' values, (targets, n, width)."""
        return list(torch.cat(self._found, 2) * (2 / n)) if self.rows else []


def targets_excess(strip: Strip, n: int) -> Tensor:
    """By how much each sample's value as a target exceeds 1, summed over sampled rows.

    Args:
        strip: The rows among which the sampled ones are looked for.
        n: The block's size; all rows are sampled up to 128, above evenly spaced ones.

    Returns:
        `(layers, n)` float64.
    """
    rows = [row - strip.start for row in sampled_rows(n) if strip.start <= row < strip.stop]
    if not rows:
        return torch.zeros_like(strip.norms)
    distances, index = strip.distances, layer_index(rows, strip.norms.device)
    norms = None if distances.row_norms is None else distances.row_norms[:, index]
    picked = Distances(distances.values[:, index], norms, distances.column_norms)
    excess = all_mid_ranks(picked) * (2 / n) - 1
    return excess.masked_fill_(picked.values.isinf(), 0.0).sum(1)


def sampled_rows(n: int) -> list[int]:
    """The rows of a block over which a sample's mean value as a target is taken."""
    if n <= _SAMPLED_ROWS:
        return list(range(n))
    return [n * m // _SAMPLED_ROWS for m in range(_SAMPLED_ROWS)]


def edge_sums(edges: Edges, expected: Tensor, groups: Tensor | None) -> dict[str, Tensor]:
    """What one source layer adds to the sums of the standard error.

    Args:
        edges: Its edges.
        expected: `(targets, n)`: q_v, k times the mean excess of sample v as a target.
        groups: `(n,)` sequence of each sample, from 0; None where samples are independent.

    Returns:
        `(targets,)` for each of `PAIR_SUMS` and `()` for each of `SOURCE_SUMS`. With P = W o R and
        a, c the row + column sums of P and W, per sample: `p` sum P, `a_a` sum a^2, `a_c` sum a c,
        `a_q`, `c_q` the like; `g_g` sum P o (P + P^T), `g_w` sum P o (W + W^T), `w_w` sum
        W o (W + W^T); `p_p` sum of squared row sums of P, `p_n` those times the sequence's length.
    """
    flat, weights = edges.columns.flatten(), edges.weights.flatten()
    products = (edges.weights * edges.values).flatten(1)
    by_row = products.view(*edges.values.shape).sum(-1)
    a = by_group(by_row + torch.zeros_like(by_row).index_add_(1, flat, products), groups)
    received = torch.zeros_like(by_row[0]).index_add_(0, flat, weights)
    c = by_group(edges.weights.sum(-1) + received, groups)
    q = by_group(expected, groups)
    sent = by_group(by_row, groups)
    sizes = by_group(torch.ones_like(received), groups)
    back, mutual = _reverse_edges(edges.columns)
    weights_back, products_back = weights[back] * mutual, products[:, back] * mutual
    return {
        "p": by_row.sum(-1).expand(len(a)),
        "a_a": a.square().sum(-1),
        "a_c": (a * c).sum(-1),
        "a_q": (a * q).sum(-1),
        "c_q": (c * q).sum(-1),
        "g_g": (products * (products + products_back)).sum(-1),
        "g_w": (products * (weights + weights_back)).sum(-1),
        "p_p": sent.square().sum(-1),
        "p_n": (sent * sizes).sum(-1),
        "c_c": c.square().sum(),
        "w_w": (weights * (weights + weights_back)).sum(),
    }


def by_group(values: Tensor, groups: Tensor | None) -> Tensor:
    """Values `(..., n)` summed over each sequence, `(..., n)` with 0 in the slots left over.

    Args:
        values: One for each sample.
        groups: `(n,)` sequence of each sample, from 0; None where samples are independent.
    """
    if groups is None:
        return values
    return torch.zeros_like(values).index_add_(-1, groups, values)


def _reverse_edges(columns: Tensor) -> tuple[Tensor, Tensor]:
    """For each edge i -> j of lists (n, width) where the edge j -> i stands, and whether it does.

    Returns:
        Positions in the flattened lists and truth values, each `(n * width,)`.
    """
    n, width = columns.shape
    rows = torch.arange(n, device=columns.device)[:, None]
    keys = (rows * n + columns).flatten()
    ordered, order = keys.sort()
    wanted = (columns * n + rows).flatten()
    places = torch.searchsorted(ordered, wanted).clamp_(max=n * width - 1)
    return order[places], ordered[places] == wanted
