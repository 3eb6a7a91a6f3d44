"""The folder of a watched run, read back: what was measured, over the steps."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hooksim.callbacks.history import History
from hooksim.errors import ConfigError, Note
from hooksim.probe.course import choose_reference, trajectory_of
from hooksim.probe.scalars import scalar_names
from hooksim.results import Comparison, Trajectory

__all__ = ["is_run", "load_each_reference", "load_run", "results_in", "steps_in"]


def load_run(path: str | os.PathLike[str], reference: str | None = None) -> Trajectory:
    """Read what a SimilarityCallback has left of a run, finished or not.

    Args:
        path: Its folder, `<output_dir>/hooksim`.
        reference: Name of the reference that is axis A; None where the run has only one.

    Returns:
        The comparisons with it over the steps: curves for each layer, a page, something to save.
        Steps that could not be measured, or whose result is gone, are among its warnings.

    Raises:
        ConfigError: It is no such folder, nothing is in it, there is no such reference, or several
            and none named.
        HooksimError: A result is damaged.

    Example:
        >>> load_run("nowhere/hooksim")
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: 'nowhere/hooksim' is not the folder of a watched run, ...
    """
    folder = Path(path).expanduser()
    lines, found = _read(folder)
    name = choose_reference(reference, list(found))
    return _trajectory(lines, name, found[name])


def load_each_reference(path: str | os.PathLike[str]) -> dict[str, Trajectory]:
    """Read what a SimilarityCallback has left of a run, for each of its references.

    Args:
        path: Its folder, `<output_dir>/hooksim`.

    Returns:
        What `load_run` gives, by the names of the references.

    Raises:
        HooksimError: As for `load_run`.
    """
    folder = Path(path).expanduser()
    lines, found = _read(folder)
    return {name: _trajectory(lines, name, results) for name, results in found.items()}


def is_run(folder: Path) -> bool:
    """Say whether a folder is that of a watched run.

    Args:
        folder: Any folder.

    Returns:
        True where it has a history.
    """
    return History.path_in(folder).is_file()


def steps_in(folder: Path) -> list[tuple[int, Path]]:
    """List the folders `step-N` in a folder.

    Args:
        folder: Of a run.

    Returns:
        Steps and folders, in their order.
    """
    named = ((path, re.fullmatch(r"step-([0-9]+)", path.name)) for path in folder.glob("step-*/"))
    return sorted((int(match[1]), path) for path, match in named if match)


def results_in(place: Path) -> dict[str, Comparison]:
    """Read the results of a step.

    Args:
        place: The folder of the step.

    Returns:
        The comparisons by the names of their references.

    Raises:
        HooksimError: One is damaged.
    """
    folders = [place, *sorted(place.glob("*/"))]
    found = [Comparison.load(each) for each in folders if (each / "metadata.json").is_file()]
    return {str(result.metadata["name_a"]): result for result in found}


def _read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, dict[int, Comparison]]]:
    """The history of a run, and its results by the names of their references and their steps."""
    if not is_run(folder):
        inner = folder / "hooksim"
        hint = f" It is '{inner}'." if is_run(inner) else ""
        raise ConfigError(
            f"'{folder}' is not the folder of a watched run, which has a history.jsonl: a "
            f"SimilarityCallback writes it into <output_dir>/hooksim.{hint}"
        )
    # Before the results, since a run that goes on writes a result and then its line.
    lines = History(folder).lines
    found: dict[str, dict[int, Comparison]] = {}
    for step, place in steps_in(folder):
        for name, result in results_in(place).items():
            found.setdefault(name, {})[step] = result
    if not found:
        raise ConfigError(f"'{folder}' has no result: nothing was compared in this run yet.")
    return lines, found


def _trajectory(
    lines: list[dict[str, Any]], name: str, results: Mapping[int, Comparison]
) -> Trajectory:
    trajectory = trajectory_of(name, results)
    notes = [note._asdict() for note in _notes(lines, name, results)]
    trajectory.metadata["warnings"] = [*trajectory.metadata["warnings"], *notes]
    return trajectory


def _notes(lines: list[dict[str, Any]], name: str, results: Mapping[int, Comparison]) -> list[Note]:
    """What must be said of the steps that are not there."""
    notes = [
        Note("not_measured", f"step {line['step']} could not be measured: {line['error']}")
        for line in lines
        if "error" in line
    ]
    # Not what begins with the name: that may be how another reference's name begins.
    keys = {key for result in results.values() for key in result}
    own = scalar_names(name, keys)
    gone = [
        str(line["step"])
        for line in lines
        if line["step"] not in results and not own.isdisjoint(line.get("scalars", ()))
    ]
    if gone:
        text = f"the folder has no result of step {', '.join(gone)}, which the history has."
        notes.append(Note("missing_result", text))
    return notes
