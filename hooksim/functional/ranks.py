"""Distances, neighbours and ranks, with ties shared equally: the parts of Information Imbalance."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "Distances",
    "Neighbours",
    "Reach",
    "all_mid_ranks",
    "exact_unit",
    "mid_ranks",
    "minkowski_distances",
    "neighbours",
    "order_rows",
    "reach",
    "single_unit",
    "sort_rows",
    "squared_distances",
    "twice_all_mid_ranks",
    "twice_mid_ranks",
]

_TIE_EPS = 256 * torch.finfo(torch.float64).eps  # a float64 Gram of duplicates is off by up to 55
_LEAST_MULTIPLE = 32.0  # of the float32 eps: how far a float32 Gram may be off, however narrow
_ROOTS = 0.25  # the same for the square root of the width, with which rounding errors add up
_LONG_FROM = 8  # lists longer than n / 8 hold every column: no selection, no index


class Distances(NamedTuple):
    """Rows `start : start + m` of a matrix of distances, or of their squares.

    Attributes:
        values: `(..., m, n)`; a sample's distance to itself is infinite.
        row_norms: `(..., m)` squared norms of the rows' samples; None for plain distances.
        column_norms: `(..., n)` squared norms of all samples; None for plain distances.
        unit: `()`, or `(..., 1, 1)`: how far equal distances may be apart, as a share of the norms.
    """

    values: Tensor
    row_norms: Tensor | None
    column_norms: Tensor | None
    unit: Tensor | float = _TIE_EPS

    def of_layers(self, which: slice | Tensor) -> "Distances":
        """The distances of some layers, along the first axis."""
        norms = self.row_norms, self.column_norms
        rows, columns = (None if part is None else part[which] for part in norms)
        unit = self.unit[which] if isinstance(self.unit, Tensor) else self.unit
        return Distances(self.values[which], rows, columns, unit)

    def of_rows(self, which: slice | Tensor) -> "Distances":
        """The distances from some samples, along the last axis but one."""
        rows = None if self.row_norms is None else self.row_norms[..., which]
        return self._replace(values=self.values[..., which, :], row_norms=rows)

    def tolerance(self, columns: Tensor) -> Tensor:
        """Below which difference a distance counts as equal to that of the given columns.

        Args:
            columns: `(..., m, q)` int64.

        Returns:
            `(..., m, q)`.
        """
        if self.row_norms is None or self.column_norms is None:
            found = self.values.gather(-1, columns)
            return self.unit * found.masked_fill(found.isinf(), 0.0)
        norms = self.column_norms[..., None, :].expand(self.values.shape).gather(-1, columns)
        return self.unit * (norms + self.row_norms[..., None])


class Neighbours(NamedTuple):
    """For each sample the others that are, or may be, among its k nearest.

    Attributes:
        columns: `(..., m, width)` int64.
        weights: `(..., m, width)` float64, summing to k: 1 for a neighbour, an equal share of
            the remaining places where several tie for them, 0 for padding.
    """

    columns: Tensor
    weights: Tensor


class Reach(NamedTuple):
    """How far the k nearest of each sample reach, each `(..., m)` float64.

    Attributes:
        inner: Distance below which another sample is one of the k nearest.
        outer: Distance up to which it ties with the k-th nearest.
        places: How many of the k places are left to those that tie.
        tied: How many tie for them.
    """

    inner: Tensor
    outer: Tensor
    places: Tensor
    tied: Tensor

    def shares(self, values: Tensor, axis: int = -1) -> Tensor:
        """What each distance gets of the k places, as a whole number: its weight times `tied`.

        Args:
            values: `(..., m, q)` distances.
            axis: Along which there is one sample whose reach counts; -1 where each row of
                `values` belongs to a sample, -2 where each column does.

        Returns:
            `(..., m, q)` float64: `tied` for a neighbour, `places` for one of several that tie
            for the last places, else 0.
        """
        inner, outer, places, tied = (part.unsqueeze(axis) for part in self)
        nearer, near = (values < inner).to(tied.dtype), (values <= outer).to(tied.dtype)
        return nearer.mul_(tied - places).addcmul_(near, places)  # twice as fast as torch.where


def exact_unit() -> float:
    """How far apart float64 Gram matrices may show equal distances, as a share of the norms."""
    return _TIE_EPS


def single_unit(width: int) -> float:
    """How far apart float32 Gram matrices may show equal distances, as a share of the norms.

    Args:
        width: Number of columns of the rows.
    """
    multiple: float = max(_LEAST_MULTIPLE, _ROOTS * width**0.5)
    return multiple * torch.finfo(torch.float32).eps


def squared_distances(
    kernel: Tensor, norms: Tensor, rows: slice | Tensor, unit: Tensor | float = _TIE_EPS
) -> Distances:
    """Squared Euclidean distances of some samples to all, from rows of a Gram matrix.

    Args:
        kernel: `(..., m, n)` inner products.
        norms: `(..., n)` the Gram matrix's diagonal.
        rows: Which samples they are of: a slice, or `(m,)` int64.
        unit: As of `Distances`; by default for float64.

    Returns:
        In float32 without the squared norm of the row's own sample: it changes no order, and to
        leave it out saves a pass and a rounding.
    """
    values = torch.add(norms[..., None, :], kernel, alpha=-2)
    row_norms = norms[..., rows]
    if values.dtype != torch.float32:
        values += row_norms[..., None]
    if isinstance(rows, Tensor):
        own = rows[:, None].expand(values[..., :1].shape)
        values.scatter_(-1, own, float("inf"))
    else:
        values.diagonal(offset=rows.start, dim1=-2, dim2=-1).fill_(float("inf"))
    return Distances(values, row_norms, norms, unit)


def minkowski_distances(rows: Tensor, x: Tensor, p: float, start: int = 0) -> Distances:
    """Distances in the p-norm, computed directly.

    Args:
        rows: `(..., m, d)`, rows `start : start + m` of `x`.
        x: `(..., n, d)` float64.
        p: Exponent, above 0; infinity for the largest difference.
        start: Position of the first row.
    """
    values = torch.cdist(rows, x, p=p, compute_mode="donot_use_mm_for_euclid_dist")
    values.diagonal(offset=start, dim1=-2, dim2=-1).fill_(float("inf"))
    return Distances(values, None, None)


def sort_rows(values: Tensor) -> Tensor:
    """Each row in ascending order.

    On the CPU numpy sorts: its kernels are vectorised and release the interpreter lock, so the
    rows are sorted side by side on the cores.

    Args:
        values: `(..., n)`, not changed.

    Returns:
        The same shape, contiguous.
    """
    if values.device.type != "cpu":
        return values.sort(dim=-1).values
    ordered = values.clone(memory_format=torch.contiguous_format)
    _on_all_cores(lambda rows: rows.sort(axis=-1), ordered)
    return ordered


def order_rows(values: Tensor) -> Tensor:
    """The columns of each row by ascending value, `(..., n)` int64; like `sort_rows`."""
    if values.device.type != "cpu":
        return values.argsort(dim=-1)
    order = torch.empty(values.shape, dtype=torch.int64)

    def sort(rows: NDArray[Any], into: NDArray[Any]) -> None:
        into[...] = rows.argsort(axis=-1)

    _on_all_cores(sort, values.contiguous(), order)
    return order


def _on_all_cores(work: Callable[..., None], *tensors: Tensor) -> None:
    """Apply numpy work to equal parts of the rows of CPU tensors (..., n), side by side."""
    tables = [tensor.view(-1, tensor.shape[-1]).numpy() for tensor in tensors]
    workers = torch.get_num_threads()
    if workers == 1:
        work(*tables)
        return
    step = max(1, -(-len(tables[0]) // workers))
    parts = [slice(begin, begin + step) for begin in range(0, len(tables[0]), step)]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda part: work(*(table[part] for table in tables)), parts))


def reach(distances: Distances, ordered: Tensor, last: Tensor, k: int) -> Reach:
    """How far the k nearest of each sample reach.

    Args:
        distances: `m` rows of distances to `n` samples.
        ordered: `(..., m, n)`, their values ascending.
        last: `(..., m, 1)` int64, the k-th nearest sample, or one of those that tie for it.
        k: Number of neighbours, at most n - 1.
    """
    value, tolerance = ordered[..., k - 1 : k], distances.tolerance(last)
    inner, outer = value - tolerance, value + tolerance
    closer = torch.searchsorted(ordered, inner)
    up_to = torch.searchsorted(ordered, outer, right=True)
    places, tied = (k - closer).to(value.dtype), (up_to - closer).to(value.dtype)
    return Reach(*(part[..., 0] for part in (inner, outer, places, tied)))


def neighbours(
    distances: Distances, ordered: Tensor, k: int, width: int | None = None
) -> tuple[Neighbours, Tensor]:
    """The k nearest of each sample, those that tie for the last places sharing them equally.

    Args:
        distances: `m` rows of distances to `n` samples.
        ordered: `(..., m, n)`, their values ascending.
        k: Number of neighbours, at most n - 1.
        width: Length of the lists; None for k, which is enough where nothing ties at the k-th
            place. It must reach the largest count for the weights to be right.

    Returns:
        The neighbours, and `(..., m)` int64: how many samples are nearer than the k-th neighbour
        or tie with it, which shows whether `width` was enough.
    """
    values = distances.values
    n = values.shape[-1]
    if k == 1:
        nearest, columns = ordered[..., :1], _nearest(values)
    else:
        nearest, columns = values.topk(k, dim=-1, largest=False)
    extent = reach(distances, ordered, columns[..., k - 1 :], k)
    if width is not None and width > k:
        if width * _LONG_FROM > n:
            nearest, columns = values, torch.arange(n, device=values.device).expand(values.shape)
        else:
            nearest, columns = values.topk(width, dim=-1, largest=False)
    weights = extent.shares(nearest) / extent.tied[..., None]
    return Neighbours(columns, weights), (k - extent.places + extent.tied).to(torch.int64)


def _nearest(values: Tensor) -> Tensor:
    """The column of the smallest value of each row, `(..., 1)`; on the CPU numpy is faster."""
    if values.device.type != "cpu":
        return values.argmin(-1, keepdim=True)
    return torch.from_numpy(values.numpy().argmin(-1, keepdims=True))


def mid_ranks(distances: Distances, ordered: Tensor, columns: Tensor) -> Tensor:
    """The rank of given samples by distance, counted from 1, ties at the middle of their places.

    Args:
        distances: `m` rows of distances to `n` samples.
        ordered: `(..., m, n)`, their values ascending.
        columns: `(..., m, q)` int64, the samples whose ranks are asked.

    Returns:
        `(..., m, q)` float64: `#{d < d_ij} + (t + 1) / 2`, t the number at the same distance.
    """
    return twice_mid_ranks(distances, ordered, columns).to(torch.float64) / 2


def twice_mid_ranks(distances: Distances, ordered: Tensor, columns: Tensor) -> Tensor:
    """Twice what `mid_ranks` gives, which is a whole number, `(..., m, q)` int64."""
    asked = distances.values.gather(-1, columns)
    tolerance = distances.tolerance(columns)
    below = torch.searchsorted(ordered, asked - tolerance)
    return below + torch.searchsorted(ordered, asked + tolerance, right=True) + 1


def all_mid_ranks(distances: Distances) -> Tensor:
    """The rank of every sample, like `mid_ranks` of all columns, by one sort of each row.

    Args:
        distances: `m` rows of distances to `n` samples.

    Returns:
        `(..., m, n)` float64; n for a sample's own place.
    """
    order = order_rows(distances.values)
    return twice_all_mid_ranks(distances, order, distances.values.gather(-1, order)) / 2


def twice_all_mid_ranks(distances: Distances, order: Tensor, ordered: Tensor) -> Tensor:
    """Twice what `all_mid_ranks` gives, in whole numbers.

    Distances tie where each differs from the next one by no more than its tolerance. Only a chain
    of distances that lie closer than rounding error without being equal is ranked otherwise than
    `mid_ranks` would.

    Args:
        distances: `m` rows of distances to `n` samples.
        order: `(..., m, n)` int64, the columns of each row by ascending distance.
        ordered: `(..., m, n)`, the distances in that order.

    Returns:
        `(..., m, n)` float64; 2n for a sample's own place.
    """
    n = order.shape[-1]
    apart = ordered.diff(dim=-1) > distances.tolerance(order)[..., 1:]
    edge = torch.ones_like(apart[..., :1])
    places = torch.arange(1, n + 1, device=order.device, dtype=torch.int32)
    # Sums and products instead of torch.where, which takes four times as long here.
    begins, ends = torch.cat([edge, apart], -1), torch.cat([apart, edge], -1)
    first = begins.to(places.dtype).mul_(places).cummax(-1).values
    last = (~ends).to(places.dtype).mul_(n).add_(places)
    last = last.flip(-1).cummin(-1).values.flip(-1)
    ranks = torch.empty_like(ordered, dtype=torch.float64)
    return ranks.scatter_(-1, order, (first + last).to(ranks.dtype))
