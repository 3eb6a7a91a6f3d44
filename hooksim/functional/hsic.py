"""The Hilbert-Schmidt independence criterion of two kernel matrices, whole or strip by strip."""

import torch
from torch import Tensor

__all__ = ["double_centred", "hsic", "hsic_factor", "minimum_samples", "noise_floor", "u_centred"]


def minimum_samples(debiased: bool) -> int:
    """The fewest samples for which HSIC is defined: 4 for the unbiased form, 2 for the biased."""
    return 4 if debiased else 2


def hsic_factor(n: int, debiased: bool) -> float:
    """What turns `sum_j A_ij B_ij` of centred kernels into the term `h_i`, HSIC being their mean.

    Args:
        n: Number of samples.
        debiased: Unbiased (U-centred kernels) or biased (double-centred kernels).

    Returns:
        `1 / (n - 3)` or `n / (n - 1)^2`; NaN below `minimum_samples`.
    """
    if n < minimum_samples(debiased):
        return float("nan")
    return 1.0 / (n - 3) if debiased else n / (n - 1) ** 2


def noise_floor(dtype: torch.dtype) -> float:
    """Below which the HSIC of scaled rows with themselves is rounding error, not variation.

    Off the diagonal a centred kernel of rows with mean squared norm 1 is wrong by a few eps of its
    trace; the square of that is what a layer shows of which only one sample differs.

    Args:
        dtype: Of the kernel.
    """
    return 64 * float(torch.finfo(dtype).eps) ** 2


def u_centred(kernel: Tensor, sums: Tensor, start: int = 0) -> Tensor:
    """U-centre rows `start : start + m` of a kernel matrix.

    Off the diagonal `K_ij - r_i / (n-2) - r_j / (n-2) + t / ((n-1)(n-2))`, on it 0, with `r` and
    `t` the row sums and the total of K without its diagonal. For the linear kernel of centred
    rows `r_i = -K_ii`: no pass over the matrix is needed for them.

    Args:
        kernel: `(..., m, n)`, not changed.
        sums: `(..., n)`, row sums of the whole matrix without its diagonal.
        start: Position of the first row.

    Returns:
        `(..., m, n)`, dtype of `kernel`.

    Source: Szekely and Rizzo 2014, "Partial distance correlation with methods for dissimilarities".
    """
    m, n = kernel.shape[-2:]
    per_row = (sums / (n - 2)).to(kernel.dtype)
    shift = (sums.sum(-1) / ((n - 1) * (n - 2))).to(kernel.dtype)
    centred = kernel - (per_row - shift[..., None])[..., None, :]
    centred -= per_row[..., start : start + m, None]
    centred.diagonal(offset=start, dim1=-2, dim2=-1).zero_()
    return centred


def double_centred(kernel: Tensor, sums: Tensor, start: int = 0) -> Tensor:
    """Take the row, column and total means out of rows `start : start + m` of a kernel matrix.

    Args:
        kernel: `(..., m, n)`, not changed.
        sums: `(..., n)`, row sums of the whole matrix, its diagonal included.
        start: Position of the first row.

    Returns:
        `(..., m, n)`, dtype of `kernel`.
    """
    m, n = kernel.shape[-2:]
    means = (sums / n).to(kernel.dtype)
    centred = kernel - (means - means.mean(-1, keepdim=True))[..., None, :]
    centred -= means[..., start : start + m, None]
    return centred


def hsic(kernel_x: Tensor, kernel_y: Tensor, *, debiased: bool = True) -> Tensor:
    """How much two kernel matrices of the same samples vary together.

    0 means that the two are independent as far as the kernels can see; there is no upper end (CKA
    is HSIC divided by its value for each matrix with itself). The unbiased form may be negative.

    Args:
        kernel_x: `(..., n, n)`, symmetric.
        kernel_y: `(..., n, n)`, symmetric.
        debiased: The unbiased estimator, for `n >= 4`, instead of the biased one, for `n >= 2`.

    Returns:
        `(...)` float64; NaN for fewer samples.

    Example:
        >>> kernel = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        >>> hsic(kernel, kernel, debiased=False).item()
        4.0

    Source: Gretton et al. 2005 (biased); Song et al. 2012, equation 5 (unbiased).
    """
    n = kernel_x.shape[-1]
    x, y = kernel_x.to(torch.float64), kernel_y.to(torch.float64)
    if n < minimum_samples(debiased):
        return x.new_full(x.shape[:-2], float("nan"))
    if debiased:
        x, y = (u_centred(k, k.sum(-1) - k.diagonal(dim1=-2, dim2=-1)) for k in (x, y))
    else:
        x, y = (double_centred(k, k.sum(-1)) for k in (x, y))
    terms: Tensor = torch.linalg.vecdot(x, y) * hsic_factor(n, debiased)
    return terms.mean(-1)
