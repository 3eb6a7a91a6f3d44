"""Rows batch by batch, as they wait for their block, and how a block is made of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.block import Block, Origin
from hooksim.blocks.grams import LayerGram, layer_gram, statistics_device

__all__ = ["GRAM_BUDGET", "KernelMemory", "Piece", "block_of"]

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


class KernelMemory:
    """Memory for Gram matrices that one block after the other is written to."""

    def __init__(self) -> None:
        self._held: Tensor | None = None

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor with arbitrary content; it is valid until the next one is taken."""
        size = torch.Size(shape).numel()
        held = self._held
        if held is None or held.dtype != dtype or held.device != device or held.numel() < size:
            held = self._held = torch.empty(size, dtype=dtype, device=device)
        return held[:size].view(shape)


def _join_groups(pieces: Sequence[Piece]) -> Tensor | None:
    """The sequence of each row, counted through the pieces from 0 without gaps, (n,)."""
    found, offset = [], 0
    for piece in pieces:
        if piece.groups is None:
            return None
        found.append(piece.groups + offset)
        offset += piece.items
    joined = torch.cat(found)
    fresh = torch.zeros_like(joined)
    fresh[1:] = joined[1:] != joined[:-1]
    return fresh.cumsum(0)


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


def _grams(
    layers: Sequence[Sequence[Tensor]],
    n: int,
    groups: Tensor | None,
    dtype: torch.dtype,
    memory: KernelMemory,
    with_rows: bool,
) -> tuple[list[LayerGram], Tensor | None]:
    """The Gram matrices of rows in pieces, in one tensor where they fit the budget."""
    for parts in layers:
        dtype = torch.promote_types(dtype, parts[0].dtype)
    device = statistics_device(layers[0][0].device)
    kernels = None
    if len(layers) * n * n * dtype.itemsize <= GRAM_BUDGET:
        kernels = memory.take((len(layers), n, n), dtype, device)
    grams = []
    for index, parts in enumerate(layers):
        rows = torch.cat(list(parts)) if len(parts) > 1 else parts[0]
        out = None if kernels is None else kernels[index]
        fits = kernels is not None
        grams.append(
            layer_gram(
                rows.to(device), groups, dtype=dtype, out=out, with_kernel=fits, with_rows=with_rows
            )
        )
    return grams, kernels


def block_of(
    pieces: Sequence[Piece],
    dtype: torch.dtype,
    memory: KernelMemory | None = None,
    *,
    with_rows: bool = False,
) -> Block:
    """Make one block of whole pieces.

    Args:
        pieces: In order; one whose values are `LayerGram` comes alone.
        dtype: Of the Gram matrices, unless rows are wider.
        memory: Where to put the Gram matrices; None makes it anew.
        with_rows: Keep the centred rows beside the Gram matrices.
    """
    layers: list[list[Any]] = []
    sides, positions = [], []
    for side in range(len(pieces[0].values)):
        stored, position = _stored(pieces, side)
        sides.append(range(len(layers), len(layers) + len(stored)))
        positions.append(position)
        layers += stored
    groups = _join_groups(pieces)
    kernels = None
    if isinstance(layers[0][0], LayerGram):
        grams = [parts[0] for parts in layers]
    else:
        n = sum(piece.origin.n for piece in pieces)
        grams, kernels = _grams(layers, n, groups, dtype, memory or KernelMemory(), with_rows)
    origins = [piece.origin for piece in pieces]
    return Block(grams, sides, positions, groups=groups, kernels=kernels, origins=origins)
