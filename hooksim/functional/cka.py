"""Centered kernel alignment of two row matrices."""

import torch
from torch import Tensor

from hooksim.errors import ConfigError
from hooksim.functional.gram import centre, strip_bounds
from hooksim.functional.hsic import hsic_factor, minimum_samples, noise_floor, u_centred
from hooksim.functional.inputs import check_pair, result_dtype
from hooksim.functional.precision import full_precision

__all__ = ["check_kernel", "cka", "cka_ratio", "linear_cka"]


def check_kernel(kernel: str, bandwidth: float) -> None:
    """Refuse a kernel that is not known, not built yet, or has no sensible bandwidth.

    Raises:
        ConfigError: With the kernels that are there.
    """
    if kernel == "rbf":
        raise ConfigError("kernel='rbf' is not available in this version; use kernel='linear'.")
    if kernel != "linear":
        raise ConfigError(f"kernel: expected 'linear', got {kernel!r}.")
    if not bandwidth > 0:
        raise ConfigError(f"bandwidth: expected a number above 0, got {bandwidth!r}.")


@torch.no_grad()
@full_precision()
def linear_cka(x: Tensor, y: Tensor, debiased: bool, eps: float = 0.0) -> Tensor:
    """CKA with the linear kernel, strip by strip; input is taken as checked.

    Args:
        x: Rows `(..., n, d_x)`.
        y: Rows `(..., n, d_y)`.
        debiased: Unbiased or biased HSIC.
        eps: A side does not vary where its HSIC, of rows scaled to mean squared norm 1, is not
            above this.

    Returns:
        `(...)` float64; NaN where a side does not vary, and below `minimum_samples(debiased)`.
    """
    *batch, n, _ = x.shape
    sums = x.new_zeros((3, *batch), dtype=torch.float64)
    if n < minimum_samples(debiased):
        return sums[0].fill_(float("nan"))
    dtype = result_dtype(x, y)
    rows = [centre(side, dtype).rows for side in (x, y)]
    norms = [torch.linalg.vecdot(side, side).to(torch.float64) for side in rows]
    for start, stop in strip_bounds(n, 2 * sums[0].numel() * n):
        kernels = [side[..., start:stop, :] @ side.mT for side in rows]
        if debiased:
            kernels = [
                u_centred(each, -norm, start) for each, norm in zip(kernels, norms, strict=True)
            ]
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
        kernel: `"linear"`.
        debiased: With unbiased HSIC. The biased value of independent rows nears 1 as `d / n` grows.
        bandwidth: Of the RBF kernel; unused by the linear one.

    Returns:
        `(...)`, float64 for float64 input, else float32, without gradients. NaN where a side does
        not vary, and for fewer than 4 samples (2 if biased).

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
    return linear_cka(x, y, debiased).to(result_dtype(x, y))
