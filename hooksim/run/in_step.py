"""Batches that all processes run together, since each of them holds a part of a model."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hooksim.capture.batches import batch_size
from hooksim.distributed import Processes

__all__ = ["in_step"]


def in_step(
    loader: Iterable[Any], processes: Processes, refuse: Callable[[int], None]
) -> Iterator[Any]:
    """Give a batch only where every process has one.

    A process that began a forward pass alone would wait in it for the others for ever.

    Args:
        loader: The loader of this process.
        processes: All of them.
        refuse: Called with the number of a batch that only some have; raises on all of them.

    Yields:
        Its batches.
    """
    number = 0
    for item in loader:
        if batch_size(item):
            _meet(processes, True, number, refuse)
            number += 1
        yield item
    _meet(processes, False, number, refuse)


def _meet(processes: Processes, has_one: bool, number: int, refuse: Callable[[int], None]) -> None:
    if len(set(processes.exchange(has_one))) > 1:
        refuse(number)
