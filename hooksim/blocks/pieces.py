"""Rows batch by batch, as they wait for their block, and how a block is made of them."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.block import Block, Origin
from hooksim.blocks.grams import LayerGram, common_device, layer_gram
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.packed import packed_elements
from hooksim.functional.side_by_side import side_by_side

__all__ = ["GRAM_BUDGET", "Gathered", "Piece", "block_of", "gather", "single_does"]

_SINGLE_FROM = 2048  # rows
_NARROW = 16  # columns
_SIDE_BY_SIDE_FROM = 1024  # rows: below, threads take longer to start than they save
GRAM_BUDGET = 2 << 30  # bytes for the Gram matrices of one block, all layers together


class Piece(NamedTuple):
    """Rows of one batch, or what is left of them.

    Attributes:
        values: By side and layer: rows `(n, d)` or a `LayerGram`; one object where layers share it.
        groups: `(n,)` int64, the sequence of each row where rows are tokens.
        items: Number of samples of the batch.
        origin: Which rows of which batch these are.
    """

    values: list[list[Any]]
    groups: Tensor | None
    items: int
    origin: Origin

    def split(self, n: int) -> tuple["Piece", "Piece"]:
        """The first `n` rows and the rest; shared tensors stay shared."""
        batch, start, total = self.origin
        return (
            self._cut(slice(0, n), Origin(batch, start, n)),
            self._cut(slice(n, None), Origin(batch, start + n, total - n)),
        )

    def _cut(self, rows: slice, origin: Origin) -> "Piece":
        cut = {id(value): value[rows] for side in self.values for value in side}
        values = [[cut[id(value)] for value in side] for side in self.values]
        groups = None if self.groups is None else self.groups[rows]
        return Piece(values, groups, self.items, origin)


def _join_groups(pieces: Sequence[Piece]) -> Tensor | None:
    """The sequence of each row, counted through the pieces from 0 without gaps, (n,)."""
    found, offset = [], 0
    for piece in pieces:
        if piece.groups is None:
            return None
        found.append(piece.groups + offset)
        offset += piece.items
    device = common_device(groups.device for groups in found)
    found = [groups.to(device) for groups in found]
    joined = torch.cat(found)
    fresh = torch.zeros_like(joined)
    fresh[1:] = joined[1:] != joined[:-1]
    return fresh.cumsum(0)


class Gathered(NamedTuple):
    """The rows of one block, layer by layer.

    Attributes:
        layers: The stored layers of all sides, each in parts, in order; a layer shared is one.
        sides: For each side the range of its stored layers.
        positions: For each side and layer its position in that range.
        groups: `(n,)` sequence of each row, counted from 0; None where each row is a sample.
        sequences: At least as many as there are in `groups`.
        origins: Where the rows come from.
    """

    layers: list[list[Any]]
    sides: list[range]
    positions: list[list[int]]
    groups: Tensor | None
    sequences: int
    origins: list[Origin]

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(origin.n for origin in self.origins)


def gather(pieces: Sequence[Piece]) -> Gathered:
    """Sort whole pieces by layer; nothing is copied.

    Args:
        pieces: In order; one whose values are `LayerGram` comes alone.
    """
    layers: list[list[Any]] = []
    sides, positions = [], []
    for side in range(len(pieces[0].values)):
        stored, position = _stored(pieces, side)
        sides.append(range(len(layers), len(layers) + len(stored)))
        positions.append(position)
        layers += stored
    sequences = sum(piece.items for piece in pieces)
    origins = [piece.origin for piece in pieces]
    return Gathered(layers, sides, positions, _join_groups(pieces), sequences, origins)


def _stored(pieces: Sequence[Piece], side: int) -> tuple[list[list[Any]], list[int]]:
    """A side's distinct layers, each in pieces, and every layer's position among them."""
    places: dict[tuple[int, ...], int] = {}
    layers: list[list[Any]] = []
    positions = []
    for parts in zip(*(piece.values[side] for piece in pieces), strict=True):
        key = tuple(id(part) for part in parts)
        if key not in places:
            places[key] = len(layers)
            layers.append(list(parts))
        positions.append(places[key])
    return layers, positions


def _joined(parts: list[Tensor], device: torch.device) -> Tensor:
    """A layer's rows as one tensor; its parts are let go: only one layer is there twice.

    Parts that waited in a saved state are on the CPU. One part alone is made contiguous as a joint
    one is: the layout decides how sums are rounded.
    """
    moved = [part.to(device) for part in parts]
    parts.clear()
    return torch.cat(moved) if len(moved) > 1 else moved[0].contiguous()


def single_does(
    n: int, widths: Sequence[int], kinds: Sequence[torch.dtype], layers: int, budget: int
) -> bool:
    """Whether a block may be one that is not exact, with Gram matrices in float32.

    Not a small one, which costs little; nor one of narrow rows, of which many lie close together;
    nor one that is over budget, which would be made of its rows a second time.

    Args:
        n: Its rows.
        widths: Of its layers.
        kinds: Their dtypes.
        layers: How many are stored.
        budget: Bytes for the Gram matrices of all of them.

    Example:
        >>> single_does(4096, [768] * 26, [torch.float32] * 26, 26, GRAM_BUDGET)
        True
    """
    return (
        n >= _SINGLE_FROM
        and min(widths) > _NARROW
        and torch.float64 not in kinds
        and layers * n * n * torch.float32.itemsize <= budget
    )


def block_of(
    rows: Sequence[Piece] | Gathered,
    dtype: torch.dtype,
    memory: KernelMemory | None = None,
    *,
    with_rows: bool = False,
    settles: bool = False,
    gram_budget: int = GRAM_BUDGET,
) -> Block:
    """Make one block.

    Args:
        rows: Whole pieces in order, or what `gather` made of them; the latter is used up, so that
            rows which nobody else holds are not there twice.
        dtype: Of the Gram matrices, unless rows are wider.
        memory: Where to put the Gram matrices; None makes it anew.
        with_rows: Keep the rows beside the Gram matrices.
        settles: Whether a block that is not exact does for float64, where it takes less time.
        gram_budget: Bytes for the Gram matrices of all layers together; above it they are made
            when they are asked for, of the rows: one half where that fits, else many rows at a
            time.
    """
    given = rows if isinstance(rows, Gathered) else gather(rows)
    memory = memory or KernelMemory()
    if isinstance(given.layers[0][0], LayerGram):
        grams, kernels = [parts[0] for parts in given.layers], None
        plan = _Plan(dtype, is_exact=True, fits=True, packs=False)
    else:
        plan = _planned(given, dtype, settles, gram_budget)
        device = common_device(part.device for parts in given.layers for part in parts)
        shape = len(given.layers), given.n, given.n
        kernels = memory.take(shape, plan.dtype, device) if plan.fits else None
        grams = _grams(given, plan, kernels, device, with_rows)
    return Block(
        grams,
        given.sides,
        given.positions,
        groups=given.groups,
        kernels=kernels,
        origins=given.origins,
        memory=memory,
        packs=plan.packs,
        is_exact=plan.is_exact,
    )


class _Plan(NamedTuple):
    """How the Gram matrices of a block are made.

    Attributes:
        dtype: Of them.
        is_exact: As of `Block`.
        fits: Whether all of them are kept.
        packs: Whether one half is.
    """

    dtype: torch.dtype
    is_exact: bool
    fits: bool
    packs: bool


def _planned(given: Gathered, dtype: torch.dtype, settles: bool, budget: int) -> _Plan:
    n, count = given.n, len(given.layers)
    kinds = [parts[0].dtype for parts in given.layers]
    widths = [parts[0].shape[1] for parts in given.layers]
    is_exact = not (settles and single_does(n, widths, kinds, count, budget))
    dtype = reduce(torch.promote_types, kinds, dtype) if is_exact else torch.float32
    fits = count * n * n * dtype.itemsize <= budget
    packs = not fits and count * packed_elements(n) * dtype.itemsize <= budget
    return _Plan(dtype, is_exact, fits, packs)


def _grams(
    given: Gathered,
    plan: _Plan,
    kernels: Tensor | None,
    device: torch.device,
    with_rows: bool,
) -> list[LayerGram]:
    """What the block keeps of each layer; on the CPU several large ones are made side by side."""

    def made(index: int) -> LayerGram:
        return layer_gram(
            _joined(given.layers[index], device),
            given.groups,
            dtype=plan.dtype,
            out=None if kernels is None else kernels[index],
            with_kernel=plan.fits,
            with_rows=with_rows or not plan.is_exact,
            sequences=given.sequences,
        )

    few = given.n < _SIDE_BY_SIDE_FROM or not plan.fits
    count = len(given.layers)
    with nullcontext(map) if few else side_by_side(device, count) as in_order:
        return list(in_order(made, range(count)))
