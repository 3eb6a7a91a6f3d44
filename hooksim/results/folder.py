"""What all results on disk share: exact tensors and a description, in a folder of their own."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from hooksim.errors import ConfigError, HooksimError
from hooksim.results.matrix import Meaning
from hooksim.storage import refuse_to_replace, write_folder

__all__ = [
    "COMPARISON",
    "TRAJECTORY",
    "Kind",
    "check_target",
    "fitting",
    "meaning_data",
    "read_meaning",
    "read_parts",
    "result_folder",
    "write_description",
    "write_tensors",
]

_TENSORS, _METADATA = "matrices.safetensors", "metadata.json"
# What other parts of hooksim may add to a saved result.
_ADDED = {"report.html", "config.yaml"}


class Kind(NamedTuple):
    """A kind of result on disk.

    Attributes:
        noun: What people call it.
        schema: Newest form of the description that is understood.
        reader: The class whose `load` reads it.
    """

    noun: str
    schema: int
    reader: str

    @property
    def format(self) -> str:
        """What the description calls it."""
        return f"hooksim {self.noun}"


COMPARISON = Kind("comparison", 1, "hooksim.Comparison")
TRAJECTORY = Kind("trajectory", 1, "hooksim.Trajectory")
_KINDS = {kind.format: kind for kind in (COMPARISON, TRAJECTORY)}


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse a folder that saving a result would refuse, before the work is done.

    Args:
        path: Where a result shall be saved.
        overwrite: Replace a result that stands there.

    Raises:
        ConfigError: Something stands there that may not be replaced.
    """
    refuse_to_replace(path, overwrite=overwrite, objection=_objection)


def result_folder(path: str | os.PathLike[str], *, overwrite: bool) -> AbstractContextManager[Path]:
    """Give a temporary folder that takes its place, whole, when the block ends without an error.

    Args:
        path: Where the result shall stand.
        overwrite: Replace a result that stands there, of whichever kind.

    Returns:
        A context that gives the folder to write into.

    Raises:
        ConfigError: Something stands there that may not be replaced.
    """
    return write_folder(path, overwrite=overwrite, objection=_objection)


def _objection(folder: Path) -> str | None:
    """Say why a folder must not be replaced: it is no result, or holds files of somebody else."""
    try:
        description = _read_description(folder, *_KINDS.values())
        known = {*description.get("files", []), *_ADDED, _METADATA}
    except (HooksimError, TypeError):
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
        "files": sorted([_METADATA, *(file.name for file in folder.iterdir())]),
    }
    text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / _METADATA).write_text(text + "\n", encoding="utf-8")


def meaning_data(meaning: Meaning) -> dict[str, Any]:
    """Write down how values are to be read.

    Args:
        meaning: Of a matrix.

    Returns:
        What `read_meaning` reads.

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


def read_meaning(item: Mapping[str, Any]) -> Meaning:
    """Read how values are to be read.

    Args:
        item: The description of a matrix.

    Returns:
        The meaning; what is missing or wrong raises as it comes, for `fitting` to word.
    """
    low, high = item["range"]
    return Meaning(item["label"], item["best"], (low, high), item["direction"])


def _plain(value: Any) -> Any:
    """Turn metadata into what every JSON reader takes; what has no such form becomes its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)


def read_parts(
    path: str | os.PathLike[str], kind: Kind
) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """Read what `write_description` and `write_tensors` wrote.

    Args:
        path: The folder.
        kind: What it must be.

    Returns:
        The folder, the description, the tensors.

    Raises:
        ConfigError: There is no such result.
        HooksimError: It is damaged, or of a newer version.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        raise ConfigError(f"'{folder}' does not exist. Expected the folder of a saved result.")
    return folder, _read_description(folder, kind), _read_tensors(folder)


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
        raise _damaged(folder, f"its parts do not fit each other ({what})") from error


def _read_description(folder: Path, *kinds: Kind) -> dict[str, Any]:
    """Read metadata.json and check that it is of one of the kinds and not newer than we are."""
    file = folder / _METADATA
    if not file.is_file():
        raise ConfigError(f"'{folder}' is not a result of hooksim: it has no {_METADATA}.")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(folder, f"{_METADATA} is not valid JSON ({error})") from error
    known = _KINDS.get(str(description.get("format"))) if isinstance(description, dict) else None
    if known is None:
        raise ConfigError(f"'{folder}' is not a result of hooksim: {_METADATA} is of another kind.")
    if known not in kinds:
        raise ConfigError(
            f"'{folder}' holds a {known.noun}, not a {kinds[0].noun}: {known.reader}.load reads it."
        )
    schema = description.get("schema_version")
    if not isinstance(schema, int):
        raise _damaged(folder, f"{_METADATA} has no schema version")
    if schema > known.schema:
        raise HooksimError(
            f"'{folder}' was written by a newer hooksim (schema {schema}, this one reads up to "
            f"{known.schema}). Upgrade hooksim."
        )
    return dict(description)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read values and standard errors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / _TENSORS).is_file():
        raise _damaged(folder, f"{_TENSORS} is missing")
    try:
        return load_file(folder / _TENSORS)
    except (SafetensorError, ValueError, OSError) as error:
        raise _damaged(folder, f"{_TENSORS} cannot be read ({error})") from error


def _damaged(folder: Path, what: str) -> HooksimError:
    """Word the error of a result that cannot be read."""
    return HooksimError(f"the result in '{folder}' is damaged: {what}. Save it again.")
