"""Kernel matrices of which only one half fits: panels up to the diagonal, made once."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hooksim.blocks.grams import LayerGram
from hooksim.blocks.memory import KernelMemory
from hooksim.functional.gram import strip_bounds
from hooksim.functional.precision import full_precision

__all__ = ["PackedKernels", "packed_elements"]

_PANELS = 16  # more would save 1/32 of products at most, and make their panels lower
_CENTRED_ELEMENTS = 1 << 22  # of one layer's rows that are centred at once
_ROWS_AT_ONCE = 32  # put together at least
_WIDTH = 1 << 10  # columns of them: more gain nothing


def _bounds(n: int) -> list[tuple[int, int]]:
    """The rows of each panel."""
    height = max(1, -(-n // _PANELS))
    return [(start, min(start + height, n)) for start in range(0, n, height)]


def packed_elements(n: int) -> int:
    """Elements that are kept of one layer's kernel matrix.

    Args:
        n: Number of samples.

    Example:
        >>> packed_elements(4096) / 4096**2
        0.53125
    """
    return sum((stop - start) * stop for start, stop in _bounds(n))


class PackedKernels:
    """The Gram matrices of some layers, each product once, and their rows when they are asked for.

    State: for each panel of rows its matrices, `(layers, rows, columns up to the diagonal)`.

    Args:
        layers: They have rows.
        dtype: Of the matrices.
        memory: Where they are written to.
    """

    def __init__(
        self, layers: Sequence[LayerGram], dtype: torch.dtype, memory: KernelMemory
    ) -> None:
        norms = layers[0].norms
        self._n = len(norms)
        self._bounds = _bounds(self._n)
        shapes = [(len(layers), stop - start, stop) for start, stop in self._bounds]
        sizes = [torch.Size(shape).numel() for shape in shapes]
        whole = memory.take((sum(sizes),), dtype, norms.device)
        self._panels = [
            part.view(shape) for part, shape in zip(torch.split(whole, sizes), shapes, strict=True)
        ]
        for index, layer in enumerate(layers):
            self._multiply(layer, index)

    @full_precision()
    def _multiply(self, layer: LayerGram, index: int) -> None:
        """Make one layer's matrix; only a part of its columns is centred at once."""
        d = len(layer.mean)
        width = max(1, min(_WIDTH, _CENTRED_ELEMENTS // self._n))
        for begin in range(0, max(d, 1), width):
            rows = layer.centred(0, self._n, slice(begin, begin + width))
            for (start, stop), panel in zip(self._bounds, self._panels, strict=True):
                out = panel[index]
                torch.addmm(out, rows[start:stop], rows[:stop].mT, beta=min(begin, 1), out=out)

    def parts(self, which: slice | Tensor, layers: int) -> Iterator[tuple[int, Tensor]]:
        """Rows of whole matrices, from the first to the last, some strips at a time.

        What lies beyond the diagonal is read across the rows, and a line of the cache holds several
        columns.

        Args:
            which: What picks the layers.
            layers: How many these are.

        Yields:
            Position of the first row, and rows of the matrices, `(layers, m, n)`; the next ones
            overwrite them.
        """
        memory = KernelMemory()
        panels = [panel[which] for panel in self._panels]
        _, strip = strip_bounds(self._n, layers * self._n, panels[0].dtype)[0]
        height = strip * -(-_ROWS_AT_ONCE // strip)
        for (first, last), panel in zip(self._bounds, panels, strict=True):
            for begin in range(first, last, height):
                end = min(begin + height, last)
                rows = memory.take((layers, end - begin, self._n), panel.dtype, panel.device)
                rows[..., :last] = panel[:, begin - first : end - first]
                for (start, stop), later in zip(self._bounds, panels, strict=True):
                    if start >= last:
                        rows[..., start:stop] = later[..., begin:end].mT
                yield begin, rows
