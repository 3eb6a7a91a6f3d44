"""Samples of a batch that do not count: leaves their rows out, on every side alike."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hooksim.accumulators.base import SideNames
from hooksim.capture.slices import Slice

__all__ = ["first_bad_layer", "only_samples", "samples_with_bad_rows"]


def samples_with_bad_rows(slices: Sequence[Slice]) -> list[int]:
    """Find the samples of a batch that have NaN or infinity in some layer of some side.

    Waits for the device: whoever asks for it pays for one look a batch.

    Args:
        slices: What the sides gave, as rows.

    Returns:
        Their positions in the batch.
    """
    distinct = {id(value): value for part in slices for value in part.values}
    good = [value.isfinite().all(1).cpu() for value in distinct.values()]
    bad_rows = ~torch.stack(good).all(0)
    first = slices[0]
    if first.groups is None:
        return bad_rows.nonzero().flatten().tolist()
    return sorted(set(first.groups.cpu()[bad_rows].tolist()))


def first_bad_layer(slices: Sequence[Slice], sample: int, names: Sequence[SideNames]) -> str:
    """Name the first layer in which a sample has NaN or infinity.

    Args:
        slices: What the sides gave, as rows.
        sample: Its position in the batch.
        names: Of all sides.
    """
    for part, side in zip(slices, names, strict=True):
        rows = sample if part.groups is None else part.groups == sample
        for layer, value in enumerate(part.values):
            if not bool(value[rows].isfinite().all()):
                return side.describe(layer)
    raise ValueError(sample)


def only_samples(slices: Sequence[Slice], kept: Sequence[int]) -> list[Slice]:
    """Leave all other samples of a batch out.

    Args:
        slices: What the sides gave, as rows.
        kept: Positions of the samples that stay, in order.

    Returns:
        The same; layers that shared a tensor share one still.
    """
    made: dict[int, Tensor] = {}
    return [_only(part, kept, made) for part in slices]


def _only(part: Slice, kept: Sequence[int], made: dict[int, Tensor]) -> Slice:
    groups = rows = None
    index = torch.tensor(list(kept), dtype=torch.int64)
    if part.groups is not None:
        place = torch.full((part.items,), -1, dtype=torch.int64)
        place[index] = torch.arange(len(index))
        moved = place.to(part.groups.device)[part.groups]
        rows = (moved >= 0).nonzero().flatten()
        groups, index = moved[rows], rows
    for value in part.values:
        if id(value) not in made:
            made[id(value)] = value[index.to(value.device)]
    return part._replace(
        values=[made[id(value)] for value in part.values],
        n=len(index),
        items=len(kept),
        groups=groups,
        ids=_chosen(part.ids, kept),
        lengths=None if part.lengths is None else tuple(part.lengths[place] for place in kept),
        inputs=_chosen(part.inputs, kept),
    )


def _chosen(listed: Any, kept: Sequence[int]) -> Any:
    """Some of a list, of its own kind; None where there is none."""
    return None if listed is None else type(listed)(listed[place] for place in kept)
