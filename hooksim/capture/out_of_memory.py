"""What to do where the memory was too little, with the bytes of what there is to make smaller."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from hooksim.errors import HooksimError

__all__ = ["in_mebibytes", "memory_advice"]

_ASKED = re.compile(r"allocate ([\d.]+ ?(?:[KMGT]i?B|bytes))", re.IGNORECASE)
_FORWARD = "in the forward pass of "


@contextmanager
def memory_advice(held: Callable[[], str]) -> Iterator[None]:
    """Turn the errors of full memory into one line that says what to lower.

    Args:
        held: Says what is held, where no forward pass is to blame, and what to lower.

    Yields:
        None.

    Raises:
        HooksimError: The memory was too little.
    """
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        raise HooksimError(_worded(error, held)) from error


def _is_full(error: BaseException | None) -> bool:
    """Whether full memory is what an error is about, or what it was made of."""
    if error is None:
        return False
    own = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return own or "can't allocate memory" in str(error) or _is_full(error.__cause__)


def _worded(error: Exception, held: Callable[[], str]) -> str:
    asked = _ASKED.search(str(error))
    much = f" ({asked[1]} more were asked for)" if asked else ""
    forward = [note for note in getattr(error, "__notes__", []) if note.startswith(_FORWARD)]
    if forward:
        return f"out of memory{much} {forward[0]}. Lower the batch size of the loader."
    return f"out of memory{much} {held()}"


def in_mebibytes(count: int) -> str:
    """Word a number of bytes.

    Args:
        count: Bytes.

    Example:
        >>> in_mebibytes(3 << 20)
        '3.0 MiB'
    """
    return f"{count / (1 << 20):,.1f} MiB"
