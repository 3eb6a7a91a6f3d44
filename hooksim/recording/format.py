"""A recording's description as text: a document when it has ended, a log line a batch before."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hooksim.errors import ConfigError, HooksimError
from hooksim.recording.description import BatchEntry, Description
from hooksim.storage import SEAL, is_sealed, sealed

__all__ = ["END", "damaged", "document", "entry_line", "header_line", "parse", "parse_log"]

END = b'{"complete": true}\n'
"""The last line of a log whose data were read to their end."""

_FORMAT = "hooksim recording"
_SCHEMA = 2
_SEALED_FROM = 2  # the first schema whose documents hold a hash; older ones are read without

_Data = TypeVar("_Data", BatchEntry, Description)


def damaged(folder: Path, what: str) -> HooksimError:
    """Word the error of a recording that cannot be read.

    Args:
        folder: Where it is.
        what: What is wrong with it.

    Returns:
        The error.
    """
    return HooksimError(f"the recording in '{folder}' is damaged: {what}. Record it again.")


def document(description: Description) -> bytes:
    """Write a description for people and programs: one key a line.

    Args:
        description: A recording's description.

    Returns:
        A JSON document.
    """
    plain = sealed(_plain(description))
    lines = (f"{_text(key)}: {_text(value)}" for key, value in plain.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def header_line(description: Description) -> bytes:
    """Write the first line of a log.

    Args:
        description: The description before the first batch.

    Returns:
        One line of JSON.
    """
    return f"{_text(_plain(description))}\n".encode()


def entry_line(entry: BatchEntry) -> bytes:
    """Write what one batch adds.

    Args:
        entry: The batch.

    Returns:
        One line of JSON, without what the batch does not have.
    """
    plain = {key: value for key, value in vars(entry).items() if value not in (None, [])}
    if entry.notes:
        plain["notes"] = [note._asdict() for note in entry.notes]
    return f"{_text(plain)}\n".encode()


def parse(folder: Path, file: str, text: bytes) -> Description:
    """Read a document.

    Args:
        folder: Where it is, for messages.
        file: Its name, for messages.
        text: What it holds; nothing of it is trusted.

    Returns:
        The description, all parts of which fit each other.

    Raises:
        ConfigError: It is no recording.
        HooksimError: It is damaged, or of a newer version.
    """
    description = _read_description(folder, file, text, whole=True)
    return _fitting(folder, file, description)


def parse_log(folder: Path, file: str, text: bytes) -> Description:
    """Read a log, as far as it was written.

    Args:
        folder: Where it is, for messages.
        file: Its name, for messages.
        text: What it holds; nothing of it is trusted. A last line without an end is left out.

    Returns:
        The description after the last batch.

    Raises:
        ConfigError: It is no recording.
        HooksimError: It is damaged, or of a newer version.
    """
    header, *lines = text.split(b"\n")[:-1] or [text]
    description = _read_description(folder, file, header, whole=False)
    complete = bool(lines) and lines[-1] + b"\n" == END
    for number, line in enumerate(lines[: len(lines) - complete], 2):
        entry = _validated(BatchEntry, folder, f"{file}, line {number}", line)
        try:
            description.add(entry)
        except (ValueError, IndexError) as error:
            raise damaged(folder, f"{file}, line {number}: its positions do not fit") from error
    description.close(complete)
    return _fitting(folder, file, description)


def _plain(description: Description) -> dict[str, Any]:
    rows = None if description.rows is None else asdict(description.rows)
    notes = [note._asdict() for note in description.notes]
    head = {"format": _FORMAT, "schema_version": _SCHEMA}
    return head | vars(description) | {"rows": rows, "notes": notes}


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _read_description(folder: Path, file: str, text: bytes, *, whole: bool) -> Description:
    """Check that it is ours, not newer than we are, and as it was written; then its types."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(folder, f"{file} is not valid JSON ({error})") from error
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise ConfigError(f"'{folder}' is not a recording of hooksim: {file} is of another kind.")
    schema = head.get("schema_version")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise damaged(folder, f"{file} has no schema version")
    if schema < 1:
        raise damaged(folder, f"{file}: schema_version is {schema}, expected from 1")
    if schema > _SCHEMA:
        raise HooksimError(
            f"'{folder}' was written by a newer hooksim (schema {schema}, this one reads up to "
            f"{_SCHEMA}). Upgrade hooksim."
        )
    if whole and (schema >= _SEALED_FROM or SEAL in head) and not is_sealed(head):
        raise damaged(folder, f"{file} is not what was written: its {SEAL} is another")
    return _validated(Description, folder, file, text)


def _validated(kind: type[_Data], folder: Path, where: str, text: bytes) -> _Data:
    from pydantic import ValidationError

    try:
        found: _Data = _adapters()[kind.__name__].validate_json(text, strict=True)
        return found
    except ValidationError as error:
        _refuse(folder, where, error.errors()[0])


@cache
def _adapters() -> dict[str, Any]:
    """What checks each kind of data; made once, which takes longer than a line of a log."""
    from pydantic import TypeAdapter

    return {kind.__name__: TypeAdapter(kind) for kind in (BatchEntry, Description)}


def _refuse(folder: Path, where: str, first: Any) -> NoReturn:
    key = ".".join(map(str, first["loc"]))
    raise damaged(folder, ": ".join(filter(None, (where, key, first["msg"]))))


def _fitting(folder: Path, file: str, description: Description) -> Description:
    fault = description.fault()
    if fault is not None:
        raise damaged(folder, f"{file}: {fault}")
    return description
