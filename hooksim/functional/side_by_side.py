"""Independent pieces of work on the CPU, each on one core, as many at a time as there are cores."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier, Lock
from typing import Protocol, TypeVar

import torch

__all__ = ["InOrder", "side_by_side"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_WORKERS = 8  # each holds memory of its own, and together they wait for memory
_lock = Lock()


class InOrder(Protocol):
    """Like `map`."""

    def __call__(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterator[_Result]:
        """The results of the work, in the order of the items."""


@contextmanager
def side_by_side(device: torch.device, count: int = _MOST_WORKERS) -> Iterator[InOrder]:
    """Something like `map` that works on several items at the same time.

    Small operations on tensors gain little from several threads, which wait for each other after
    every one, and work in numpy is done meanwhile beside threads that wait busily. So each item is
    worked on by one thread from its beginning to its end (by some, where there are more threads
    than workers). Results come in the order of the items, whatever the number of threads, and items
    are taken only a few ahead of them. The work must not read what other work writes; it records no
    gradients. Until the context is left, this thread has as few threads of PyTorch as each worker.
    It is plain `map` on accelerators, for one item, and for one thread, as in such work.

    Args:
        device: Where the tensors are that are worked on.
        count: How many items there will be, if they are few.

    Example:
        >>> with side_by_side(torch.device("cpu")) as in_order:
        ...     list(in_order(lambda n: torch.arange(n).sum().item(), [3, 4, 5]))
        [3, 6, 10]
    """
    threads = torch.get_num_threads()
    workers = min(threads, count, _MOST_WORKERS)
    if device.type != "cpu" or workers <= 1:
        yield map
        return
    inference = torch.is_inference_mode_enabled()
    with _limited_pool(workers, threads // workers) as pool:

        def in_order(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
            def alike(item: _Item) -> _Result:
                with torch.inference_mode(inference), torch.no_grad():
                    return work(item)

            waiting: deque[Future[_Result]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(alike, item))
                    if len(waiting) > workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

        yield in_order


@contextmanager
def _limited_pool(workers: int, threads: int) -> Iterator[ThreadPoolExecutor]:
    """Workers that have so many threads of OpenMP and MKL each, as has this thread meanwhile.

    This one takes results: with all of its threads, those that it no longer needs would wait
    busily, where others work.
    """
    before = torch.get_num_threads()
    ready = Barrier(workers)
    with ThreadPoolExecutor(workers, initializer=_limit, initargs=(threads,)) as pool:
        try:
            with _others_kept():
                torch.set_num_threads(threads)
                list(pool.map(lambda _: ready.wait(), range(workers)))  # all have started
            yield pool
        finally:
            ready.abort()
            with _others_kept():
                torch.set_num_threads(before)


def _limit(threads: int) -> None:
    """Let the thread that calls this have so many threads."""
    torch.get_num_threads()  # sets the thread up, which would undo the limit later
    torch.set_num_threads(threads)


@contextmanager
def _others_kept() -> Iterator[None]:
    """Keep what new threads of the process get: to change one's own number changes that, too."""
    with _lock:
        usual = _in_new_thread(torch.get_num_threads)
        try:
            yield
        finally:
            _in_new_thread(partial(torch.set_num_threads, usual))


def _in_new_thread(call: Callable[[], _Result]) -> _Result:
    with ThreadPoolExecutor(1) as one:
        return one.submit(call).result()
