"""A block of samples and the strips of its kernel matrices."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.grams import LayerGram, Spread, common_device
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.packed import PackedKernels
from hooksim.blocks.slabs import kernel_among, slabs
from hooksim.functional.gram import strip_bounds
from hooksim.functional.ranks import Distances, sort_rows, squared_distances
from hooksim.functional.rbf import median_distance, rbf_kernel, spaced_rows

__all__ = ["Block", "Origin", "RbfSums", "Strip", "layer_index", "read_counts"]


class Origin(NamedTuple):
    """Where a run of a block's rows comes from: `n` rows of a batch, from its row `start`."""

    batch: int
    start: int
    n: int


def layer_index(positions: Sequence[int], device: torch.device) -> slice | Tensor:
    """What picks the given positions from an axis: a slice, which copies nothing, if it can be."""
    start = positions[0]
    if list(positions) == list(range(start, start + len(positions))):
        return slice(start, start + len(positions))
    return torch.tensor(positions, device=device)


class Strip:
    """Rows `start : start + m` of the kernel matrices of all layers of a block.

    Attributes:
        start: Position of the first row in the block.
        kernel: `(layers, m, n)` inner products of centred, scaled rows.
        norms: `(layers, n)` the diagonal of the whole matrices.
    """

    def __init__(self, start: int, kernel: Tensor, norms: Tensor) -> None:
        self.start = start
        self.kernel = kernel
        self.norms = norms

    @property
    def stop(self) -> int:
        """Position after the last row in the block."""
        return self.start + self.kernel.shape[-2]

    def has(self, row: int) -> bool:
        """Whether a row of the block is one of the strip's."""
        return self.start <= row < self.stop

    @cached_property
    def distances(self) -> Distances:
        """Squared distances, `(layers, m, n)`, made once for all that ask."""
        return squared_distances(self.kernel, self.norms, self.start)

    @cached_property
    def ordered(self) -> Tensor:
        """The squared distances of each row in ascending order, `(layers, m, n)`."""
        return sort_rows(self.distances.values)


class RbfSums(NamedTuple):
    """What the RBF kernel of a block needs before its strips.

    Attributes:
        width: `(layers,)` of the kernel; 0 where it is not defined.
        sums: `(layers, n)` row sums of the kernel matrices, without their diagonals.
    """

    width: Tensor
    sums: Tensor


class Block:
    """Samples whose pairwise relations are looked at together, for all layers of all sides.

    Layers of one side that hold the very same tensor are stored once.

    Args:
        grams: The stored layers of all sides, one after the other.
        sides: For each side the range of its stored layers.
        positions: For each side and layer its position in that range.
        groups: `(n,)` sequence of each row, counted from 0; None where each row is a sample.
        kernels: `(stored layers, n, n)` where the Gram matrices are one tensor.
        origins: Where the rows come from, in order.
        memory: Where kernel matrices are put, or rows of them, that are made when they are asked
            for.
        packs: Whether one half of the kernel matrices fits the memory, where the whole does not.
    """

    def __init__(
        self,
        grams: Sequence[LayerGram],
        sides: Sequence[range],
        positions: Sequence[Sequence[int]],
        *,
        groups: Tensor | None = None,
        kernels: Tensor | None = None,
        origins: Sequence[Origin] = (),
        memory: KernelMemory | None = None,
        packs: bool = False,
    ) -> None:
        device = common_device(layer.norms.device for layer in grams)
        self.grams = [layer.to(device) for layer in grams]
        self.sides = list(sides)
        self.groups = None if groups is None else groups.to(device)
        self.origins = list(origins)
        self.n = self.grams[0].norms.shape[0]
        dtype = max((layer.norms.dtype for layer in self.grams), key=lambda dtype: dtype.itemsize)
        self.norms = torch.stack([layer.norms.to(dtype) for layer in self.grams])  # (layers, n)
        self.scale = torch.stack([layer.scale for layer in self.grams])  # (layers,)
        self._kernels = kernels
        self._memory = memory or KernelMemory()
        self._packs = packs
        self._rbf: dict[float, RbfSums] = {}
        self._positions = [list(position) for position in positions]
        self._expansion = [layer_index(position, device) for position in positions]

    @property
    def device(self) -> torch.device:
        """Where the kernel matrices are."""
        return self.norms.device

    def origin(self, row: int) -> tuple[int, int]:
        """The batch of a row and its position among that batch's rows."""
        for batch, start, n in self.origins:
            if row < n:
                return batch, start + row
            row -= n
        raise IndexError(row)

    def stored(self, side: int) -> list[int]:
        """For each layer of a side the stored layer that holds it."""
        return [self.sides[side].start + position for position in self._positions[side]]

    def expand(self, side: int, values: Tensor, dim: int = 0) -> Tensor:
        """Values of a side's stored layers as values of its layers.

        Args:
            side: Which side.
            values: Stored layers of that side along `dim`.
            dim: The axis of the layers.
        """
        which = self._expansion[side]
        return values if isinstance(which, slice) else values.index_select(dim, which)

    def of_side(self, side: int, values: Tensor) -> Tensor:
        """The part of `values`, stored layers of all sides first, that belongs to one side."""
        return values[layer_index(self.sides[side], self.device)]

    def spreads(self, side: int) -> list[Spread]:
        """The spread of each layer of a side."""
        return [self.grams[stored].spread for stored in self.stored(side)]

    def non_finite(self) -> Tensor:
        """How many rows of each stored layer hold NaN or infinity, `(layers,)` int64."""
        return torch.stack([(~layer.finite).sum() for layer in self.grams])

    def rbf(self, bandwidth: float) -> RbfSums:
        """Width and row sums of the RBF kernel, by one walk over the strips; made once.

        Args:
            bandwidth: The width as a multiple of the median distance.
        """
        if bandwidth not in self._rbf:
            some = spaced_rows(self.n)
            width = torch.stack([self._median(layer, some) for layer in range(len(self.grams))])
            width = width * bandwidth
            # Written to one tensor: results kept apart would lie between the strips' large scratch
            # memory, which the allocator could then not use again.
            sums = torch.empty_like(self.norms)
            for strip in self.strips():
                rows = slice(strip.start, strip.stop)
                sums[:, rows] = rbf_kernel(strip.kernel, strip.norms, width, strip.start).sum(-1)
            sums -= 1  # the diagonal
            self._rbf[bandwidth] = RbfSums(width, sums)
        return self._rbf[bandwidth]

    def _median(self, layer: int, rows: Sequence[int]) -> Tensor:
        """The median distance among some samples of a stored layer."""
        which = layer_index(rows, self.device)
        gram, norms = self.grams[layer], self.norms[layer][which]
        if gram.kernel is not None:
            return median_distance(gram.kernel[which][:, which], norms)
        # What is packed is in the memory.
        memory = KernelMemory() if self._packs else self._memory
        with memory.lent((len(rows), len(rows)), self.norms.dtype, self.device) as kernel:
            return median_distance(kernel_among(gram, which, kernel), norms)

    @cached_property
    def _packed(self) -> PackedKernels:
        """One half of the kernel matrices of all stored layers, made when strips are asked for."""
        return PackedKernels(self.grams, self.norms.dtype, self._memory)

    def _kernel_rows(self, start: int, stop: int, layers: Sequence[int]) -> Tensor:
        """Rows of the Gram matrices of some stored layers, `(layers, stop - start, n)`."""
        if self._kernels is not None:
            return self._kernels[layer_index(layers, self.device), start:stop]
        kernels = [self.grams[layer].kernel for layer in layers]
        return torch.stack(
            [each[start:stop].to(self.norms.dtype) for each in kernels if each is not None]
        )

    def strips(self, layers: Sequence[int] | None = None) -> Iterator[Strip]:
        """The kernel matrices, strip by strip in order.

        A strip is valid until the next one is asked for: where the Gram matrices are over budget,
        its memory is used again.

        Args:
            layers: Which stored layers, in the order of the strips' first axis; None for all.
        """
        chosen = range(len(self.grams)) if layers is None else layers
        which = layer_index(chosen, self.device)
        norms = self.norms[which]
        if self._packs:
            for start, rows in self._packed.strips(which, len(chosen)):
                yield Strip(start, rows, norms)
            return
        grams = [self.grams[layer] for layer in chosen]
        if all(gram.kernel is not None for gram in grams):
            for start, stop in strip_bounds(self.n, len(chosen) * self.n):
                yield Strip(start, self._kernel_rows(start, stop, chosen), norms)
            return
        for first, slab in slabs(grams, self.norms.dtype, self._memory):
            for start, stop in strip_bounds(slab.shape[1], len(chosen) * self.n):
                yield Strip(first + start, slab[:, start:stop], norms)


def read_counts(counts: Sequence[Tensor]) -> list[list[int]]:
    """Bring counts to the host: the one synchronisation with the device that a block costs.

    Args:
        counts: Integer tensors of one dimension.

    Returns:
        Their values, a list each.
    """
    values = torch.cat([count.to(torch.int64) for count in counts]).tolist()
    lengths = [len(count) for count in counts]
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    return [values[end - length : end] for end, length in zip(ends, lengths, strict=True)]
