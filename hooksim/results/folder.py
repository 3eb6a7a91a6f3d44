"""What all results on disk share: exact tensors and a description, in a folder of their own."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from numbers import Integral
from pathlib import Path
from typing import Any

from torch import Tensor

from hooksim.errors import ConfigError, HooksimError
from hooksim.results.description import (
    KINDS,
    METADATA,
    TENSORS_SEAL,
    Described,
    Kind,
    damaged,
    read_description,
)
from hooksim.results.matrix import Meaning
from hooksim.storage import SEAL, as_folder, one_line, refuse_to_replace, sealed, write_folder

__all__ = [
    "check_target",
    "fitting",
    "meaning_data",
    "read_parts",
    "result_folder",
    "write_description",
    "write_tensors",
]

_TENSORS = "matrices.safetensors"
# What other parts of hooksim may add to a saved result.
_ADDED = {"report.html", "config.yaml", "unfinished"}
_LOOKS = 5  # at a result that is replaced between reading its description and its matrices


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse a folder that saving a result would refuse, before the work is done.

    Args:
        path: Where a result shall be saved.
        overwrite: Replace a result that stands there.

    Raises:
        ConfigError: Something stands there that may not be replaced.
    """
    refuse_to_replace(path, overwrite=overwrite, objection=_objection)


@contextmanager
def result_folder(path: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder that takes its place, whole, when the block ends without an error.

    Args:
        path: Where the result shall stand.
        overwrite: Replace a result that stands there, of whichever kind.

    Yields:
        The folder to write into.

    Raises:
        ConfigError: Something stands there that may not be replaced.
        HooksimError: The disk is full, or nothing may be written there.
    """
    with (
        one_line(path, "the result cannot be written"),
        write_folder(path, overwrite=overwrite, objection=_objection) as folder,
    ):
        yield folder


def _objection(folder: Path) -> str | None:
    """Say why a folder must not be replaced: it is no result, or holds files of somebody else."""
    try:
        known = {*read_description(folder, *KINDS).files, *_ADDED, METADATA}
    except (HooksimError, OSError):
        return "is not a result that this hooksim can read"
    foreign = sorted(file.name for file in folder.iterdir() if file.name not in known)
    if not foreign:
        return None
    named = ", ".join(map(repr, foreign[:3])) + (", ..." if len(foreign) > 3 else "")
    return f"holds files that are not part of the result ({named})"


def write_tensors(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors, exact.

    Args:
        folder: The folder of the result.
        tensors: Values and standard errors by name.
    """
    from safetensors.torch import save

    # safetensors' own save_file makes a file that nobody but the user can read.
    (folder / _TENSORS).write_bytes(save(tensors))


def write_description(folder: Path, kind: Kind, content: Mapping[str, Any]) -> None:
    """Write what the result is, and which files belong to it; all others stand there already.

    Args:
        folder: The folder of the result.
        kind: What it is.
        content: Names, meaning and provenance, as far as they can be plain data.
    """
    description = {
        "format": kind.format,
        "schema_version": kind.schema,
        **_plain(dict(content)),
        "files": sorted([METADATA, *(file.name for file in folder.iterdir())]),
        TENSORS_SEAL: sha256((folder / _TENSORS).read_bytes()).hexdigest(),
    }
    text = json.dumps(sealed(description), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / METADATA).write_text(text + "\n", encoding="utf-8")


def meaning_data(meaning: Meaning) -> dict[str, Any]:
    """Write down how values are to be read.

    Args:
        meaning: Of a matrix.

    Returns:
        Plain data.

    Example:
        >>> meaning_data(Meaning("CKA", "max"))
        {'label': 'CKA', 'best': 'max', 'range': [0.0, 1.0], 'direction': ''}
    """
    return {
        "label": meaning.label,
        "best": meaning.best,
        "range": list(meaning.range),
        "direction": meaning.direction,
    }


def _plain(value: Any) -> Any:
    """Turn metadata into what every JSON reader takes; what has no such form becomes its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {_encodable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return _encodable(str(value))


def _encodable(text: str) -> str:
    """Write out what no UTF-8 can hold, such as parts of file names that are no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_parts(
    path: str | os.PathLike[str], kind: Kind
) -> tuple[Path, Described, dict[str, Tensor]]:
    """Read what `write_description` and `write_tensors` wrote.

    Args:
        path: The folder.
        kind: What it must be.

    Returns:
        The folder, the description, the tensors.

    Raises:
        ConfigError: There is no such result.
        HooksimError: It is damaged, or of a newer version, or cannot be read.
    """
    folder = as_folder(path)
    with one_line(path, "the result cannot be read"):
        if not folder.exists():
            raise ConfigError(f"'{folder}' does not exist. Expected the folder of a saved result.")
        return (folder, *_read_whole(folder, kind, _LOOKS))


def _read_whole(folder: Path, kind: Kind, looks: int) -> tuple[Described, dict[str, Tensor]]:
    """Read both files of one result, though somebody may put another one in its place meanwhile."""
    description = read_description(folder, kind)
    try:
        return description, _read_tensors(folder, description.matrices_sha256)
    except HooksimError:
        if looks == 1 or read_description(folder, kind) == description:
            raise
    return _read_whole(folder, kind, looks - 1)


@contextmanager
def fitting(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong when parts are put together into the error of a damaged result.

    Args:
        folder: The folder that the parts come from.

    Raises:
        HooksimError: The parts do not fit each other.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise damaged(folder, f"its parts do not fit each other ({what})") from error


def _read_tensors(folder: Path, expected: str | None) -> dict[str, Tensor]:
    """Read values and standard errors; the hash tells whether they are those that were written."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    file = folder / _TENSORS
    if not file.is_file():
        raise damaged(folder, f"{_TENSORS} is missing")
    content = file.read_bytes()
    if expected is not None and sha256(content).hexdigest() != expected:
        raise damaged(folder, f"{_TENSORS} is not what was written: its {SEAL} is another")
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, OverflowError, RuntimeError) as error:
        raise damaged(folder, f"{_TENSORS} cannot be read ({error})") from error
