"""Centred, scaled rows and their Gram matrices. Everything else of the package starts here."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Centred",
    "add_panels",
    "centre",
    "gram",
    "mirror_panels",
    "signature_weights",
    "strip_bounds",
]

_CHUNK_ELEMENTS = 1 << 17  # float64 columns worked on at once: 1 MiB, so that they stay in cache
_CHUNK_ELEMENTS_OF_ACCELERATORS = 1 << 24  # there each turn of the loop costs, not the memory
_STRIP_ELEMENTS = 1 << 20  # float64 numbers of a strip, all layers together: 8 MiB stay in cache
_PANEL_ROWS = 256  # below this one panel is best
_FEWEST_PANELS, _MOST_PANELS = 4, 16  # lower panels cost more than the products that they save
_MIRRORED_ROWS = 256
_WORD = (1 << 32) - 1


class Centred(NamedTuple):
    """Rows without their mean and their scale, and what was taken out.

    Attributes:
        rows: `(..., n, d)`, mean 0, mean squared norm 1 (all 0 where the rows are constant).
        mean: `(..., d)` float64, the column means.
        scale: `(...)` float64, root of the mean squared norm; 0 where the rows are constant.
        finite: `(..., n)` bool, False for a row with NaN or infinity.
        signature: `(..., n)` float64, the same for equal rows, to the bit.
        norms: `(..., n)` float64, squared norms of the rows before they were rounded to their
            dtype.
    """

    rows: Tensor
    mean: Tensor
    scale: Tensor
    finite: Tensor
    signature: Tensor
    norms: Tensor


def signature_weights(width: int, device: torch.device) -> Tensor:
    """The weights of the sum over a row that tells different rows apart.

    They are made where the rows are, from the position alone: nothing is copied from the host, and
    no random state is touched. A sum with them does not exceed the largest entry, so that it is
    finite exactly where the row is.

    Args:
        width: Number of columns.
        device: Where the rows are.

    Returns:
        `(width,)` float64, as if drawn from [1/2, 1], divided by a power of 2 not below `width`.

    Example:
        >>> weights = signature_weights(3, torch.device("cpu"))
        >>> [0.5 <= 4 * weight <= 1 for weight in weights.tolist()]
        [True, True, True]
    """
    high, low = (_mixed(torch.arange(width, device=device) * 2 + odd) for odd in (0, 1))
    share = (high + low * 2.0**-32) * 2.0**-33
    return (share + 0.5) * 2.0 ** -max(width - 1, 0).bit_length()


def _mixed(word: Tensor) -> Tensor:
    """Integers below 2^32 scrambled into such integers, float64; no product leaves int64."""
    word = (word + 1) * 0x9E3779B1 & _WORD
    for factor in (0x21F0AAAD, 0x735A2D97):
        word = (word ^ (word >> 16)) * factor & _WORD
    return (word ^ (word >> 15)).to(torch.float64)


def centre(x: Tensor, dtype: torch.dtype = torch.float64) -> Centred:
    """Take the column means and the overall scale out of rows, in float64.

    A mean rounded to float32 would leave an error of the offset's size in every row, and squares
    of unscaled float32 rows over- or underflow; after this neither can happen. Rows count as
    constant where their scale is at most n eps times the largest mean of a column, which is their
    largest entry where they hardly vary.

    Args:
        x: Rows `(..., n, d)` of any real dtype.
        dtype: The dtype of the returned rows.

    Returns:
        A `Centred`; rows are NaN where a column holds NaN or infinity.

    Example:
        >>> centred = centre(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> centred.rows.tolist(), centred.mean.tolist(), centred.scale.item()
        ([[-1.0, 0.0], [1.0, 0.0]], [2.0, 5.0], 1.0)
    """
    *batch, n, d = x.shape
    rows = x.new_empty(x.shape, dtype=dtype)
    mean = x.new_empty((*batch, d), dtype=torch.float64)
    square = x.new_zeros((*batch, n), dtype=torch.float64)
    signature = torch.zeros_like(square)
    weights = signature_weights(d, x.device)
    largest = x.new_zeros(batch, dtype=torch.float64)
    elements = _CHUNK_ELEMENTS if x.device.type == "cpu" else _CHUNK_ELEMENTS_OF_ACCELERATORS
    width = max(1, elements // max(1, square.numel()))
    for begin in range(0, d if n else 0, width):
        columns = slice(begin, begin + width)
        # Contiguous whatever the rows' layout is: another order of summation is another result.
        chunk = x[..., columns].to(torch.float64, copy=True, memory_format=torch.contiguous_format)
        signature += torch.linalg.vecdot(chunk, weights[columns])
        mean[..., columns] = chunk.mean(-2)
        chunk -= mean[..., None, columns]
        # What the mean's own rounding left: constant columns become 0, not one unit in the last
        # place, of which a wide layer would make a direction.
        left = chunk.mean(-2, keepdim=True)
        chunk -= left
        mean[..., columns] += left[..., 0, :]
        # Of rows that hardly vary the largest mean is the largest entry, and cheaper to find.
        largest = torch.maximum(largest, mean[..., columns].abs().amax(-1))
        square += torch.linalg.vecdot(chunk, chunk)
        rows[..., columns] = chunk
    scale = square.mean(-1).sqrt()
    constant = scale <= n * torch.finfo(torch.float64).eps * largest
    factor = torch.where(constant, 0.0, scale.reciprocal())
    rows *= factor[..., None, None].to(dtype)
    scale = torch.where(constant, 0.0, scale)
    norms = square * factor[..., None].square()
    return Centred(rows, mean, scale, signature.isfinite(), signature, norms)


def gram(rows: Tensor, out: Tensor | None = None) -> Tensor:
    """The matrix of inner products of rows, `K = rows rows^T`.

    Only panels of rows from the left edge to the diagonal are multiplied, straight into the result;
    what lies above it is their mirror image.

    Args:
        rows: `(..., n, d)`.
        out: Where to write, `(..., n, n)`; new memory if None.

    Returns:
        `(..., n, n)`, dtype of `rows`; symmetric but for rounding inside the diagonal blocks, which
        the tolerance of ties covers.

    Example:
        >>> gram(torch.tensor([[1.0, 0.0], [1.0, 2.0]])).tolist()
        [[1.0, 1.0], [1.0, 5.0]]
    """
    *batch, n, _ = rows.shape
    kernel = rows.new_empty((*batch, n, n)) if out is None else out
    if batch:
        for item, into in zip(rows, kernel, strict=True):
            gram(item, into)
        return kernel
    add_panels(rows, kernel, keep=0.0)
    return mirror_panels(kernel)


def add_panels(rows: Tensor, kernel: Tensor, keep: float = 1.0) -> None:
    """Add inner products of rows to a matrix, in panels from the left edge to the diagonal.

    Args:
        rows: `(n, d)`.
        kernel: `(n, n)`, written to; `mirror_panels` fills the rest.
        keep: What its content is multiplied by before; with 0 it may be anything.
    """
    for start, stop in _panels(len(kernel)):
        panel = kernel[start:stop, :stop]
        torch.addmm(panel, rows[start:stop], rows[:stop].mT, beta=keep, out=panel)


def mirror_panels(kernel: Tensor) -> Tensor:
    """Copy what `add_panels` wrote to the other side of the diagonal.

    A transposed copy of few rows at a time stays in cache: a quarter of the time of large ones.

    Args:
        kernel: `(n, n)`, written to.

    Returns:
        It.
    """
    for panel_start, panel_stop in list(_panels(len(kernel)))[1:]:  # left of the first is nothing
        for start in range(panel_start, panel_stop, _MIRRORED_ROWS):
            rows = slice(start, min(start + _MIRRORED_ROWS, panel_stop))
            kernel[:panel_start, rows] = kernel[rows, :panel_start].mT
    return kernel


def _panels(n: int) -> Iterable[tuple[int, int]]:
    parts = min(max(n // _PANEL_ROWS, _FEWEST_PANELS), _MOST_PANELS) if n >= _PANEL_ROWS else 1
    return pairwise([n * part // parts for part in range(parts + 1)])


def strip_bounds(n: int, columns: int, dtype: torch.dtype = torch.float64) -> list[tuple[int, int]]:
    """Cut `n` rows into strips whose elements, `columns` to a row, fit the cache budget.

    Args:
        n: Number of rows of the kernel matrix.
        columns: Elements to a row, all layers and batch items together.
        dtype: Of the kernel matrix.

    Returns:
        Pairs `(start, stop)` that cover `range(n)` in order.

    Example:
        >>> strip_bounds(5, 1 << 19)
        [(0, 2), (2, 4), (4, 5)]
    """
    elements = _STRIP_ELEMENTS * torch.float64.itemsize // dtype.itemsize
    height = max(1, elements // max(1, columns))
    return [(start, min(start + height, n)) for start in range(0, n, height)]
