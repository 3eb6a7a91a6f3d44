"""Folders and files that are written whole or not at all; knows nothing of what is in them."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from hooksim.errors import ConfigError, HooksimError

__all__ = [
    "SEAL",
    "as_folder",
    "is_sealed",
    "one_line",
    "refuse_to_replace",
    "replace_folder",
    "sealed",
    "write_file",
    "write_folder",
]

SEAL = "sha256"
"""Key of a description that holds the hash of all its other keys."""

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)  # what a folder says that somebody else has just put there


def as_folder(path: Any) -> Path:
    """Accept the path of a folder.

    Args:
        path: What was given.

    Returns:
        The path, `~` resolved.

    Raises:
        ConfigError: It is no path.

    Example:
        >>> as_folder("runs/a").name
        'a'
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(text, str):
        raise ConfigError(f"path: expected the name of a folder, got {type(path).__name__}.")
    if "\0" in text:
        raise ConfigError(f"path: {text!r} cannot be the name of a folder: it holds a NUL.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user
        raise ConfigError(f"path: {text!r} cannot be the name of a folder: {error}") from error


@contextmanager
def one_line(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Say in one line what the system says where something cannot be read or written.

    Args:
        path: What it is about.
        what: Such as `"the recording cannot be read"`.

    Yields:
        None.

    Raises:
        HooksimError: The system refused.

    Example:
        >>> with one_line("runs/a", "the result cannot be written"):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        ...
        hooksim.errors.HooksimError: 'runs/a': the result cannot be written: No space left on ...
    """
    try:
        yield
    except OSError as error:
        raise HooksimError(f"'{path}': {what}: {error.strerror or error}.") from error


def sealed(description: Mapping[str, Any]) -> dict[str, Any]:
    """Add the hash by which a change to any other key is found out.

    Args:
        description: Plain data, as JSON has it.

    Returns:
        The same with the key `sha256`.

    Example:
        >>> is_sealed(sealed({"n": 1})), is_sealed({**sealed({"n": 1}), "n": 2})
        (True, False)
    """
    return {**description, SEAL: _hash_of(description)}


def is_sealed(description: Mapping[str, Any]) -> bool:
    """Tell whether a description is the one that was sealed, whatever its layout.

    Args:
        description: What `sealed` gave, written and read as JSON.

    Returns:
        False where a key was changed, added or lost.
    """
    return description.get(SEAL) == _hash_of(description)


def _hash_of(description: Mapping[str, Any]) -> str:
    others = {key: value for key, value in description.items() if key != SEAL}
    text = json.dumps(others, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@contextmanager
def write_file(path: Path) -> Iterator[Path]:
    """Give a temporary name whose file takes another one's place when the block ends well.

    A reader sees the old file or the new one, never a part. Whatever happens, no temporary file
    stays behind.

    Args:
        path: Where the file shall stand; the folders above it are made.

    Yields:
        A path beside it with the same ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".hooksim-{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        ConfigError: Something stands there and may not be replaced, or it is no path of a folder.
    """
    refuse_to_replace(path, overwrite=overwrite, objection=objection)
    target = as_folder(path).resolve()
    temporary = target.parent / f".hooksim-{uuid4().hex}.tmp"
    parked = temporary.with_suffix(".old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        while True:
            # Writing takes a while: somebody else may have been there, or come in between.
            refuse_to_replace(path, overwrite=overwrite, objection=objection)
            try:
                _put(temporary, target, parked)
                break
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                if target.exists():
                    shutil.rmtree(parked, ignore_errors=True)
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
        ConfigError: Something stands there and may not be replaced, or it is no path of a folder.
    """
    try:
        target = as_folder(path).resolve()
        is_folder = target.is_dir()
    except (OSError, RuntimeError) as error:  # a name too long, a ring of links
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"'{path}' cannot be the name of a folder: {reason}.") from error
    if is_folder:
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


def replace_folder(new: Path, target: Path) -> None:
    """Put a whole folder in the place of another one, in one step where the system can.

    Args:
        new: The folder, on the same disk; what was at the target has its name afterwards, unless
            that was empty or not there.
        target: Where it shall stand.
    """
    parked = new.with_suffix(".old")
    _flush(new)
    _put(new, target, parked)
    if parked.exists():
        parked.rename(new)


def _flush(folder: Path) -> None:
    """Bring every file to the disk before the folder gets its name, in case the power fails."""
    for file in filter(Path.is_file, folder.rglob("*")):
        _sync(file)


def _sync(file: Path) -> None:
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
