"""A trajectory on disk: exact values, metadata, curves as tables and pictures, and its page."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.results.folder import (
    TRAJECTORY,
    fitting,
    meaning_data,
    read_meaning,
    read_parts,
    result_folder,
    write_description,
    write_tensors,
)
from hooksim.results.page import PAGE
from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step
from hooksim.results.tables import file_stems, write_table

if TYPE_CHECKING:
    from hooksim.results.trajectory import Trajectory

__all__ = ["load_trajectory", "save_trajectory"]

_CORNER = "step / layer"


def save_trajectory(
    trajectory: "Trajectory", path: str | os.PathLike[str], overwrite: bool
) -> Path:
    """Write a trajectory; see `Trajectory.save`.

    Args:
        trajectory: The result.
        path: The folder.
        overwrite: Replace a result that stands there.

    Returns:
        The folder.

    Raises:
        ConfigError: The folder may not be written.
    """
    with result_folder(path, overwrite=overwrite) as folder:
        stems = file_stems(trajectory)
        write_tensors(folder, _tensors(trajectory))
        _write_tables(folder, trajectory, stems)
        _write_pictures(folder, trajectory, stems)
        trajectory.report(folder / PAGE)
        _write_metadata(folder, trajectory, stems)
    return Path(path).expanduser()


def _tensors(trajectory: "Trajectory") -> dict[str, Any]:
    """Name all values and standard errors."""
    tensors = {}
    for key in trajectory:
        tensors[f"{key}.values"] = trajectory[key].values
        tensors[f"{key}.stderr"] = trajectory[key].stderr
    return tensors


def _write_tables(folder: Path, trajectory: "Trajectory", stems: dict[str, str]) -> None:
    """Write the curves of each matrix, a line a step, a column a layer, and their errors."""
    for key in trajectory:
        drift = trajectory.drift(key)
        steps = list(map(str, drift.steps))
        for ending, numbers in (("drift", drift.values), ("drift.stderr", drift.stderr)):
            file = folder / f"{stems[key]}.{ending}.csv"
            write_table(file, numbers, steps, drift.layers, _CORNER)


def _write_pictures(folder: Path, trajectory: "Trajectory", stems: dict[str, str]) -> None:
    """Draw the curves of each matrix."""
    from hooksim.plotting import png_bytes

    for key in trajectory:
        (folder / f"{stems[key]}.curves.png").write_bytes(png_bytes(trajectory.plot(key)[0]))


def _write_metadata(folder: Path, trajectory: "Trajectory", stems: dict[str, str]) -> None:
    """Write steps, names, meaning and provenance."""
    matrices = [
        {
            "key": key,
            "file": stems[key],
            **meaning_data(trajectory[key].meaning),
            "layers_a": trajectory[key].layers_a,
            "layers_b": trajectory[key].layers_b,
        }
        for key in trajectory
    ]
    content = {
        "n_samples": trajectory.n_samples,
        "steps": trajectory.steps,
        "matrices": matrices,
        "metadata": trajectory.metadata,
    }
    write_description(folder, TRAJECTORY, content)


def load_trajectory(
    path: str | os.PathLike[str],
) -> tuple[list[Step], dict[str, MatrixStack], int, dict[str, Any]]:
    """Read a trajectory.

    Args:
        path: The folder.

    Returns:
        The steps, the matrices, the number of samples and the metadata.

    Raises:
        ConfigError: There is no trajectory.
        HooksimError: It is damaged, or of a newer version.
    """
    folder, description, tensors = read_parts(path, TRAJECTORY)
    with fitting(folder):
        steps, count = list(description["steps"]), int(description["n_samples"])
        stacks = {}
        for item in description["matrices"]:
            key = item["key"]
            values, stderr = tensors[f"{key}.values"], tensors[f"{key}.stderr"]
            if any(size != len(steps) for size in values.shape[:-2]):
                raise ValueError(f"{key!r} of shape {tuple(values.shape)} for {len(steps)} steps")
            stacks[key] = MatrixStack(
                key, values, stderr, item["layers_a"], item["layers_b"], read_meaning(item)
            )
        return steps, stacks, count, dict(description["metadata"])
