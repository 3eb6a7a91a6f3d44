"""The lock on a recording's log: who holds it writes to the folder, and nobody else does."""

import os
from pathlib import Path
from typing import IO

from hooksim.errors import ConfigError

__all__ = ["is_held", "is_ours", "lock_log", "refuse_if_held", "remove_log"]


def lock_log(file: Path) -> IO[bytes]:
    """Open a log for writing, and hold it until it is closed or the process ends.

    Where the system or the disk knows no locks, it is opened all the same.

    Args:
        file: The log; made where there is none, else left as it is.

    Returns:
        The open file.

    Raises:
        ConfigError: Somebody else holds it.
        OSError: It cannot be opened.
    """
    while True:
        log = file.open("a+b")
        if not _lock(log, exclusive=True):
            log.close()
            raise _held(file)
        if is_ours(log, file):
            return log
        log.close()  # whoever held it has removed it meanwhile


def is_ours(log: IO[bytes], file: Path) -> bool:
    """Tell whether an open log still is the one in the folder.

    Args:
        log: The open file.
        file: Where it was opened.

    Returns:
        False where there is none any more, or another.
    """
    try:
        return not log.closed and os.path.samestat(os.fstat(log.fileno()), file.stat())
    except OSError:
        return False


def is_held(file: Path) -> bool:
    """Tell whether somebody writes to a log now.

    Args:
        file: The log, which need not be there.

    Returns:
        False where nobody does, or where there are no locks.
    """
    try:
        with file.open("rb") as log:
            return not _lock(log, exclusive=False)
    except OSError:
        return False


def refuse_if_held(file: Path) -> None:
    """Refuse a folder to which somebody writes now.

    Args:
        file: Its log, which need not be there.

    Raises:
        ConfigError: Somebody holds it.
    """
    if is_held(file):
        raise _held(file)


def remove_log(log: IO[bytes], file: Path) -> None:
    """Remove a log that is held, and let it go.

    Args:
        log: The open file.
        file: Where it is.
    """
    if os.name == "nt":
        log.close()  # or it could not be removed there
    file.unlink(missing_ok=True)
    log.close()


def _lock(log: IO[bytes], *, exclusive: bool) -> bool:
    """Take the lock; say whether nobody else has it."""
    try:
        import fcntl
    except ImportError:  # Windows has none
        return True
    try:
        fcntl.flock(log, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some disks in a network know no locks
        return True
    return True


def _held(file: Path) -> ConfigError:
    return ConfigError(f"'{file.parent}': somebody else records there now. Choose another folder.")
