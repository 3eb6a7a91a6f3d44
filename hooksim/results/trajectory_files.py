"""A trajectory on disk: exact values, metadata, curves as tables and pictures, and its page."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.results.description import TRAJECTORY
from hooksim.results.folder import (
    fitting,
    meaning_data,
    read_parts,
    result_folder,
    write_description,
    write_tensors,
)
from hooksim.results.known_metadata import KnownMetadata
from hooksim.results.page import PAGE, place_page
from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step
from hooksim.results.tables import file_stems, write_table
from hooksim.results.trajectory_payload import trajectory_payload

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
        place_page(folder / PAGE, trajectory_payload(trajectory))
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
        steps = description.steps
        stacks = {}
        for item in description.matrices:
            key = item.key
            values, stderr = tensors[f"{key}.values"], tensors[f"{key}.stderr"]
            if any(size != len(steps) for size in values.shape[:-2]):
                raise ValueError(f"{key!r} of shape {tuple(values.shape)} for {len(steps)} steps")
            stacks[key] = MatrixStack(
                key, values, stderr, item.layers_a, item.layers_b, item.meaning
            )
            _check_layers(stacks[key], description.known)
        return steps, stacks, description.n_samples, description.metadata


def _check_layers(stack: MatrixStack, known: KnownMetadata) -> None:
    """Raise where a side has layers that the stack has not."""
    a, b = set(stack.layers_a), set(stack.layers_b)
    checkpoints = known.checkpoints or []
    own = a & b if stack.values.ndim == 4 else b  # where all are compared, each is both
    sides = [(known.reference_side, a), *((each.reference_side, a) for each in checkpoints)]
    for side, layers in [*sides, *((each, own) for each in checkpoints)]:
        if side is not None and not set(side.layers or ()) <= layers:
            raise ValueError(f"{stack.key!r} has not all layers of {side.name!r}")
