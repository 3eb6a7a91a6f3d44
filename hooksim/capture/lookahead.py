"""A loader read batch by batch or one ahead: is the next the last, and too small for itself?"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hooksim.capture.batches import batch_size, first_samples

__all__ = ["SizedBatch", "as_they_come", "cut_batches", "look_ahead"]


class SizedBatch(NamedTuple):
    """A batch, and whether the one after it is the small rest of the data.

    Attributes:
        item: What the loader gave.
        size: Number of samples.
        joins_next: Whether the next batch is the last and small, so that what is cut batch by
            batch takes the two together.
    """

    item: Any
    size: int
    joins_next: bool


def cut_batches(loader: Iterable[Any], max_samples: int | None) -> Iterator[tuple[Any, int]]:
    """Give batches until enough samples were seen; the last is cut.

    Args:
        loader: Any iterable of batches; read no further than needed.
        max_samples: How many samples to give in all; None for all.

    Yields:
        Each batch that holds samples, and its size.

    Example:
        >>> [size for _, size in cut_batches([["a", "b"], ["c", "d"], ["e", "f"]], 3)]
        [2, 1]
    """
    left = max_samples
    for item in loader:
        size = batch_size(item)
        if left is not None and size >= left:
            if left:
                yield (item if size == left else first_samples(item, left)), left
            return
        if size:
            yield item, size
        left = None if left is None else left - size


def as_they_come(batches: Iterable[tuple[Any, int]]) -> Iterator[SizedBatch]:
    """Give each batch before the next is asked for, so that none is joined to another.

    Args:
        batches: Batches and their sizes.

    Yields:
        The batches in order.

    Example:
        >>> [(each.size, each.joins_next) for each in as_they_come([("a", 8), ("b", 3)])]
        [(8, False), (3, False)]
    """
    for item, size in batches:
        yield SizedBatch(item, size, joins_next=False)


def look_ahead(batches: Iterable[tuple[Any, int]], smallest: int = 4) -> Iterator[SizedBatch]:
    """Give each batch, and say which one the last is joined to.

    One batch is read ahead, a second only where the next is small, to learn whether it is the
    last: smaller than half of this one, or than `smallest`.

    Args:
        batches: Batches and their sizes.
        smallest: Below this many samples a batch is small whatever the one before it.

    Yields:
        The batches in order.

    Example:
        >>> [(each.size, each.joins_next) for each in look_ahead([("a", 8), ("b", 8), ("c", 3)])]
        [(8, False), (8, True), (3, False)]
    """
    source = iter(batches)
    held = [batch for batch in [next(source, None)] if batch is not None]
    while held:
        item, size = held[0]
        if len(held) == 1:
            held += [batch for batch in [next(source, None)] if batch is not None]
        is_small = len(held) > 1 and (2 * held[1][1] < size or held[1][1] < smallest)
        if is_small and len(held) == 2:
            held += [batch for batch in [next(source, None)] if batch is not None]
        yield SizedBatch(item, size, is_small and len(held) == 2)
        del held[0]
