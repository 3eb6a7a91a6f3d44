"""Whether the other processes of a group are alive, as far as a process can know."""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Life"]

_BEAT, _PLACE = "beat", "place"  # keys in the store
_BEAT_EVERY = 1.0  # seconds between two signs of life
_SILENCE = 20.0  # seconds without one after which a process counts as dead


class Life:
    """Gives signs of life to the other processes, and looks for theirs.

    State: when each of the others was last heard of.

    Args:
        store: Of the group.
        rank: Of this process.
        size: How many there are.
    """

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self._store = store
        self._rank = rank
        now = time.monotonic()
        self._signs = {other: (-1, now) for other in range(size) if other != rank}
        store.set(f"{_PLACE}/{rank}", f"{_computer()} {os.getpid()}")

    @contextmanager
    def living(self) -> Iterator[None]:
        """Give signs of life, from a thread: the process itself may be busy for long.

        Yields:
            None.
        """
        store, ended = self._store.clone(), threading.Event()

        def beat() -> None:
            with suppress(RuntimeError):  # the store is gone, as others find out too
                while not ended.wait(_BEAT_EVERY):
                    store.add(f"{_BEAT}/{self._rank}", 1)

        thread = threading.Thread(target=beat, name="hooksim-signs-of-life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def missing(self) -> str | None:
        """Say which process has ended, or gives no sign of life.

        Returns:
            A clause; None where all are well.
        """
        now = time.monotonic()
        for rank, (sign, since) in self._signs.items():
            if self._is_gone(rank):
                return f"process {rank} has ended"
            found = self._store.add(f"{_BEAT}/{rank}", 0)
            if found != sign:
                self._signs[rank] = found, now
            elif now - since > _SILENCE:
                return f"process {rank} has given no sign of life for {_SILENCE:.0f} seconds"
        return None

    def _is_gone(self, rank: int) -> bool:
        """Whether a process has ended that ran on this computer; of others only silence tells."""
        key = f"{_PLACE}/{rank}"
        if not self._store.check([key]):
            return False
        computer, process = self._store.get(key).decode().rsplit(" ", 1)
        return computer == _computer() and _has_ended(int(process))


@cache
def _computer() -> str:
    """Where the number of a process means one process."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{platform.node()} {space}"


def _has_ended(process: int) -> bool:
    """Whether a process of this computer is no more, if only its parent still knows of it."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
        return text.rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        pass
    if os.name == "nt":  # there it would end the process
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
