"""Kernel matrices over budget, made of the rows when they are asked for, many rows at a time."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from hooksim.blocks.grams import LayerGram
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.tiles import centred_tiles
from hooksim.functional.gram import strip_bounds
from hooksim.functional.precision import full_precision

__all__ = ["kernel_among", "kernel_between", "slab_height", "slabs"]

_Columns = Callable[[slice], Tensor]  # some columns of rows
_SLAB_BYTES = 256 << 20  # rows of the kernel matrices of all layers that are made at once
_WIDTH = 1 << 10  # columns of the rows that are multiplied at once
_WIDTH_ON_ACCELERATORS = 1 << 12


def slabs(
    layers: Sequence[LayerGram], dtype: torch.dtype, memory: KernelMemory
) -> Iterator[tuple[int, Tensor]]:
    """The kernel matrices of some layers, from the first row to the last.

    Every slab centres all rows of all layers anew, and one of few rows leaves the processor waiting
    for them; so a slab is as high as its budget allows, whatever a strip holds.

    Args:
        layers: Where one has no Gram matrix, it has rows.
        dtype: Of the result.
        memory: Where slabs are written to.

    Yields:
        Position of the first row, and rows of the matrices, `(layers, m, n)`; the next slab
        overwrites them.
    """
    norms = layers[0].norms
    n = len(norms)
    height = slab_height(n, len(layers), dtype)
    with memory.lent((len(layers), height, n), dtype, norms.device) as slab:
        for start in range(0, n, height):
            part = slab[:, : n - start]
            _fill(layers, start, part)
            yield start, part


def slab_height(n: int, layers: int, dtype: torch.dtype) -> int:
    """Rows to a slab: those of whole strips where there are several slabs.

    Args:
        n: Rows of the block.
        layers: How many.
        dtype: Of the kernel matrices.

    Example:
        >>> slab_height(1000, 4, torch.float64)
        1000
    """
    height = min(n, max(1, _SLAB_BYTES // (layers * n * dtype.itemsize)))
    _, strip = strip_bounds(n, layers * n, dtype)[0]
    return height - height % strip if strip < height < n else height


@full_precision()
def _fill(layers: Sequence[LayerGram], start: int, slab: Tensor) -> None:
    some = slice(start, start + slab.shape[1])
    for layer, out in zip(layers, slab, strict=True):
        if layer.kernel is not None:
            out.copy_(layer.kernel[some])
        else:
            _multiply(layer, some, slice(None), out)


@full_precision()
def kernel_among(layer: LayerGram, some: slice | Tensor, memory: Tensor) -> Tensor:
    """The kernel matrix of some samples of a layer over budget.

    Args:
        layer: It has rows.
        some: Which samples, m of them.
        memory: Where to write, `(m, m)`.
    """
    _multiply(layer, some, some, memory)
    return memory


@full_precision()
def kernel_between(layer: LayerGram, rows: Tensor, others: Tensor, out: Tensor) -> None:
    """The kernel matrix of some rows of a layer with others, wherever these are kept.

    Args:
        layer: How its rows are centred and scaled; it need not have any itself.
        rows: `(m, d)`, as they were given.
        others: `(l, d)`.
        out: Where to write, `(m, l)`.
    """
    _products(layer, lambda columns: rows[:, columns], lambda columns: others[:, columns], out)


def _multiply(layer: LayerGram, some: slice | Tensor, others: slice | Tensor, out: Tensor) -> None:
    """Write inner products of a layer's own rows, (some, others)."""
    rows = layer.rows
    if rows is None:
        raise ValueError("kernel matrix: neither the matrix nor the rows of this layer were kept.")
    left, right = lambda columns: rows[some, columns], lambda columns: rows[others, columns]
    _products(layer, left, right, out)


def _products(layer: LayerGram, some: _Columns, others: _Columns, out: Tensor) -> None:
    """Write inner products of centred, scaled rows, (some, others); only a few are centred at once.

    In float64 the scale of both sides is applied to the smaller one; in float32 the rows must be
    scaled before they are rounded.
    """
    d = len(layer.mean)
    if not d:
        out.zero_()
    factor, wide = layer.factor, out.dtype == torch.float64
    width = _WIDTH if out.device.type == "cpu" else _WIDTH_ON_ACCELERATORS
    for begin in range(0, d, width):
        columns = slice(begin, begin + width)
        centre = layer.mean[columns], layer.rest[columns]
        left = out.new_empty(len(out), len(centre[0]))
        for part, _, tile in centred_tiles(some(columns), *centre):
            left[part] = tile.mul_(factor)
        if wide:
            left *= factor
        for part, _, tile in centred_tiles(others(columns), *centre):
            right = tile if wide else tile.mul_(factor).to(out.dtype)
            into = out[:, part]
            torch.addmm(into, left, right.mT, beta=0 if begin == 0 else 1, out=into)
