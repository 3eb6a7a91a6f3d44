"""Information Imbalance of two row matrices, in both directions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hooksim.errors import ConfigError, NotEnoughSamplesError
from hooksim.functional.gram import centre, strip_bounds
from hooksim.functional.inputs import check_pair, result_dtype
from hooksim.functional.precision import full_precision
from hooksim.functional.ranks import (
    Distances,
    mid_ranks,
    minkowski_distances,
    neighbours,
    sort_rows,
    squared_distances,
)

__all__ = ["check_neighbours", "imbalance_both_ways", "information_imbalance"]


def check_neighbours(k: int, p: float = 2.0, n: int | None = None) -> None:
    """Refuse an exponent, a number of neighbours, or fewer samples than it takes.

    Args:
        k: Number of neighbours.
        p: Exponent of the norm.
        n: Number of samples; None where it is not known yet.

    Raises:
        NotEnoughSamplesError: Fewer than 2 samples.
        ConfigError: `k` outside `1 .. n - 1`, or `p` not above 0.
    """
    if not _is_whole(k) or k < 1:
        raise ConfigError(f"k: expected a whole number from 1, got {k!r}.")
    if not p > 0:
        raise ConfigError(f"p: expected a number above 0, got {p!r}.")
    if n is not None and n < 2:
        raise NotEnoughSamplesError(f"Information Imbalance needs at least 2 samples, got {n}.")
    if n is not None and k > n - 1:
        raise ConfigError(f"k: expected 1 to {n - 1} for {n} samples, got {k}.")


def _is_whole(k: Any) -> bool:
    """Whether a value is an integer, of Python or numpy; True and 2.0 are none."""
    return hasattr(k, "__index__") and not isinstance(k, bool | Tensor)


def _distance_strips(x: Tensor, p: float) -> Callable[[int, int], Distances]:
    """A function that gives rows start:stop of the distances of `x`, (..., n, d)."""
    if p == 2:
        rows = centre(x).rows
        norms = torch.linalg.vecdot(rows, rows)
        return lambda start, stop: squared_distances(
            rows[..., start:stop, :] @ rows.mT, norms, slice(start, stop)
        )
    wide = x.to(torch.float64)
    return lambda start, stop: minkowski_distances(wide[..., start:stop, :], wide, p, start)


@torch.no_grad()
@full_precision()
def imbalance_both_ways(x: Tensor, y: Tensor, k: int, p: float) -> tuple[Tensor, Tensor]:
    """Information Imbalance from x to y and from y to x; input is taken as checked.

    Args:
        x: Rows `(..., n, d_x)`.
        y: Rows `(..., n, d_y)`.
        k: Number of neighbours, 1 to n - 1.
        p: Exponent of the norm.

    Returns:
        Two tensors `(...)` float64, NaN where a side holds NaN or infinity.
    """
    *batch, n, _ = x.shape
    sums = x.new_zeros((2, *batch), dtype=torch.float64)
    if not sums.numel():
        return sums[0], sums[1]
    sides = [_distance_strips(side, p) for side in (x, y)]
    for start, stop in strip_bounds(n, 2 * sums[0].numel() * n):
        strips = [side(start, stop) for side in sides]
        ordered = [sort_rows(strip.values) for strip in strips]
        for total, source, target in zip(sums, (0, 1), (1, 0), strict=True):
            near, counts = neighbours(strips[source], ordered[source], k)
            width = int(counts.max())
            if width > k:
                near, _ = neighbours(strips[source], ordered[source], k, width)
            ranks = mid_ranks(strips[target], ordered[target], near.columns)
            total += (near.weights * ranks).sum((-2, -1))
    finite = (x.isfinite().all(-1) & y.isfinite().all(-1)).all(-1)
    a_to_b, b_to_a = torch.where(finite, sums * (2 / (k * n * n)), float("nan"))
    return a_to_b, b_to_a


def information_imbalance(
    x: Tensor, y: Tensor, *, k: int = 1, p: float = 2.0
) -> tuple[Tensor, Tensor]:
    """How badly the neighbours in one representation predict those in the other, both ways.

    `(k + 1) / n` means that nearest neighbours in the source are nearest in the target: the source
    holds all the information of the target. 1 means that they say nothing; chance carries
    values above 1. Ties count with their expected value under random order, so that the order
    of the samples never matters; a constant side gives 1 both ways.

    Args:
        x: Rows `(..., n, d_x)` of any real dtype.
        y: Rows `(..., n, d_y)`, on the same device.
        k: Number of neighbours, 1 to n - 1.
        p: Exponent of the norm that measures distances, above 0; `math.inf` for the largest
            difference.

    Returns:
        `(a_to_b, b_to_a)`, each `(...)`, float64 for float64 input, else float32, without
        gradients. NaN where a side holds NaN or infinity.

    Raises:
        ShapeError: The two are not rows of the same samples.
        NotEnoughSamplesError: Fewer than 2 samples.
        ConfigError: `k` or `p` out of range, complex numbers, or two devices.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
        >>> information_imbalance(x, 2 * x)
        (tensor(0.5000), tensor(0.5000))

    Source: Glielmo et al. 2022, "Ranking the information content of distance measures".
    """
    check_pair(x, y)
    check_neighbours(k, p, x.shape[-2])
    dtype = result_dtype(x, y)
    a_to_b, b_to_a = imbalance_both_ways(x, y, k, p)
    return a_to_b.to(dtype), b_to_a.to(dtype)
