"""The radial basis function kernel, its width set by the median distance between samples."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["MEDIAN_ROWS", "median_distance", "rbf_kernel", "rbf_width", "spaced_rows"]

MEDIAN_ROWS = 4096
"""Samples among which the median distance is taken: evenly spaced ones where there are more."""


def spaced_rows(n: int) -> list[int]:
    """The samples of `n` among which the median distance is taken.

    Example:
        >>> len(spaced_rows(100)), len(spaced_rows(10_000))
        (100, 4096)
    """
    if n <= MEDIAN_ROWS:
        return list(range(n))
    return [n * m // MEDIAN_ROWS for m in range(MEDIAN_ROWS)]


def median_distance(kernel: Tensor, norms: Tensor) -> Tensor:
    """The median of the Euclidean distances over all pairs of different samples.

    Args:
        kernel: `(..., n, n)` inner products, float64.
        norms: `(..., n)` its diagonal.

    Returns:
        `(...)` float64, the mean of the two middle values for an even number of pairs; 0 where
        half of all pairs are equal, NaN for fewer than 2 samples.
    """
    *batch, n, _ = kernel.shape
    if n < 2:
        return kernel.new_full(batch, float("nan"))
    squares = norms[..., None, :] + norms[..., :, None]
    squares.sub_(kernel, alpha=2)
    squares.diagonal(dim1=-2, dim2=-1).fill_(float("inf"))
    # Every pair stands there twice, so the middle of the list is where it is for single pairs.
    flat, half = squares.flatten(-2), (n * n - n) // 2
    middle = _in_order(flat, (half, half + 1))
    # Equal samples are apart by the Gram matrix's rounding, which must not count as a distance.
    rounding = 256 * torch.finfo(torch.float64).eps * norms.mean(-1)
    return torch.where(middle > rounding, middle, 0.0).sqrt().mean(0)


def _in_order(values: Tensor, ranks: Sequence[int]) -> Tensor:
    """The values of the given ranks, from 1, along the last axis, ranks first.

    On the CPU they are found in place, which disturbs `values`; numpy needs no memory for it.
    """
    if values.device.type != "cpu":
        return torch.stack([values.kthvalue(rank).values for rank in ranks])
    places = [rank - 1 for rank in ranks]
    values.numpy().partition(places, axis=-1)
    return torch.stack([values[..., place] for place in places])


def rbf_kernel(kernel: Tensor, norms: Tensor, width: Tensor, start: int = 0) -> Tensor:
    """Rows `start : start + m` of `exp(-d^2 / (2 width^2))`.

    Args:
        kernel: `(..., m, n)` inner products, float64.
        norms: `(..., n)` squared norms of all samples.
        width: `(...)`; 0 gives NaN.
        start: Position of the first row.

    Returns:
        `(..., m, n)` float64, 1 for a sample with itself.

    Source: Kornblith et al. 2019, section 3, with the width as a fraction of the median distance.
    """
    m = kernel.shape[-2]
    squares = torch.add(norms[..., None, :], kernel, alpha=-2)
    squares += norms[..., start : start + m, None]
    scale = torch.where(width > 0, -0.5 / width.square(), float("nan"))
    return squares.clamp_(min=0).mul_(scale[..., None, None]).exp_()


def rbf_width(rows: Tensor, bandwidth: float) -> Tensor:
    """The kernel's width: `bandwidth` times the median distance among (spaced) rows.

    Args:
        rows: `(..., n, d)` float64.
        bandwidth: Above 0.

    Returns:
        `(...)` float64; 0 where half of all pairs of rows are equal.
    """
    n = rows.shape[-2]
    some = rows if n <= MEDIAN_ROWS else rows[..., spaced_rows(n), :]
    kernel = some @ some.mT
    return bandwidth * median_distance(kernel, kernel.diagonal(dim1=-2, dim2=-1))
