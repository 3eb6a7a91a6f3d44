"""A block whose kernel matrices somebody else makes, such as several processes together."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor

from hooksim.blocks.block import Block, Strip, layer_index
from hooksim.blocks.slabs import kernel_among
from hooksim.functional.gram import strip_bounds
from hooksim.functional.rbf import median_distance

__all__ = ["KernelSource", "RemoteBlock"]


class KernelSource(Protocol):
    """Has the rows of a block, and makes kernel matrices of them."""

    def slabs(self, layers: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """The kernel matrices of some layers, from the first row to the last.

        Args:
            layers: Stored layers.

        Yields:
            Place of the first row, and rows of the matrices, `(layers, m, n)`.
        """

    def some(self, layer: int, places: Sequence[int]) -> Tensor:
        """Some rows of a layer, as they were given.

        Args:
            layer: A stored layer.
            places: Which, ascending.
        """


class RemoteBlock(Block):
    """A block without rows and without kernel matrices, which it asks for strip by strip.

    Args:
        source: Who makes them.
        given: The arguments of `Block`.
    """

    def __init__(self, source: KernelSource, **given: Any) -> None:
        super().__init__(**given)
        self._source = source

    def strips(self, layers: Sequence[int] | None = None) -> Iterator[Strip]:
        """The kernel matrices, strip by strip in order; as of `Block`.

        Args:
            layers: Which stored layers; None for all.
        """
        chosen = range(len(self.grams)) if layers is None else layers
        norms = self.norms[layer_index(chosen, self.device)]
        for first, slab in self._source.slabs(chosen):
            for start, stop in strip_bounds(slab.shape[1], len(chosen) * self.n):
                yield Strip(first + start, slab[:, start:stop], norms)

    def _median(self, layer: int, rows: Sequence[int]) -> Tensor:
        """The median distance among some samples of a stored layer."""
        found = self._source.some(layer, rows)
        gram = self.grams[layer]._replace(rows=found)
        kernel = found.new_empty((len(rows), len(rows)), dtype=self.norms.dtype)
        norms = self.norms[layer][layer_index(rows, self.device)]
        return median_distance(kernel_among(gram, slice(None), kernel), norms)
