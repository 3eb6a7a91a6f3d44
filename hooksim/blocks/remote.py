"""A block whose kernel matrices somebody else makes, such as several processes together."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor

from hooksim.blocks.block import Block, Part, layer_index, part_of
from hooksim.blocks.slabs import kernel_among
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
    """A block without rows, which it asks for as it does for kernel matrices that are not here.

    Args:
        source: Who makes them.
        given: The arguments of `Block`.
    """

    def __init__(self, source: KernelSource, **given: Any) -> None:
        super().__init__(**given)
        self._source = source

    def _rows(self, layer: int) -> Tensor:
        """As of `Block`; the source collects them."""
        return self._source.some(layer, range(self.n))

    def _made_exact(self) -> Block:
        return RemoteBlock(self._source, **self._given_exact())

    def _kernel_parts(self, layers: Sequence[int]) -> Iterator[Part]:
        """As of `Block`; the source makes them, unless they are here."""
        if all(self.grams[layer].kernel is not None for layer in layers):
            yield from super()._kernel_parts(layers)
        else:
            yield from map(part_of, self._source.slabs(layers))

    def _median(self, layer: int, rows: Sequence[int]) -> Tensor:
        """The median distance among some samples of a stored layer."""
        found = self._source.some(layer, rows)
        gram = self.grams[layer]._replace(rows=found)
        kernel = found.new_empty((len(rows), len(rows)), dtype=self.norms.dtype)
        norms = self.norms[layer][layer_index(rows, self.device)]
        return median_distance(kernel_among(gram, slice(None), kernel), norms)
