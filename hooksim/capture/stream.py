"""The only loop over a loader: every reader sees each batch once, side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch

from hooksim.capture.batches import PairedBatch, batch_size
from hooksim.capture.lookahead import SizedBatch, cut_batches, look_ahead
from hooksim.capture.reader import ModelReader
from hooksim.capture.slices import BatchPosition, Reduce, Slice
from hooksim.errors import AlignmentError, ShapeError

__all__ = ["ReduceFor", "batch_size", "stream"]

ReduceFor: TypeAlias = Callable[[int, int | None, bool], Reduce | None]
"""`(size, next size or None, next is last) -> reduce`: asked once a batch, before its forwards."""


def stream(
    readers: Sequence[ModelReader],
    loader: Iterable[Any],
    reduce_for: ReduceFor,
    *,
    max_samples: int | None = None,
    start: int = 0,
    smallest: int = 4,
) -> Iterator[list[Slice]]:
    """Read a loader once and give what all readers see, batch by batch.

    Args:
        readers: Readers that the caller has entered.
        loader: Any iterable of batches, a generator too.
        reduce_for: What to make of rows inside the hooks of a batch: `(size, next size, whether
            the next is known to be the last)`; the next size is None for the last batch.
        max_samples: How many samples of the loader to read, counted from its beginning.
        start: Number of batches to pass over, which an earlier run has seen.
        smallest: Below this many samples a batch counts as small, and the one after it is read
            too, to learn whether it is the last.

    Yields:
        For each batch the slices of all views of all readers, in order.

    Raises:
        AlignmentError: The halves of a PairedBatch differ in size or in their ids.
        ShapeError: Token rows of other tokens from one model than from the other.

    Example:
        >>> from hooksim.capture.reader import View
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2))
        >>> with ModelReader(model, [View("A")]) as reader:
        ...     batches = stream([reader], torch.ones(3, 4, 3), lambda *sizes: None, max_samples=6)
        ...     [slices[0].n for slices in batches]
        [4, 2]
    """
    first_sample = 0
    batches = enumerate(look_ahead(cut_batches(loader, max_samples), smallest))
    for number, batch in batches:
        if number >= start:
            at = BatchPosition(number, first_sample)
            yield _read(readers, batch, reduce_for, at)
        first_sample += batch.size


def _read(
    readers: Sequence[ModelReader], batch: SizedBatch, reduce_for: ReduceFor, at: BatchPosition
) -> list[Slice]:
    _check_halves(batch.item, at)
    reduce = reduce_for(batch.size, batch.next_size, batch.next_is_last)
    with torch.no_grad():
        slices = [reader.read(batch.item, reduce, at) for reader in readers]
    _check_aligned(readers, slices, at)
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


def _check_aligned(
    readers: Sequence[ModelReader], slices: list[list[Slice]], at: BatchPosition
) -> None:
    views = [(reader, index) for reader in readers for index in range(len(reader.views))]
    flat = [each for part in slices for each in part]
    (reader, index), first = views[0], flat[0]
    for (other, position), each in zip(views[1:], flat[1:], strict=True):
        label, other_label = reader.views[index].label, other.views[position].label
        if first.ids is not None and each.ids is not None and first.ids != each.ids:
            raise AlignmentError(
                f"{at}: the sample ids of model {label} and model {other_label} differ. "
                "Both must see the same samples in the same order."
            )
        if first.n != each.n:
            raise ShapeError(
                f"layer {reader.names(index)[0]!r}: {first.n} rows from model {label}, {each.n} "
                f"from model {other_label}, {at}. Both models must see the same samples; with "
                "token rows, the same tokens."
            )
