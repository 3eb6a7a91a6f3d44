"""Running a model as it is written: switches of the whole process, safe to hold side by side."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch

__all__ = ["eager"]


@contextmanager
def eager() -> Iterator[None]:
    """Run models as they are written, so that every hook sees a plain tensor.

    Hooks set after a compiled call never fire, silently, and a model does not show whether one of
    its methods was compiled; and the fast path of `nn.TransformerEncoder` packs padded sequences
    into nested tensors. Both switches are the whole process's: they go back when the last of
    several threads or nested contexts leaves.

    Yields:
        None; inside, what was compiled runs eagerly and the fast path is off.
    """
    with _FAST_PATH_OFF.held(), _COMPILER_OFF.held():
        yield


class _Switch:
    """A setting of the process: the first who needs it sets it, the last puts it back.

    State: the number of holders, and what puts the setting back.
    """

    def __init__(self, setting: Callable[[], AbstractContextManager[None]]) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._holders = 0
        self._put_back = ExitStack()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if not self._holders:
                self._put_back.enter_context(self._setting())
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._put_back.close()


@contextmanager
def _without_fast_path() -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


_FAST_PATH_OFF = _Switch(_without_fast_path)
_COMPILER_OFF = _Switch(lambda: torch.compiler.set_stance("force_eager"))
