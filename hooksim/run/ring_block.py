"""One block of the rows of several processes."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker
from hooksim.blocks.pieces import single_does
from hooksim.blocks.remote import RemoteBlock
from hooksim.blocks.slabs import slab_height
from hooksim.distributed import Processes
from hooksim.recording import Recording
from hooksim.run.layout import HeldBatch, RowLayout
from hooksim.run.ring import Ring

__all__ = ["ring_block"]


class _Held(NamedTuple):
    """What a process says of the rows that it has.

    Attributes:
        batches: Which.
        sides: For each side the stored layer of each layer; None where there are no rows.
        widths: Of each layer of each side, in one list.
        dtypes: The same.
    """

    batches: list[HeldBatch]
    sides: list[list[int]] | None
    widths: list[int]
    dtypes: list[torch.dtype]


def ring_block(
    processes: Processes,
    recordings: Sequence[Recording],
    batches: Sequence[HeldBatch],
    blocker: Blocker,
    device: torch.device,
    budget: int,
) -> tuple[Ring, Block | None]:
    """Deal the rows of all processes out anew, and make one block of them.

    Args:
        processes: All of them.
        recordings: Of each side the rows of this process; none where it has none.
        batches: Which these are.
        blocker: Says how small a block may be, and how precise.
        device: Where kernel matrices are made.
        budget: Bytes of this process's share to hold in memory, and as many for Gram matrices.

    Returns:
        The ring, and in process 0 the block.

    Raises:
        NotEnoughSamplesError: There are too few rows.
    """
    told = processes.exchange(_held(recordings, batches))
    held = [each.batches for each in told]
    n = sum(batch.n for each in held for batch in each)
    blocker.refuse_few(n, sum(map(len, held)))
    having = [each for each in told if each.sides is not None]
    sides, positions, firsts = _joint([each.sides or [] for each in having])
    kinds = [kind for each in having for kind in each.dtypes]
    widths = having[0].widths if having else []
    is_exact = not (blocker.settles and single_does(n, widths, kinds, len(firsts), budget))
    dtype = reduce(torch.promote_types, kinds, blocker.dtype) if is_exact else torch.float32
    height = slab_height(n, len(firsts), dtype)
    layout = RowLayout(held, min(height, -(-n // processes.size)))
    rows = [_rows(recordings, first, having) for first in firsts]
    ring = Ring(processes, layout, rows, device, budget)
    groups = layout.groups
    # Gram matrices that fit are made as by one process alone, to the bit.
    fits = len(firsts) * n * n * dtype.itemsize <= budget
    placed = None if groups is None else groups.to(device)
    grams = ring.whole_grams(dtype, placed, is_exact) if fits else ring.grams(dtype, placed)
    if processes.rank:
        return ring, None
    return ring, RemoteBlock(
        ring,
        grams=grams,
        sides=sides,
        positions=positions,
        groups=groups,
        origins=layout.origins,
        is_exact=is_exact,
    )


def _held(recordings: Sequence[Recording], batches: Sequence[HeldBatch]) -> _Held:
    layers = [rec.tensors[stored] for rec in recordings for stored in rec.positions]
    sides = [list(recording.positions) for recording in recordings]
    widths = [layer.shape[1] for layer in layers]
    return _Held(list(batches), sides or None, widths, [layer.dtype for layer in layers])


def _joint(
    told: Sequence[list[list[int]]],
) -> tuple[list[range], list[list[int]], list[tuple[int, int]]]:
    """Stored layers of all processes: those that share their rows in every one are one.

    Args:
        told: For each process, side and layer the stored layer.

    Returns:
        For each side the range of its stored layers, and the position there of each layer; for
        each stored layer a side and a layer that has it.
    """
    sides, positions = [], []
    firsts: list[tuple[int, int]] = []
    for side in range(len(told[0])):
        start = len(firsts)
        known: dict[tuple[int, ...], int] = {}
        own = []
        for layer, key in enumerate(zip(*(each[side] for each in told), strict=True)):
            if key not in known:
                known[key] = len(known)
                firsts.append((side, layer))
            own.append(known[key])
        sides.append(range(start, len(firsts)))
        positions.append(own)
    return sides, positions, firsts


def _rows(
    recordings: Sequence[Recording], first: tuple[int, int], having: Sequence[_Held]
) -> Tensor:
    """The rows of a stored layer in this process, of the type that all processes can hold."""
    side, layer = first
    sides = having[0].sides or []
    place = sum(len(each) for each in sides[:side]) + layer
    dtype = having[0].dtypes[place]
    for each in having[1:]:
        dtype = torch.promote_types(dtype, each.dtypes[place])
    if not recordings:
        return torch.empty((0, having[0].widths[place]), dtype=dtype)
    recording = recordings[side]
    return recording.tensors[recording.positions[layer]].to(dtype)
