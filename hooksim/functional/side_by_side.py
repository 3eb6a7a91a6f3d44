"""Independent pieces of work on the CPU, each on one core, as many at a time as there are cores."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

__all__ = ["InOrder", "side_by_side"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_WORKERS = 8  # each holds memory of its own, and together they wait for memory


class InOrder(Protocol):
    """Like `map`."""

    def __call__(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterator[_Result]:
        """The results of the work, in the order of the items."""


@contextmanager
def side_by_side(device: torch.device) -> Iterator[InOrder]:
    """Something like `map` that works on several items at the same time.

    Small operations on tensors gain little from several threads, which wait for each other after
    every one, and work in numpy is done meanwhile beside threads that wait busily. So each item is
    worked on by one thread from its beginning to its end. Results come in the order of the items,
    whatever the number of threads, and items are taken only a few ahead of them. The work must not
    read what other work writes; it records no gradients. It is plain `map` on accelerators, for
    one thread, and within such work. Until it is left, `torch.get_num_threads()` is 1 here and in
    threads that start meanwhile (more where there are more threads than workers).

    Args:
        device: Where the tensors are that are worked on.

    Example:
        >>> with side_by_side(torch.device("cpu")) as in_order:
        ...     list(in_order(lambda n: torch.arange(n).sum().item(), [3, 4, 5]))
        [3, 6, 10]
    """
    threads = torch.get_num_threads()
    workers = min(threads, _MOST_WORKERS)
    if device.type != "cpu" or workers == 1:
        yield map
        return
    each = (threads // workers,)
    # Without the call of its own a new thread would multiply with all threads.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=each)
    with _limited(*each), pool:

        def in_order(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
            waiting: deque[Future[_Result]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(torch.no_grad()(work), item))
                    if len(waiting) > workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

        yield in_order


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Let this thread, and those that start meanwhile, have so many threads of OpenMP and MKL.

    This one takes results: with all of its threads, those that it no longer needs would wait
    busily, where others work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
