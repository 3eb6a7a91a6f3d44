"""A recording on disk: one raw file a stored layer, and a description of them."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from hooksim.errors import ConfigError, HooksimError
from hooksim.recording.description import Description
from hooksim.recording.format import damaged, document, parse, parse_log
from hooksim.recording.log_lock import refuse_if_held
from hooksim.recording.row_files import checksum_of, map_file, write_rows
from hooksim.storage import as_folder, one_line, refuse_to_replace, write_folder

__all__ = [
    "CHECKED",
    "LOG",
    "METADATA",
    "as_folder",
    "check_folder",
    "check_rows",
    "is_row_file",
    "load_folder",
    "open_rows",
    "row_file",
    "save_folder",
    "writing",
]

METADATA = "metadata.json"
"""The description of a recording that has ended."""

LOG = "batches.jsonl"
"""The description of one that has not: a line a batch. Where one is not empty, it is right."""

CHECKED = 1 << 28
"""Bytes of rows that are read and checked where a recording is opened; more would take seconds."""

_FILES = ((LOG, parse_log), (METADATA, parse))


def row_file(stored: int) -> str:
    """Name the file of a stored layer.

    Args:
        stored: Its position.

    Returns:
        A file name, which owes nothing to the layer's.

    Example:
        >>> row_file(3)
        '3.bin'
    """
    return f"{stored}.bin"


def is_row_file(name: str, layers: int) -> bool:
    """Tell whether a file may be a recording's own.

    Args:
        name: Its name.
        layers: Number of layers, stored each for itself or not.

    Returns:
        True for what `row_file` gives.

    Example:
        >>> is_row_file("3.bin", 4), is_row_file("4.bin", 4), is_row_file("03.bin", 4)
        (True, False, False)
    """
    return re.fullmatch(r"(0|[1-9][0-9]{0,8})\.bin", name) is not None and int(name[:-4]) < layers


def load_folder(path: str | os.PathLike[str]) -> tuple[Description, list[Tensor]]:
    """Open a recording.

    Args:
        path: The folder.

    Returns:
        Its description, and the rows of each stored layer, which stay on the disk.

    Raises:
        ConfigError: There is no recording.
        HooksimError: It is damaged, or of a newer version, or cannot be read. Rows are only looked
            at where there are at most `CHECKED` bytes of them.
    """
    folder = as_folder(path)
    with one_line(path, "the recording cannot be read"):
        if not folder.exists():
            raise ConfigError(f"'{folder}' does not exist. Expected the folder of a recording.")
        description, exact = _read_description(folder)
        tensors = open_rows(folder, description, exact=exact)
        if sum(map(description.row_bytes, range(len(tensors)))) <= CHECKED:
            check_rows(folder, description)
        return description, tensors


def check_rows(folder: Path, description: Description) -> None:
    """Read all rows, and tell whether they are those that were written.

    Args:
        folder: Where they are.
        description: Holds their checksums; where it has none, there is nothing to tell.

    Raises:
        HooksimError: A file was changed, or cannot be read.
    """
    for stored, expected in enumerate(description.checksums or ()):
        file = folder / row_file(stored)
        if description.row_bytes(stored) and checksum_of(file) != expected:
            raise damaged(folder, f"{file.name} is not what was written: its checksum is another")


def open_rows(folder: Path, description: Description, *, exact: bool = True) -> list[Tensor]:
    """Open the rows of a recording.

    Args:
        folder: Where they are.
        description: Says how many there are.
        exact: False where a file may hold more, of a batch that was not finished.

    Returns:
        For each stored layer `(n_rows, d)` over its file.

    Raises:
        HooksimError: A file is missing, or not as long as it should be.
    """
    tensors = []
    for stored, kind in enumerate(description.dtypes):
        dtype, shape = getattr(torch, kind), (description.n_rows, description.widths[stored])
        expected = description.row_bytes(stored)
        file = folder / row_file(stored)
        if not file.is_file():
            if not expected:
                tensors.append(torch.empty(shape, dtype=dtype))
                continue
            raise damaged(folder, f"{file.name} is missing")
        size = file.stat().st_size
        if size < expected or (exact and size > expected):
            what = f"{file.name} holds {size} bytes, {expected} expected for {shape[0]} rows of "
            raise damaged(folder, f"{what}{shape[1]} {kind}")
        tensors.append(map_file(file, dtype, shape))
    return tensors


def save_folder(
    path: str | os.PathLike[str],
    description: Description,
    tensors: Sequence[Tensor],
    *,
    overwrite: bool,
) -> Path:
    """Write a recording whole or not at all.

    Args:
        path: The folder.
        description: Of the recording.
        tensors: The rows of each stored layer.
        overwrite: Replace a recording that stands there.

    Returns:
        The folder.

    Raises:
        ConfigError: Something stands there that may not be replaced, or somebody records there
            now.
        HooksimError: It cannot be written.
    """
    folder = as_folder(path)
    refuse_if_held(folder / LOG)
    with (
        writing(path),
        write_folder(path, overwrite=overwrite, objection=_objection) as made,
    ):
        checksums = []
        for stored, rows in enumerate(tensors):
            with (made / row_file(stored)).open("wb") as file:
                checksums.append(write_rows(file, rows))
        (made / METADATA).write_bytes(document(replace(description, checksums=checksums)))
    return folder


def check_folder(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse a folder that no recording may be written to, before the work is done.

    Args:
        path: The folder.
        overwrite: Replace a recording that stands there.

    Raises:
        ConfigError: Something stands there that may not be replaced, or nothing can be written.
        HooksimError: The system refused to tell.
    """
    with writing(path):
        refuse_to_replace(path, overwrite=overwrite, objection=_objection)
        target = as_folder(path).resolve()
        nearest = next(each for each in (target, *target.parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(
            f"'{path}': nothing can be written to '{nearest}'. Choose another folder."
        )


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say in one line what the system says where something cannot be written.

    Args:
        path: The folder of the recording.

    Yields:
        None.

    Raises:
        HooksimError: The system refused.
    """
    with one_line(path, "the recording cannot be written"):
        yield


def _read_description(folder: Path) -> tuple[Description, bool]:
    """The description, and whether it tells the files' exact sizes."""
    for name, read in _FILES * 2:  # twice: whoever writes may remove one file and make the other
        try:
            text = (folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if text or name == METADATA:
            return read(folder, name, text), name == METADATA
    if (folder / LOG).is_file():
        raise HooksimError(
            f"'{folder}': no batch was written: {LOG} is empty. Record it again with overwrite."
        )
    raise ConfigError(f"'{folder}' is not a recording of hooksim: it has no {METADATA}.")


def _is_empty_log(folder: Path, files: set[str]) -> bool:
    """Whether all that is said of a recording is a log that a crash has left empty."""
    return LOG in files and METADATA not in files and not (folder / LOG).stat().st_size


def _objection(folder: Path) -> str | None:
    """Say why a folder must not be replaced: it is no recording, or holds files of others."""
    files = {file.name for file in folder.iterdir()}
    try:
        layers = 0 if _is_empty_log(folder, files) else len(_read_description(folder)[0].names)
    except HooksimError:
        return "is not a recording that this hooksim can read"
    foreign = sorted(name for name in files - {METADATA, LOG} if not is_row_file(name, layers))
    if not foreign:
        return None
    named = ", ".join(map(repr, foreign[:3])) + (", ..." if len(foreign) > 3 else "")
    return f"holds files that are not part of the recording ({named})"
