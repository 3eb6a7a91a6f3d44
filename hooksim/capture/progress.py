"""Bars over the batches of a run, and over the rows of a block that takes long."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tqdm import tqdm

__all__ = ["batch_progress", "known_length", "row_progress"]

_LONG = 4096  # rows of a block from which on it has a bar of its own


def known_length(loader: Any) -> int | None:
    """Tell how many batches a loader has.

    Args:
        loader: Any iterable.

    Returns:
        Their number; None for a generator, or for a loader over one.

    Example:
        >>> known_length([1, 2]), known_length(iter([1, 2]))
        (2, None)
    """
    try:
        return len(loader)
    except TypeError:  # a loader over a generator has __len__ all the same
        return None


@contextmanager
def batch_progress(total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar over batches with samples a second, where the error stream is a terminal.

    Args:
        total: Number of batches; None where it is not known.
        shown: False for no bar at all.

    Yields:
        To be called after each batch with its number of samples.

    Example:
        >>> with batch_progress(1, False) as on_batch:
        ...     on_batch(32)
    """
    started, seen = time.perf_counter(), 0
    with tqdm(total=total, unit="batch", disable=None if shown else True, leave=False) as bar:

        def advance(items: int) -> None:
            nonlocal seen
            seen += items
            rate = seen / max(time.perf_counter() - started, 1e-9)
            bar.set_postfix_str(f"{rate:,.0f} samples/s", refresh=False)
            bar.update()

        yield advance


@contextmanager
def row_progress(shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over the rows of each large block, where the error stream is a terminal.

    Args:
        shown: False for no bar at all.

    Yields:
        To be called with the number of rows done and that of all rows of the block.

    Example:
        >>> with row_progress(False) as on_rows:
        ...     on_rows(64, 20_000)
    """
    disable = None if shown else True
    with ExitStack() as stack:
        bars: list[tqdm[Any]] = []

        def advance(done: int, n: int) -> None:
            if n < _LONG:
                return
            if not bars:
                bars.append(
                    stack.enter_context(tqdm(total=n, unit="row", disable=disable, leave=False))
                )
            bars[0].update(done - bars[0].n)

        yield advance
