"""The only loop over a loader: every reader sees each batch once, side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch

from hooksim.capture.alignment import check_aligned
from hooksim.capture.batches import PairedBatch, batch_size
from hooksim.capture.lookahead import SizedBatch, as_they_come, cut_batches, look_ahead
from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition, Reduce, Slice
from hooksim.errors import AlignmentError

__all__ = ["stream"]

_ReduceFor: TypeAlias = Callable[[bool], Reduce | None]
"""`joins_next -> reduce`: asked once a batch, before its forwards."""


def stream(
    readers: Sequence[Reader],
    loader: Iterable[Any],
    reduce_for: _ReduceFor,
    *,
    max_samples: int | None = None,
    reads: Callable[[int], bool] | None = None,
    passed: Callable[[int], None] | None = None,
    smallest: int = 4,
    ahead: bool = True,
) -> Iterator[list[Slice]]:
    """Read a loader once and give what all readers see, batch by batch.

    Args:
        readers: Readers that the caller has entered.
        loader: Any iterable of batches, a generator too.
        reduce_for: Says what to make of rows inside the hooks of a batch, told whether the next
            batch is the last and small, to be joined to this one; told of every batch.
        max_samples: How many samples of the loader to read, counted from its beginning.
        reads: Which batches to read, by their numbers; the others, which an earlier run has seen
            or another process sees, are passed over without a forward. None for all.
        passed: Called for each batch that is passed over with its number of samples.
        smallest: Below this many samples a batch is small, whatever the one before it; so it is
            below half of that one.
        ahead: Read the loader one batch ahead, to tell whether batches are joined. False where
            they never are: then a batch is given before the next is asked for, so that a loader
            may fill one buffer again and again, or fail, and nothing that it gave is lost.

    Yields:
        For each batch the slices of all views of all readers, in order.

    Raises:
        AlignmentError: The halves of a PairedBatch differ in size; or the sides have seen other
            samples, by their ids or by what went in.
        ShapeError: Token rows of other tokens from one model than from the other.

    Example:
        >>> from hooksim.capture.reader import ModelReader, View
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2))
        >>> with ModelReader(model, [View("A")]) as reader:
        ...     batches = stream([reader], torch.ones(3, 4, 3), lambda _: None, max_samples=6)
        ...     [slices[0].n for slices in batches]
        [4, 2]
    """
    first_sample = 0
    cut = cut_batches(loader, max_samples)
    batches = look_ahead(cut, smallest) if ahead else as_they_come(cut)
    for number, batch in enumerate(batches):
        if reads is None or reads(number):
            at = BatchPosition(number, first_sample)
            yield _read(readers, batch, reduce_for, at)
        else:
            reduce_for(batch.joins_next)
            if passed is not None:
                passed(batch.size)
        first_sample += batch.size


def _read(
    readers: Sequence[Reader], batch: SizedBatch, reduce_for: _ReduceFor, at: BatchPosition
) -> list[Slice]:
    _check_halves(batch.item, at)
    reduce = reduce_for(batch.joins_next)
    with torch.no_grad():
        slices = [reader.read(batch.item, reduce, at) for reader in readers]
    check_aligned(readers, slices, at)
    return [each for part in slices for each in part]


def _check_halves(item: Any, at: BatchPosition) -> None:
    if not isinstance(item, PairedBatch):
        return
    size_a, size_b = batch_size(item.a), batch_size(item.b)
    if size_a != size_b:
        raise AlignmentError(
            f"{at}: {size_a} samples for model A, {size_b} for model B. "
            "Both halves of a PairedBatch must hold the same samples in the same order."
        )
