"""The neighbour edges of layers with so many that they are summed as the strips come, unlisted."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.accumulators.edges import by_group, sample_sums
from hooksim.accumulators.lookups import LookUp
from hooksim.blocks.block import layer_index
from hooksim.blocks.strip import Strip
from hooksim.functional.ranks import Distances, Reach, order_rows, reach, twice_all_mid_ranks

__all__ = ["StreamedEdges", "bytes_of_target"]

_Index = slice | Tensor

_EXACT_UP_TO = 2048  # samples up to which mutual edges are looked for among all of them
_SAMPLED = 1024  # among how many of a larger block
_PIECE_ELEMENTS = 1 << 20  # distances worked on at a time: twenty such tensors are held


def bytes_of_target(n: int, pairs: int) -> int:
    """What is held for a target from strip to strip.

    Args:
        n: Number of samples.
        pairs: Number of sources whose neighbours are looked up in it.
    """
    size = n if n <= _EXACT_UP_TO else _SAMPLED
    return size**2 * _rank_dtype(n).itemsize + pairs * n * 16


def _sample(n: int) -> list[int]:
    """The samples among which mutual edges are looked for, ascending; the same every time.

    They are drawn, since evenly spaced ones would never be near each other, and rows that are, such
    as the tokens of one sequence, may have more in common than others.
    """
    if n <= _EXACT_UP_TO:
        return list(range(n))
    drawn = torch.randperm(n, generator=torch.Generator().manual_seed(n))[:_SAMPLED]
    return sorted(drawn.tolist())


def _rank_dtype(n: int) -> torch.dtype:
    """What holds 2n."""
    return torch.int16 if 2 * n <= torch.iinfo(torch.int16).max else torch.int32


class _Piece(NamedTuple):
    """Some rows of a strip; ranks are in units of half a rank, so that they are whole numbers.

    Attributes:
        rows: Where they are in the block.
        shares: `(sources, m, n)` W times `tied`, whole numbers.
        tied: `(sources, m)` how many samples tie for the last places.
        weights: `(sources, m, n)` W.
        ranks: `(targets, m, n)`.
    """

    rows: slice
    shares: Tensor
    tied: Tensor
    weights: Tensor
    ranks: Tensor


class _Mutual(NamedTuple):
    """Pairs of sampled samples, i in a piece and j in it or before it; ranks as in `_Piece`.

    Attributes:
        weights: `(sources, i, j)` W_ij W_ji, doubled where the pair is not met again as j, i.
        products: `(targets, i, j)` R_ij R_ji.
        means: `(targets, i, j)` of R_ij and R_ji.
    """

    weights: Tensor
    products: Tensor
    means: Tensor


class _Pairs:
    """The sums of one look-up's pairs, `(g, s, t)`: g is 1 or, if aligned, s and t are.

    Args:
        lookup: The look-up.
        sources: Where its sources are among those of a piece.
        targets: The same for its targets.
        like: `(n,)` float64.
    """

    def __init__(self, lookup: LookUp, sources: _Index, targets: _Index, like: Tensor) -> None:
        self.lookup = lookup
        self._sources, self._targets = sources, targets
        rows, columns = lookup.shape
        shape = (rows, 1, 1) if lookup.direction.aligned else (1, rows, columns)
        each = (shape[0], len(like), *shape[1:])  # samples before pairs: to be added to in place
        self._sent, self._received = like.new_zeros(each), like.new_zeros(each)
        self._p_p, self._p_w, self._mutual_p_p, self._mutual_p_w = like.new_zeros((4, *shape))

    def add(self, piece: _Piece) -> None:
        """Add the edges that lead from a piece's samples."""
        shares, weights, tied = (
            self._laid_out(part, self._sources)
            for part in (piece.shares, piece.weights, piece.tied)
        )
        ranks = self._laid_out(piece.ranks, self._targets)
        sent = shares.transpose(1, 2) @ ranks.permute(0, 2, 3, 1)  # whole numbers: exact
        self._sent[:, piece.rows] = sent / tied.mT[..., None]
        by_column, of_column = weights.permute(0, 3, 1, 2), ranks.permute(0, 3, 2, 1)
        self._received.flatten(0, 1).baddbmm_(
            by_column.flatten(0, 1).contiguous(), of_column.flatten(0, 1).contiguous()
        )
        squares = weights.square()
        self._p_w += _inner(squares, ranks)
        self._p_p += _inner(squares, ranks.square())

    def add_mutual(self, pairs: _Mutual) -> None:
        """Add pairs of samples that edges may lead both ways between."""
        weights = self._laid_out(pairs.weights, self._sources)
        self._mutual_p_w += _inner(weights, self._laid_out(pairs.means, self._targets))
        self._mutual_p_p += _inner(weights, self._laid_out(pairs.products, self._targets))

    def sums(
        self, c: Tensor, expected: Tensor, groups: Tensor | None, scale: float
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Each row and its sums, `(targets,)` for each of `PAIR_SUMS`.

        Args:
            c: `(sources of the pieces, n)` row + column sums of W, by sequence.
            expected: `(targets of the pieces, n)`.
            groups: `(n,)` sequence of each sample, or None.
            scale: What a sum over sampled pairs is multiplied by.
        """
        n = len(c[0])
        g_g = (self._p_p + scale * self._mutual_p_p).flatten(0, 1) / n**2
        g_w = (self._p_w + scale * self._mutual_p_w).flatten(0, 1) / n
        sent, received = (
            part.permute(0, 2, 3, 1).flatten(0, 1) for part in (self._sent, self._received)
        )
        of_source, q = c[self._sources], expected[self._targets]
        for row in range(len(sent)):
            own = q[row : row + 1] if self.lookup.direction.aligned else q
            sums = sample_sums(sent[row] / n, received[row] / n, of_source[row], own, groups)
            yield row, sums | {"g_g": g_g[row], "g_w": g_w[row]}

    def _laid_out(self, part: Tensor, which: _Index) -> Tensor:
        """The look-up's layers of a part (layers, ...), as (g, s or t, ...)."""
        return part[which].unsqueeze(1 if self.lookup.direction.aligned else 0)


class StreamedEdges:
    """Takes strips and keeps nothing of single edges, but the ranks of a sample of samples.

    What an edge needs of the edge that leads back is known for pairs of sampled samples only: all
    up to 2048, else 1024, whose sums are scaled up. They are part of the standard error alone. Of
    4096 samples, 13 kinds of layers and three k, sampling changed it by 0.01 % in the median, by
    0.2 % in one case of ten, and by 1.3 % at most.

    Args:
        layers: Stored layers of the strips that it will be given.
        lookups: The ranks to look up.
        n: Number of samples.
        k: Number of neighbours.
        device: Where the strips are.

    Attributes:
        sources: Stored layers whose neighbours are taken.
    """

    def __init__(
        self,
        layers: Sequence[int],
        lookups: Sequence[LookUp],
        *,
        n: int,
        k: int,
        device: torch.device,
    ) -> None:
        self.sources = sorted({source for each in lookups for source in each.sources})
        self._targets = sorted({target for each in lookups for target in each.targets})
        used = sorted({*self.sources, *self._targets})
        self._n, self._k = n, k
        self._used = _positions(used, layers, device)
        self._of_sources = _positions(self.sources, used, device)
        self._of_targets = _positions(self._targets, used, device)
        self._height = max(1, _PIECE_ELEMENTS // (len(used) * n))
        self._sampled = _sample(n)
        self._sample = torch.tensor(self._sampled, device=device)
        size = len(self._sampled)
        zeros = torch.zeros((len(self.sources), n), dtype=torch.float64, device=device)
        self._received = zeros
        self._w_w, self._mutual_w_w = zeros.new_zeros((2, len(self.sources)))
        self._reach = Reach(*zeros.new_zeros((4, len(self.sources), size)))
        self._ranks = zeros.new_zeros((len(self._targets), size, size), dtype=_rank_dtype(n))
        self._pairs = [
            _Pairs(
                each,
                _positions(each.sources, self.sources, device),
                _positions(each.targets, self._targets, device),
                zeros[0],
            )
            for each in lookups
        ]

    def look(self, strip: Strip) -> Strip:
        """Nothing but the strip, with its distances made: what is found is added in turn."""
        _ = strip.distances
        return strip

    def add(self, strip: Strip) -> None:
        """Add the edges that lead from the strip's samples."""
        for start in range(strip.start, strip.stop, self._height):
            rows = slice(start, min(start + self._height, strip.stop))
            within = slice(rows.start - strip.start, rows.stop - strip.start)
            self._take(strip.distances.of_layers(self._used).of_rows(within), rows)

    def _take(self, distances: Distances, rows: slice) -> None:
        order = order_rows(distances.values)
        ordered = distances.values.gather(-1, order)
        near = distances.of_layers(self._of_sources)
        last = order[self._of_sources][..., self._k - 1 : self._k]
        extent = reach(near, ordered[self._of_sources], last, self._k)
        shares = extent.shares(near.values)
        ranks = twice_all_mid_ranks(
            distances.of_layers(self._of_targets),
            order[self._of_targets],
            ordered[self._of_targets],
        )
        del order, ordered
        piece = _Piece(rows, shares, extent.tied, shares / extent.tied[..., None], ranks)
        self._received += piece.weights.sum(1)
        self._w_w += piece.weights.square().sum((1, 2))
        for pairs in self._pairs:
            pairs.add(piece)
        mutual = self._mutual(near.values, extent, piece)
        if mutual is not None:
            self._mutual_w_w += mutual.weights.sum((1, 2))
            for pairs in self._pairs:
                pairs.add_mutual(mutual)

    def _mutual(self, distances: Tensor, extent: Reach, piece: _Piece) -> _Mutual | None:
        """The piece's sampled samples with all sampled ones up to its end; None if it has none."""
        first, stop = piece.rows.start, piece.rows.stop
        begin, end = bisect_left(self._sampled, first), bisect_left(self._sampled, stop)
        if begin == end:
            return None
        rows, columns = self._where(begin, end, first), self._where(0, end)
        for held, found in zip(self._reach, extent, strict=True):
            held[:, begin:end] = found[:, rows]
        ranks = piece.ranks[:, rows]
        self._ranks[:, begin:end] = ranks[..., self._where(0, len(self._sampled))]
        forth = ranks[..., columns]
        back = self._ranks[:, :end, begin:end].mT.to(forth.dtype)
        reach_of_columns = Reach(*(part[:, :end] for part in self._reach))
        weights = reach_of_columns.shares(distances[:, rows][..., columns], axis=-2)
        weights /= reach_of_columns.tied[:, None]
        weights *= piece.weights[:, rows][..., columns]
        weights[..., :begin] *= 2
        return _Mutual(weights, forth * back, (forth + back) / 2)

    def _where(self, begin: int, end: int, offset: int = 0) -> _Index:
        """What picks some of the sampled samples from an axis that begins at a sample."""
        if len(self._sampled) == self._n:
            return slice(begin - offset, end - offset)
        return self._sample[begin:end] - offset

    def own_sums(self, groups: Tensor | None) -> dict[str, Tensor]:
        """`c_c` and `w_w` of `SourceEdges.own_sums`, `(sources,)` each."""
        c_c = self._c(groups).square().sum(-1)
        return {"c_c": c_c, "w_w": self._w_w + self._scale * self._mutual_w_w}

    def pair_sums(
        self, expected: Tensor, groups: Tensor | None
    ) -> Iterator[tuple[LookUp, int, dict[str, Tensor]]]:
        """The sums of `SourceEdges.pair_sums`: look-up, which of its rows, and `(targets,)` each.

        Args:
            expected: `(stored layers, n)` q_v.
            groups: `(n,)` sequence of each sample, from 0; None where samples are independent.
        """
        c, q = self._c(groups), expected[layer_index(self._targets, expected.device)]
        for pairs in self._pairs:
            for row, sums in pairs.sums(c, q, groups, self._scale):
                yield pairs.lookup, row, sums

    def _c(self, groups: Tensor | None) -> Tensor:
        return by_group(self._received + self._k, groups)

    @property
    def _scale(self) -> float:
        """All pairs of samples for each sampled one."""
        size = len(self._sampled)
        return self._n * (self._n - 1) / (size * (size - 1))


def _positions(wanted: Sequence[int], among: Sequence[int], device: torch.device) -> _Index:
    """Where some layers are among others."""
    place = {layer: index for index, layer in enumerate(among)}
    return layer_index([place[layer] for layer in wanted], device)


def _inner(left: Tensor, right: Tensor) -> Tensor:
    """Inner products of the matrices of (g, s, i, j) with those of (g, t, i, j), (g, s, t)."""
    return left.flatten(2) @ right.flatten(2).mT
