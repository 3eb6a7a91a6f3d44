"""A block of samples and the strips of its kernel matrices."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from hooksim.blocks.grams import LayerGram, Spread, common_device
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.packed import PackedKernels
from hooksim.blocks.slabs import kernel_among, kernel_between, slab_height, slabs
from hooksim.blocks.strip import Strip
from hooksim.functional.gram import strip_bounds
from hooksim.functional.ranks import exact_unit, single_unit
from hooksim.functional.rbf import median_distance, rbf_kernel, spaced_rows
from hooksim.functional.side_by_side import side_by_side

__all__ = ["Block", "Origin", "Part", "RbfSums", "layer_index", "part_of", "read_counts"]

Part: TypeAlias = tuple[int, int, Callable[[int, int], Tensor]]
"""Rows of kernel matrices: place of the first, how many, and what gives some of them."""

_Found = TypeVar("_Found")

_STRIPS_SIDE_BY_SIDE = 4  # fewer take less time than threads take to start


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
        is_exact: Whether equal distances can be told from others; else it keeps its rows, for what
            they leave undecided.
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
        is_exact: bool = True,
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
        self.is_exact = is_exact
        self._units: Tensor | None = None
        if not is_exact:
            units = [self.norms.new_full((1, 1), self._unit(i)) for i in range(len(self.grams))]
            self._units = torch.stack(units)  # (layers, 1, 1)
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

            def look(strip: Strip) -> None:
                rows = slice(strip.start, strip.stop)
                sums[:, rows] = rbf_kernel(strip.kernel, strip.norms, width, strip.start).sum(-1)

            self.walk(look)
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

    @cached_property
    def exact(self) -> "Block":
        """The same samples with float64 kernel matrices, which are made when they are asked for."""
        return self if self.is_exact else self._made_exact()

    def _made_exact(self) -> "Block":
        return Block(**self._given_exact())

    def _given_exact(self) -> dict[str, Any]:
        """The arguments of a block of the same samples without Gram matrices."""
        return {
            "grams": [layer.exact() for layer in self.grams],
            "sides": self.sides,
            "positions": self._positions,
            "groups": self.groups,
            "origins": self.origins,
        }

    def _rows(self, layer: int) -> Tensor:
        """The rows of a stored layer, as they were given."""
        rows = self.grams[layer].rows
        if rows is None:
            raise ValueError("block: the rows of this layer were not kept.")
        return rows

    def settled(self, samples: Tensor, layers: Sequence[int]) -> Iterator[Strip]:
        """The kernel matrices' rows of some samples, of some layers as exact as can be.

        Args:
            samples: `(m,)` int64, their places in the block, which is not exact.
            layers: Stored layers whose matrices are made anew for that, of the rows of all samples.
        """
        exact, every = self.exact, range(len(self.grams))
        norms = torch.stack(
            [(exact if layer in layers else self).norms[layer].double() for layer in every]
        )
        units = [exact_unit() if layer in layers else self._unit(layer) for layer in every]
        scales = torch.stack([norms.new_full((1, 1), unit) for unit in units])
        for part in torch.split(samples, slab_height(self.n, len(every), norms.dtype)):
            kernel = self._kernel_rows(every, part).double()
            with side_by_side(self.device, len(layers)) as in_order:
                rows = ((layer, self._rows(layer)) for layer in layers)
                deque(in_order(partial(exact._multiply, part, kernel), rows), maxlen=0)
            for start, stop in exact._bounds(len(part), len(every)):
                yield Strip(part[start:stop], kernel[:, start:stop], norms, scales)

    def _unit(self, layer: int) -> float:
        return single_unit(len(self.grams[layer].mean))

    def _multiply(self, samples: Tensor, kernel: Tensor, of_layer: tuple[int, Tensor]) -> None:
        layer, rows = of_layer
        kernel_between(self.grams[layer], rows[samples], rows, kernel[layer])

    def strips(self, layers: Sequence[int] | None = None) -> Iterator[Strip]:
        """The kernel matrices, strip by strip in order.

        A strip is valid until the next one is asked for: where the Gram matrices are over budget,
        its memory is used again.

        Args:
            layers: Which stored layers, in the order of the strips' first axis; None for all.
        """
        for part in self._parts(range(len(self.grams)) if layers is None else layers):
            yield from part

    def walk(
        self,
        look: Callable[[Strip], _Found],
        take: Callable[[_Found], object] = lambda _: None,
        layers: Sequence[int] | None = None,
    ) -> None:
        """Look at every strip, on the CPU at several side by side if the Gram matrices are kept.

        Where they are not, memory is what is short, and every strip that is looked at takes some.

        Args:
            look: Called with each strip, which is valid until what it returned was taken.
            take: Called with what `look` returned, in the order of the strips, one at a time.
            layers: Which stored layers, as of `strips`.
        """
        chosen = range(len(self.grams)) if layers is None else layers
        kept = all(self.grams[layer].kernel is not None for layer in chosen)
        several = kept and len(self._bounds(self.n, len(chosen))) >= _STRIPS_SIDE_BY_SIDE
        with side_by_side(self.device) if several else nullcontext(map) as in_order:
            for part in self._parts(chosen):
                for found in in_order(look, part):
                    take(found)

    def _parts(self, layers: Sequence[int]) -> Iterator[Iterator[Strip]]:
        """Strips of some stored layers that are valid at the same time, until the next ones."""
        which = layer_index(layers, self.device)
        norms = self.norms[which]
        units = None if self._units is None else self._units[which]
        for first, height, rows in self._kernel_parts(layers):
            yield (
                Strip(slice(first + start, first + stop), rows(start, stop), norms, units)
                for start, stop in self._bounds(height, len(layers))
            )

    def _bounds(self, height: int, layers: int) -> list[tuple[int, int]]:
        """How some rows of the kernel matrices of so many layers are cut into strips."""
        return strip_bounds(height, layers * self.n, self.norms.dtype)

    def _kernel_parts(self, layers: Sequence[int]) -> Iterator[Part]:
        """The kernel matrices of some stored layers, from the first row to the last.

        Yields:
            Place of the first row, number of rows, and what gives some of these, `(layers, m, n)`;
            the next ones may overwrite them.
        """
        grams = [self.grams[layer] for layer in layers]
        if self._packs:
            which = layer_index(layers, self.device)
            yield from map(part_of, self._packed.parts(which, len(layers)))
        elif all(gram.kernel is not None for gram in grams):
            yield 0, self.n, lambda *rows: self._kernel_rows(layers, slice(*rows))
        else:
            yield from map(part_of, slabs(grams, self.norms.dtype, self._memory))

    def _kernel_rows(self, layers: Sequence[int], rows: slice | Tensor) -> Tensor:
        """Rows of the Gram matrices of some stored layers, `(layers, m, n)`."""
        if self._kernels is not None:
            which = layer_index(layers, self.device)
            if isinstance(which, Tensor) and isinstance(rows, Tensor):
                which = which[:, None]
            return self._kernels[which, rows]
        kernels = [self.grams[layer].kernel for layer in layers]
        return torch.stack(
            [each[rows].to(self.norms.dtype) for each in kernels if each is not None]
        )


def part_of(slab: tuple[int, Tensor]) -> Part:
    """Rows of kernel matrices, given with the place of the first, as a part of a block."""
    first, rows = slab
    return first, rows.shape[1], lambda start, stop: rows[:, start:stop]


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
