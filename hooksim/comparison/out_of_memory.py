"""What to do where the memory was too little, with the bytes of what there is to make smaller."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hooksim.errors import HooksimError
from hooksim.run import Run

__all__ = ["memory_advice"]

_ASKED = re.compile(r"allocate ([\d.]+ ?(?:[KMGT]i?B|bytes))", re.IGNORECASE)
_FORWARD = "in the forward pass of "


@contextmanager
def memory_advice(run: Run) -> Iterator[None]:
    """Turn the errors of full memory into one line that says what to lower.

    Args:
        run: The run that is made inside.

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
        raise HooksimError(_worded(error, run)) from error


def _is_full(error: BaseException | None) -> bool:
    """Whether full memory is what an error is about, or what it was made of."""
    if error is None:
        return False
    own = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return own or "can't allocate memory" in str(error) or _is_full(error.__cause__)


def _worded(error: Exception, run: Run) -> str:
    asked = _ASKED.search(str(error))
    much = f" ({asked[1]} more were asked for)" if asked else ""
    forward = [note for note in getattr(error, "__notes__", []) if note.startswith(_FORWARD)]
    if forward:
        return f"out of memory{much} {forward[0]}. Lower the batch size of the loader."
    n, row_bytes, layers, gram_bytes = run.memory
    return (
        f"out of memory{much} with {n:,} rows of {layers} layers held, {_size(row_bytes)}, and "
        f"Gram matrices of {_size(gram_bytes)} a block. Lower block_size, memory_budget or the "
        "number of layers (layers_a, layers_b)."
    )


def _size(count: int) -> str:
    """Bytes for people, with their exact number where that is short."""
    return f"{count / (1 << 20):,.1f} MiB"
