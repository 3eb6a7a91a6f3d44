"""`history.jsonl`: a line for each measurement of a run."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hooksim.errors import HooksimError
from hooksim.storage import write_file

__all__ = ["History"]


class History:
    """The measurements of a run in a file, in the order of their steps.

    A line is a JSON object: `step`, `epoch`, `scalars`, `seconds`; with `error` where the model
    could not be measured.

    State: `lines`, what is in the file.

    Args:
        folder: Where the file is, or will be.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> history = History(Path(folder.name))
        >>> for step in (10, 20, 30):
        ...     history.append({"step": step})
        >>> history.resume(20)
        >>> history.append({"step": 30})
        >>> [line["step"] for line in History(Path(folder.name)).lines]
        [10, 20, 30]
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path) -> None:
        self.path = self.path_in(folder)
        self.lines = _read(self.path)

    @staticmethod
    def path_in(folder: Path) -> Path:
        """Say where the history of a folder is, or would be.

        Args:
            folder: Of a run.

        Returns:
            The file.
        """
        return folder / "history.jsonl"

    @property
    def last_step(self) -> int | None:
        """Step of the last measurement, None where there is none."""
        return self.lines[-1]["step"] if self.lines else None

    def append(self, line: dict[str, Any]) -> None:
        """Write a line, which is on the disk when this returns.

        Args:
            line: Plain data.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_text(line))
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)

    def clear(self) -> None:
        """Begin anew."""
        self._replace([])

    def resume(self, step: int, others: Iterable[dict[str, Any]] = ()) -> None:
        """Go back to a step: what was measured after it will be measured again.

        Args:
            step: The last that counts.
            others: Lines from elsewhere, for steps that the file lacks.
        """
        lines = {line["step"]: line for line in [*others, *self.lines] if line["step"] <= step}
        self._replace([lines[each] for each in sorted(lines)])

    def _replace(self, lines: list[dict[str, Any]]) -> None:
        """Put other lines in the place of all, in one step."""
        with write_file(self.path) as temporary:
            temporary.write_text("".join(map(_text, lines)), encoding="utf-8")
        self.lines = lines


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; a last one without its end was being written when the run was killed."""
    if not path.is_file():
        return []
    whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    # Not splitlines(): names may hold U+2028, which ends a line for it and not for JSON.
    lines = whole.split("\n") if whole else []
    return [_parse(path, number, text) for number, text in enumerate(lines, 1)]


def _parse(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        if isinstance(line, dict) and isinstance(line["step"], int):
            return line
    except (ValueError, KeyError):
        pass
    raise HooksimError(
        f"'{path}': line {number} is no measurement of a run. Move the file away, or take the line "
        "out."
    )
