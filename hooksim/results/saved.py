"""Whichever kind of result a folder holds."""

import json
import os
from pathlib import Path

from hooksim.results.comparison import Comparison
from hooksim.results.description import COMPARISON, METADATA, TRAJECTORY
from hooksim.results.trajectory import Trajectory
from hooksim.storage import as_folder

__all__ = ["is_result", "load_saved"]


def load_saved(path: str | os.PathLike[str]) -> Comparison | Trajectory:
    """Read what any result's `save` wrote.

    Args:
        path: The folder.

    Returns:
        A trajectory where the folder says so, else a comparison.

    Raises:
        HooksimError: There is nothing, no result, a damaged one, or one of a newer version.
    """
    found = _format(as_folder(path) / METADATA)
    kind = Trajectory if found == TRAJECTORY.format else Comparison
    return kind.load(path)


def is_result(description: Path) -> bool:
    """Tell a result from what else, such as a recording, has a `metadata.json`.

    Args:
        description: That file.

    Returns:
        False where it says that it is something else; a damaged one may be a result.
    """
    return _format(description) in (COMPARISON.format, TRAJECTORY.format, None)


def _format(description: Path) -> str | None:
    """What a description says that it is; what is wrong is worded by whoever reads the rest."""
    try:
        return str(json.loads(description.read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
