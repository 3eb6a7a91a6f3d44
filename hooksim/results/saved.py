"""Whichever kind of result a folder holds."""

import json
import os
from pathlib import Path

from hooksim.results.comparison import Comparison
from hooksim.results.folder import TRAJECTORY
from hooksim.results.trajectory import Trajectory

__all__ = ["load_saved"]


def load_saved(path: str | os.PathLike[str]) -> Comparison | Trajectory:
    """Read what any result's `save` wrote.

    Args:
        path: The folder.

    Returns:
        A trajectory where the folder says so, else a comparison.

    Raises:
        HooksimError: There is nothing, no result, a damaged one, or one of a newer version.
    """
    description = Path(path).expanduser() / "metadata.json"
    try:
        found = json.loads(description.read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None  # what is wrong is worded by whoever reads the rest
    kind = Trajectory if found == TRAJECTORY.format else Comparison
    return kind.load(path)
