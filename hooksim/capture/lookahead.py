"""A loader read one batch ahead: how large is the next batch, and is it the last?"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hooksim.capture.batches import batch_size, first_samples

__all__ = ["SizedBatch", "cut_batches", "look_ahead"]


class SizedBatch(NamedTuple):
    """A batch and what is known of the one after it.

    Attributes:
        item: What the loader gave.
        size: Number of samples.
        next_size: Size of the next batch; None where this is the last.
        next_is_last: Whether the next batch is known to be the last. A large next batch is not
            looked past, and counts as not known.
    """

    item: Any
    size: int
    next_size: int | None
    next_is_last: bool


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


def look_ahead(batches: Iterable[tuple[Any, int]], smallest: int = 4) -> Iterator[SizedBatch]:
    """Give each batch together with what is known of the next.

    One batch is read ahead, a second only where the next is small: smaller than half of this one,
    or than `smallest`. A small last batch may have to be joined to the one before it.

    Args:
        batches: Batches and their sizes.
        smallest: Below this many samples a batch is small whatever the one before it.

    Yields:
        The batches in order.

    Example:
        >>> [(each.size, each.next_size, each.next_is_last)
        ...  for each in look_ahead([("a", 8), ("b", 8), ("c", 3)])]
        [(8, 8, False), (8, 3, True), (3, None, False)]
    """
    source = iter(batches)
    held = [batch for batch in [next(source, None)] if batch is not None]
    while held:
        item, size = held[0]
        if len(held) == 1:
            held += [batch for batch in [next(source, None)] if batch is not None]
        next_size = held[1][1] if len(held) > 1 else None
        is_small = next_size is not None and (next_size < size / 2 or next_size < smallest)
        if is_small and len(held) == 2:
            held += [batch for batch in [next(source, None)] if batch is not None]
        yield SizedBatch(item, size, next_size, is_small and len(held) == 2)
        del held[0]
