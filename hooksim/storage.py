"""A folder that is written whole or not at all; knows nothing of what is in it."""

import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from hooksim.errors import ConfigError

__all__ = ["refuse_to_replace", "write_folder"]


@contextmanager
def write_folder(
    path: str | os.PathLike[str], *, overwrite: bool, objection: Callable[[Path], str | None]
) -> Iterator[Path]:
    """Give a temporary folder that takes its place when the block ends without an error.

    A reader sees the old folder or the new one, never a part; the old one is lost only once the
    new one stands. Whatever happens, no temporary folder stays behind.

    Args:
        path: Where the folder shall stand. An empty folder there is taken over.
        overwrite: Replace what stands there.
        objection: Asked about the folder that would be replaced: why it must not be, or None.

    Yields:
        An empty folder beside `path`.

    Raises:
        ConfigError: Something stands there and may not be replaced.
    """
    target = Path(path).expanduser().resolve()
    refuse_to_replace(path, overwrite=overwrite, objection=objection)
    temporary = target.parent / f".hooksim-{uuid4().hex}.tmp"
    parked = temporary.with_suffix(".old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        # Writing takes a while: somebody else may have been there.
        refuse_to_replace(path, overwrite=overwrite, objection=objection)
        _put(temporary, target, parked)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if target.exists():
            shutil.rmtree(parked, ignore_errors=True)


def refuse_to_replace(
    path: str | os.PathLike[str], *, overwrite: bool, objection: Callable[[Path], str | None]
) -> None:
    """Raise if what stands at a path must stay; `write_folder` asks the same before it writes.

    Args:
        path: Where a folder shall stand.
        overwrite: Replace what stands there.
        objection: Asked about the folder that would be replaced: why it must not be, or None.

    Raises:
        ConfigError: Something stands there and may not be replaced.
    """
    target = Path(path).expanduser().resolve()
    if target.is_dir():
        if not any(target.iterdir()):
            return
        reason = objection(target)
        if reason is not None:
            raise ConfigError(f"'{path}' {reason}: it is not replaced. Choose another folder.")
        if not overwrite:
            raise ConfigError(
                f"'{path}' already holds a result. Choose another folder, or pass overwrite=True "
                "(--overwrite) to replace it."
            )
    elif target.exists():
        raise ConfigError(f"'{path}' is a file: a folder is needed. Choose another name.")


def _flush(folder: Path) -> None:
    """Bring every file to the disk before the folder gets its name, in case the power fails."""
    for file in filter(Path.is_file, folder.rglob("*")):
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())


def _put(temporary: Path, target: Path, parked: Path) -> None:
    """Move the new folder to its place; the old one ends under a temporary name."""
    if not target.exists():
        temporary.rename(target)
    elif not any(target.iterdir()):
        target.rmdir()
        temporary.rename(target)
    elif not _exchange(temporary, target):
        try:
            target.rename(parked)
            temporary.rename(target)
        except BaseException:
            if parked.exists() and not target.exists():
                parked.rename(target)
            raise


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step where the system can (Linux); say whether it was done."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    if call is None:
        return False
    at_working_folder, swap = -100, 2
    here, there = os.fsencode(first), os.fsencode(second)
    return bool(call(at_working_folder, here, at_working_folder, there, swap) == 0)
