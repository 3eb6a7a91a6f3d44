"""Where in the data a loader failed, said of its own error."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hooksim.capture.batches import batch_size
from hooksim.capture.calls import sample_ids
from hooksim.capture.slices import BatchPosition
from hooksim.errors import HooksimError

__all__ = ["dead_workers", "with_places"]

_DEAD_WORKER = "DataLoader worker"
_FROM_WORKER = "Original Traceback"


def with_places(loader: Iterable[Any]) -> Iterator[Any]:
    """Give the batches of a loader, and say of its errors at which batch they came.

    Args:
        loader: Any iterable of batches.

    Yields:
        Its batches.

    Raises:
        Exception: Whatever the loader raises, with a note.

    Example:
        >>> import torch
        >>> def failing():
        ...     yield {"x": torch.zeros(2, 1), "sample_ids": ["a", "b"]}
        ...     raise OSError("the disk is gone")
        >>> try:
        ...     list(with_places(failing()))
        ... except OSError as error:
        ...     error.__notes__
        ["in the loader, batch 1 (first sample 2, after the one with id 'b')"]
    """
    source = iter(loader)
    at, last = BatchPosition(0, 0), ""
    while True:
        try:
            held = [next(source)]
        except StopIteration:
            return
        except Exception as error:
            if _is_cut_off(loader, error):
                raise _dead(at, error) from error
            _place(error, str(at).removesuffix(")") + last + ")")
            raise
        size, last = _seen(held[0])
        yield held.pop()  # not kept while it is worked on
        at = BatchPosition(at.number + bool(size), at.first_sample + size)


def _seen(item: Any) -> tuple[int, str]:
    """The samples of a batch, and how to find the last of them; one that is wrong counts none."""
    try:
        size, ids = batch_size(item), sample_ids(item)
    except (HooksimError, TypeError):  # whoever reads the batch says what is wrong
        return 0, ""
    return size, f", after the one with id {ids[-1]!r}" if ids else ""


@contextmanager
def dead_workers(reached: Callable[[], BatchPosition]) -> Iterator[None]:
    """Say in one line that a process of the loader has died, wherever that is noticed.

    PyTorch raises it from a signal handler: in the midst of whatever is done then.

    Args:
        reached: Says how far the data are read.

    Yields:
        None.

    Raises:
        HooksimError: A process of the loader has died.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_DEAD_WORKER):
            raise
        raise _dead(reached(), error) from error


def _is_cut_off(loader: Any, error: Exception) -> bool:
    """Whether a process of the loader has ended while it handed a batch over.

    What such a process itself has failed with comes with the text of its traceback.
    """
    has_processes = bool(getattr(loader, "num_workers", 0))
    is_of_a_pipe = isinstance(error, ConnectionError | EOFError)
    return has_processes and is_of_a_pipe and _FROM_WORKER not in str(error)


def _dead(at: BatchPosition, error: Exception) -> HooksimError:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")
    return HooksimError(
        f"loader: a process of it has died, after {at} was asked for: {reason}. Most often the "
        "memory was too little: use fewer workers (num_workers) or smaller batches."
    )


def _place(error: Exception, at: str) -> None:
    """Add the place, and what a process of the loader has said last."""
    text = str(error)
    if text.startswith(_DEAD_WORKER):
        return
    note = f"in the loader, {at}"
    if _FROM_WORKER in text:
        note += f": {text.strip().splitlines()[-1]}"
    error.add_note(note)
