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
    "all_mid_ranks",
    "list_width",
    "mid_ranks",
    "minkowski_distances",
    "neighbours",
    "order_rows",
    "sort_rows",
    "squared_distances",
]

_TIE_EPS = 256 * torch.finfo(torch.float64).eps  # a float64 Gram of duplicates is off by up to 55
_DENSE_FROM = 8  # lists longer than n / 8 hold every column: no selection, no index


class Distances(NamedTuple):
    """Rows `start : start + m` of a matrix of distances, or of their squares.

    Attributes:
        values: `(..., m, n)` float64; a sample's distance to itself is infinite.
        row_norms: `(..., m)` squared norms of the rows' samples; None for plain distances.
        column_norms: `(..., n)` squared norms of all samples; None for plain distances.
    """

    values: Tensor
    row_norms: Tensor | None
    column_norms: Tensor | None

    def of_layers(self, which: slice | Tensor) -> "Distances":
        """The distances of some layers, along the first axis."""
        norms = self.row_norms, self.column_norms
        rows, columns = (None if part is None else part[which] for part in norms)
        return Distances(self.values[which], rows, columns)

    def tolerance(self, columns: Tensor) -> Tensor:
        """Below which difference a distance counts as equal to that of the given columns.

        Args:
            columns: `(..., m, q)` int64.

        Returns:
            `(..., m, q)` float64.
        """
        if self.row_norms is None or self.column_norms is None:
            found = self.values.gather(-1, columns)
            return _TIE_EPS * found.masked_fill(found.isinf(), 0.0)
        norms = self.column_norms[..., None, :].expand(self.values.shape).gather(-1, columns)
        return _TIE_EPS * (norms + self.row_norms[..., None])


class Neighbours(NamedTuple):
    """For each sample the others that are, or may be, among its k nearest.

    Attributes:
        columns: `(..., m, width)` int64.
        weights: `(..., m, width)` float64, summing to k: 1 for a neighbour, an equal share of
            the remaining places where several tie for them, 0 for padding.
    """

    columns: Tensor
    weights: Tensor


def squared_distances(kernel: Tensor, norms: Tensor, start: int = 0) -> Distances:
    """Squared Euclidean distances from rows `start : start + m` of a float64 Gram matrix.

    Args:
        kernel: `(..., m, n)` inner products.
        norms: `(..., n)` the Gram matrix's diagonal.
        start: Position of the first row.
    """
    m = kernel.shape[-2]
    values = torch.add(norms[..., None, :], kernel, alpha=-2)
    row_norms = norms[..., start : start + m]
    values += row_norms[..., None]
    values.diagonal(offset=start, dim1=-2, dim2=-1).fill_(float("inf"))
    return Distances(values, row_norms, norms)


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
    step = max(1, -(-len(tables[0]) // workers))
    parts = [slice(begin, begin + step) for begin in range(0, len(tables[0]), step)]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda part: work(*(table[part] for table in tables)), parts))


def list_width(n: int, width: int) -> int:
    """The length that neighbour lists of at least `width` get: all n, in order, if it is long."""
    return n if width * _DENSE_FROM > n else width


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
    nearest, columns = values.topk(k, dim=-1, largest=False)
    last, last_column = nearest[..., k - 1 :], columns[..., k - 1 :]
    tolerance = distances.tolerance(last_column)
    counts = torch.searchsorted(ordered, last + tolerance, right=True)[..., 0]
    if width is not None and width > k:
        if list_width(n, width) == n:
            nearest, columns = values, torch.arange(n, device=values.device).expand(values.shape)
        else:
            nearest, columns = values.topk(width, dim=-1, largest=False)
    closer = nearest < last - tolerance
    tied = (nearest <= last + tolerance) & ~closer
    places = k - closer.sum(-1, keepdim=True, dtype=torch.float64)
    share = places / tied.sum(-1, keepdim=True, dtype=torch.float64)
    return Neighbours(columns, closer + tied * share), counts


def mid_ranks(distances: Distances, ordered: Tensor, columns: Tensor) -> Tensor:
    """The rank of given samples by distance, counted from 1, ties at the middle of their places.

    Args:
        distances: `m` rows of distances to `n` samples.
        ordered: `(..., m, n)`, their values ascending.
        columns: `(..., m, q)` int64, the samples whose ranks are asked.

    Returns:
        `(..., m, q)` float64: `#{d < d_ij} + (t + 1) / 2`, t the number at the same distance.
    """
    asked = distances.values.gather(-1, columns)
    tolerance = distances.tolerance(columns)
    below = torch.searchsorted(ordered, asked - tolerance)
    up_to = torch.searchsorted(ordered, asked + tolerance, right=True)
    return (below + up_to + 1).to(torch.float64) / 2


def all_mid_ranks(distances: Distances) -> Tensor:
    """The rank of every sample, like `mid_ranks` of all columns, by one sort of each row.

    Distances tie where each differs from the next one by no more than its tolerance. Only a chain
    of distances that lie closer than rounding error without being equal is ranked otherwise than
    `mid_ranks` would.

    Args:
        distances: `m` rows of distances to `n` samples.

    Returns:
        `(..., m, n)` float64; n for a sample's own place.
    """
    order = order_rows(distances.values)
    ordered = distances.values.gather(-1, order)
    apart = ordered.diff(dim=-1) > distances.tolerance(order)[..., 1:]
    edge = torch.ones_like(apart[..., :1])
    places = torch.arange(1, order.shape[-1] + 1, device=order.device)
    first = torch.where(torch.cat([edge, apart], -1), places, 0).cummax(-1).values
    last = torch.where(torch.cat([apart, edge], -1), places, places[-1])
    last = last.flip(-1).cummin(-1).values.flip(-1)
    ranks = torch.empty_like(distances.values)
    return ranks.scatter_(-1, order, (first + last).to(ranks.dtype) / 2)
