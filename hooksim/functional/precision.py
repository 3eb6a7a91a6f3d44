"""Full float32 precision for matrix products, whatever the caller has switched on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import torch

__all__ = ["full_precision"]

_lock = Lock()
_inside: list[None] = []  # one entry for each thread and level within `full_precision`
_before: list[tuple[Any, str]] = []  # what the outermost level found


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep TF32, bfloat16 products and autocast away from Gram matrices; restore them after.

    The settings of products belong to the process: they come back when the last thread has left.
    Also usable as a decorator of functions.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16), full_precision():
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.float32
    """
    accelerator = torch.accelerator.current_accelerator()
    devices = {"cpu"} if accelerator is None else {"cpu", accelerator.type}
    _enter()
    try:
        with ExitStack() as stack:
            for device in filter(torch.is_autocast_enabled, devices):
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        _leave()


def _enter() -> None:
    with _lock:
        if not _inside:
            # mkldnn fills its attributes at import, where type checkers cannot see them.
            mkldnn: Any = torch.backends.mkldnn
            parents = ((torch.backends, torch.backends.cuda.matmul), (mkldnn, mkldnn.matmul))
            for parent, backend in parents:
                own = backend.fp32_precision
                # A setting that follows its parent reads like the parent's; it must go on so.
                _before.append((backend, "none" if own == parent.fp32_precision else own))
                backend.fp32_precision = "ieee"
        _inside.append(None)


def _leave() -> None:
    with _lock:
        _inside.pop()
        while not _inside and _before:
            backend, precision = _before.pop()
            backend.fp32_precision = precision
