"""Which threads are reading which models: one at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from hooksim.errors import HooksimError

__all__ = ["held"]

_lock = threading.Lock()
_holders: WeakKeyDictionary[nn.Module, list[int]] = WeakKeyDictionary()
"""For each module that is being read, the thread of each of its readers."""


@contextmanager
def held(model: nn.Module, title: str) -> Iterator[None]:
    """Hold a model for this thread, so that no other one reads it or a part of it meanwhile.

    Hooks, training flags and the device are the model's own: two threads would mix them up. Two
    readers within one thread take turns and may hold it together.

    Args:
        model: The unwrapped model.
        title: The model in messages.

    Yields:
        None.

    Raises:
        HooksimError: Another thread holds the model, a part of it, or what it is a part of.
    """
    thread = threading.get_ident()
    modules = list(model.modules())
    with _lock:
        if any(holder != thread for each in modules for holder in _holders.get(each, ())):
            raise HooksimError(
                f"{title} is being read in another thread. Compare one after the other, or give "
                "each thread a model of its own, such as copy.deepcopy(model)."
            )
        for each in modules:
            _holders.setdefault(each, []).append(thread)
    try:
        yield
    finally:
        with _lock:
            for each in modules:
                _holders[each].remove(thread)
                if not _holders[each]:
                    del _holders[each]
