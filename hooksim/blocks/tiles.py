"""Rows read piece by piece into cache: their statistics, and centred values, without a copy."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from hooksim.functional.gram import signature_weights

__all__ = ["RowStatistics", "Tile", "centred_tiles", "row_statistics", "tiles"]

Tile: TypeAlias = tuple[slice, slice, Tensor]
"""Which rows, which columns, and their values."""

_TILE_ELEMENTS = 1 << 17  # float64 numbers worked on at once: 1 MiB, so that they stay in cache
_TILE_ELEMENTS_OF_ACCELERATORS = 1 << 24  # there each turn of the loop costs, not the memory
_TILE_WIDTH = 1 << 14  # PyTorch splits longer sums among threads: a row's place would change them


class RowStatistics(NamedTuple):
    """What `centre` finds out about rows, without the centred rows; all float64.

    Attributes:
        mean: `(d,)` column means.
        rest: `(d,)` what the rounding of `mean` left of them.
        squares: `(n,)` squared norms of the rows without their means.
        scale: `()` root of the mean squared norm; 0 where the rows are constant.
        signature: `(n,)`, the same for equal rows, to the bit; not finite where the row is not.
    """

    mean: Tensor
    rest: Tensor
    squares: Tensor
    scale: Tensor
    signature: Tensor


def tiles(rows: Tensor) -> Iterator[Tile]:
    """Read rows from the first to the last, as many at a time as stay in cache.

    Args:
        rows: `(n, d)` of any real dtype and layout; it may be a file, mapped into memory.

    Yields:
        Values `(m, w)` in float64, contiguous whatever the layout, to be worked on in place; the
        next ones overwrite them.
    """
    n, d = rows.shape
    on_cpu = rows.device.type == "cpu"
    elements = _TILE_ELEMENTS if on_cpu else _TILE_ELEMENTS_OF_ACCELERATORS
    width = max(1, min(d, _TILE_WIDTH))
    height = max(1, min(n, elements // width))
    memory = rows.new_empty(height * width, dtype=torch.float64)
    for start in range(0, n, height):
        for begin in range(0, d, width):
            part, columns = slice(start, start + height), slice(begin, begin + width)
            values = rows[part, columns]
            yield part, columns, memory[: values.numel()].view(values.shape).copy_(values)


def centred_tiles(rows: Tensor, mean: Tensor, rest: Tensor) -> Iterator[Tile]:
    """Like `tiles`, minus the column means and what their rounding left.

    Args:
        rows: `(n, d)`.
        mean: `(d,)` float64.
        rest: `(d,)` float64.
    """
    for part, columns, tile in tiles(rows):
        yield part, columns, tile.sub_(mean[columns]).sub_(rest[columns])


def row_statistics(rows: Tensor) -> RowStatistics:
    """Means, scale and norms of rows of which no centred copy is made.

    By the rules of `hooksim.functional.gram.centre`: the mean is corrected once, and rows count as
    constant where their scale is at most n eps times their largest entry. Rows are read three times
    from the first to the last.

    Args:
        rows: `(n, d)`.
    """
    n, d = rows.shape
    mean = rows.new_zeros(d, dtype=torch.float64)
    left = torch.zeros_like(mean)
    signature = rows.new_zeros(n, dtype=torch.float64)
    squares = torch.zeros_like(signature)
    largest = rows.new_zeros((), dtype=torch.float64)
    weights = signature_weights(d, rows.device)
    for part, columns, tile in tiles(rows):
        mean[columns] += tile.sum(0)
        low, high = tile.aminmax()  # the norm of order infinity is not vectorised on the CPU
        largest = torch.maximum(largest, torch.maximum(high, -low))
        signature[part] += torch.linalg.vecdot(tile, weights[columns])
    mean /= n
    for _, columns, tile in tiles(rows):
        left[columns] += tile.sub_(mean[columns]).sum(0)
    left /= n
    corrected = mean + left
    # Of a constant column `mean + left` is the constant and `rest` 0, both without rounding.
    rest = (mean - corrected) + left
    for part, _, tile in centred_tiles(rows, corrected, rest):
        squares[part] += torch.linalg.vecdot(tile, tile)
    scale = squares.mean().sqrt()
    constant = scale <= n * torch.finfo(torch.float64).eps * largest
    return RowStatistics(corrected, rest, squares, torch.where(constant, 0.0, scale), signature)
