"""Centered kernel alignment of two row matrices."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hooksim.errors import ConfigError
from hooksim.functional.gram import centre, strip_bounds
from hooksim.functional.hsic import (
    double_centred,
    hsic_factor,
    minimum_samples,
    noise_floor,
    u_centred,
)
from hooksim.functional.inputs import check_pair, result_dtype
from hooksim.functional.precision import full_precision
from hooksim.functional.rbf import rbf_kernel, rbf_width

__all__ = ["check_kernel", "cka", "cka_ratio", "kernel_cka"]

_Strips = Callable[[int, int], Tensor]


def check_kernel(kernel: str, bandwidth: float) -> None:
    """Refuse a kernel that is not known, or has no sensible bandwidth.

    Raises:
        ConfigError: With the kernels that are there.
    """
    if kernel not in ("linear", "rbf"):
        raise ConfigError(f"kernel: expected 'linear' or 'rbf', got {kernel!r}.")
    if not 0 < bandwidth < math.inf:
        raise ConfigError(f"bandwidth: expected a number above 0, got {bandwidth!r}.")


def _linear_strips(x: Tensor, debiased: bool, dtype: torch.dtype) -> _Strips:
    """Centred rows start:stop of the linear kernel matrix of `x`, (..., n, d)."""
    rows = centre(x, dtype).rows
    sums = -torch.linalg.vecdot(rows, rows).to(torch.float64)

    def strip(start: int, stop: int) -> Tensor:
        kernel = rows[..., start:stop, :] @ rows.mT
        return u_centred(kernel, sums, start) if debiased else kernel

    return strip


def _rbf_strips(x: Tensor, debiased: bool, bandwidth: float) -> _Strips:
    """Centred rows start:stop of the RBF kernel matrix of `x`, (..., n, d)."""
    rows = centre(x).rows
    norms = torch.linalg.vecdot(rows, rows)
    width = rbf_width(rows, bandwidth)

    def kernel(start: int, stop: int) -> Tensor:
        return rbf_kernel(rows[..., start:stop, :] @ rows.mT, norms, width, start)

    bounds = strip_bounds(norms.shape[-1], norms.numel())
    sums = torch.cat([kernel(*each).sum(-1) for each in bounds], -1)

    def strip(start: int, stop: int) -> Tensor:
        if debiased:
            return u_centred(kernel(start, stop), sums - 1, start)
        return double_centred(kernel(start, stop), sums, start)

    return strip


@torch.no_grad()
@full_precision()
def kernel_cka(
    x: Tensor,
    y: Tensor,
    *,
    kernel: str,
    debiased: bool,
    bandwidth: float,
    eps: float = 0.0,
) -> Tensor:
    """CKA strip by strip: no matrix of all pairs of samples is kept; input is taken as checked.

    Args:
        x: Rows `(..., n, d_x)`.
        y: Rows `(..., n, d_y)`.
        kernel: `"linear"` or `"rbf"`.
        debiased: Unbiased or biased HSIC.
        bandwidth: Of the RBF kernel.
        eps: A side does not vary where its HSIC, of rows scaled to mean squared norm 1, is not
            above this.

    Returns:
        `(...)` float64; NaN where a side does not vary, and below `minimum_samples(debiased)`.
    """
    *batch, n, _ = x.shape
    sums = x.new_zeros((3, *batch), dtype=torch.float64)
    if n < minimum_samples(debiased):
        return sums[0].fill_(float("nan"))
    dtype = torch.float64 if kernel == "rbf" else result_dtype(x, y)
    if not sums.numel():
        return sums[0]
    sides = [
        _rbf_strips(side, debiased, bandwidth)
        if kernel == "rbf"
        else _linear_strips(side, debiased, dtype)
        for side in (x, y)
    ]
    for start, stop in strip_bounds(n, 2 * sums[0].numel() * n):
        kernels = [strip(start, stop) for strip in sides]
        for total, (i, j) in zip(sums, ((0, 1), (0, 0), (1, 1)), strict=True):
            total += torch.linalg.vecdot(kernels[i], kernels[j]).sum(-1, dtype=torch.float64)
    floor = max(eps, noise_floor(dtype))
    return cka_ratio(*(sums * (hsic_factor(n, debiased) / n)), floor=floor)


def cka_ratio(xy: Tensor, xx: Tensor, yy: Tensor, *, floor: float | Tensor) -> Tensor:
    """HSIC of two sides over the geometric mean of their own.

    Args:
        xy: HSIC of the two sides, any shape.
        xx: HSIC of the first with itself, broadcast to `xy`.
        yy: HSIC of the second with itself, broadcast to `xy`.
        floor: What `xx` and `yy` must exceed.

    Returns:
        The shape of `xy`, float64; NaN where `xx` or `yy` does not exceed `floor`.
    """
    defined = (xx > floor) & (yy > floor)
    # Two roots: the product of two HSICs over- and underflows long before they do.
    return torch.where(defined, xy / (xx.sqrt() * yy.sqrt()), float("nan"))


def cka(
    x: Tensor,
    y: Tensor,
    *,
    kernel: str = "linear",
    debiased: bool = True,
    bandwidth: float = 1.0,
) -> Tensor:
    """Centered kernel alignment of two representations of the same samples.

    1 means that the two agree up to rotation, scale and shift; 0 that they share no linear
    structure. The debiased value has mean 0 for independent rows and may fall below it.

    Args:
        x: Rows `(..., n, d_x)` of any real dtype.
        y: Rows `(..., n, d_y)`, on the same device.
        kernel: `"linear"`, or `"rbf"`: `exp(-d^2 / (2 s^2))` with s `bandwidth` times the median
            distance between samples (of 4096 evenly spaced ones where there are more).
        debiased: With unbiased HSIC. The biased value of independent rows nears 1 as `d / n` grows.
        bandwidth: Of the RBF kernel, as a multiple of the median distance.

    Returns:
        `(...)`, float64 for float64 input, else float32, without gradients. NaN where a side does
        not vary (for the RBF kernel: where half of all pairs of samples are equal), and for fewer
        than 4 samples (2 if biased).

    Raises:
        ShapeError: The two are not rows of the same samples.
        ConfigError: Another kernel, complex numbers, or two devices.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0], [0.0, 0.0]])
        >>> round(cka(x, 3 * x + 7).item(), 6)
        1.0

    Source: Kornblith et al. 2019 (CKA); Song et al. 2012, equation 5 (unbiased HSIC).
    """
    check_pair(x, y)
    check_kernel(kernel, bandwidth)
    value = kernel_cka(x, y, kernel=kernel, debiased=debiased, bandwidth=bandwidth)
    return value.to(result_dtype(x, y))
