"""The folder of a watched run: a result for each step, the references, the history."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hooksim.callbacks.history import History
from hooksim.callbacks.run_terms import RunTerms
from hooksim.callbacks.saved_run import results_in, steps_in
from hooksim.errors import ConfigError, HooksimError
from hooksim.probe import Probe
from hooksim.probe.course import Course, Measurement
from hooksim.probe.references import check_same_samples, holds_only_recordings, titled
from hooksim.results import Comparison, check_target
from hooksim.results.page import is_page

__all__ = ["RunFolder"]


class RunFolder:
    """What a run leaves behind, and takes up again where it was interrupted.

    `run.json` with what it was begun with, `history.jsonl`, `step-N/` with the result of that step
    (or `step-N/NAME/` for each of several references), `reference-NAME/` with the recording of a
    reference, and in `reference-NAME/step-N/` that of a measurement which the next one is compared
    with.

    State: the history, what is in the folder, and the steps of the checkpoints.

    Args:
        path: The folder.
        probe: Whose references and results these are.
        every: When the run measures, for whoever goes on with it.
    """

    def __init__(self, path: Path, probe: Probe, every: str | int) -> None:
        self.path = path
        self.history = History(path)
        self._terms = RunTerms(path, every)
        self._probe = probe
        self._checkpoints: list[int] = []

    def begin(self) -> list[str]:
        """Begin a new run: what an earlier one left here goes, and the references are kept.

        Returns:
            What was deleted, for people.
        """
        earlier = ", ".join(str(line["step"]) for line in self.history.lines)
        told = (
            f"'{self.path}' held the results of an earlier run, which are deleted now (step "
            f"{earlier}). To keep such results, give each run an output folder of its own, or go "
            "on from a checkpoint"
        )
        self.history.clear()
        self._remove_results(after=-1)
        for file in filter(is_page, self.path.glob("report*.html")):
            file.unlink()
        self._probe.rewind(-1)
        stayed = self._keep_references()
        self._terms.write(self._probe)
        return [told, *stayed] if earlier else stayed

    def resume(self, step: int, lines: Iterable[dict[str, Any]] = ()) -> list[str]:
        """Go back to a step, with the references that the run began with.

        Args:
            step: The last step that counts.
            lines: Of the history, from a checkpoint.

        Returns:
            What could not be taken up again, for people.

        Raises:
            HooksimError: The run was begun with other references, samples, measures, rows, layers
                or blocks, so that what is measured now would not continue it; nothing is changed
                then.
        """
        told = self._terms.check(self._probe)
        fixed = [name for name in self._probe.references if name not in self._probe.previous]
        for name in fixed:
            if self._reference(name).is_dir():
                check_same_samples(name, self._reference(name), self._probe.references[name])
        self._terms.write(self._probe)
        self.history.resume(step, lines)
        self._remove_results(after=step)
        self._probe.rewind(-1)
        # What was kept is what a checkpoint needs, and any of these may be gone on from again.
        held = {
            each for name in self._probe.previous for each, _ in steps_in(self._reference(name))
        }
        self._checkpoints = sorted(each for each in {step, *held} if each <= step)
        for name in self._probe.previous:
            self._prune(self._reference(name), after=step)
        told += [
            f"{titled(name)}: '{self._reference(name)}' is missing, so the run goes on with "
            "what the probe was made with"
            for name in fixed
            if not self._restore(name, self._reference(name))
        ]
        good = [line for line in self.history.lines if "error" not in line]
        last = good[-1]["step"] if good else None
        told += [
            f"{titled(name)}: the measurement of step {last} was not kept, so the next one is "
            "compared with none"
            for name in self._probe.previous
            if last is not None and not self._restore(name, self._reference(name) / f"step-{last}")
        ]
        return told + self._take_up(good)

    def save(
        self, result: Comparison | Mapping[str, Comparison] | None, step: int, *, pictures: bool
    ) -> None:
        """Write what a step has given.

        Args:
            result: One result, or several by the names of their references.
            step: The step.
            pictures: Write the pictures too.
        """
        folder = self.path / f"step-{step}"
        if isinstance(result, Comparison):
            result.save(folder, overwrite=True, pictures=pictures)
        for name, each in result.items() if isinstance(result, Mapping) else ():
            each.save(folder / name, overwrite=True, pictures=pictures)

    def keep_previous(self, step: int) -> None:
        """Keep a measurement for the one after it, and those that belong to checkpoints.

        Args:
            step: Of the measurement.
        """
        # At once, since the run may be killed between a checkpoint and our hearing of it.
        for name in self._probe.previous:
            folder = self._reference(name)
            self._probe.references[name].save(folder / f"step-{step}", overwrite=True)
            self._prune(folder, after=step)

    def note_checkpoint(self, step: int, existing: Iterable[int] | None = None) -> None:
        """Take note of a checkpoint, from which a run may go on.

        Args:
            step: Of the checkpoint.
            existing: Steps of those that there are still; None for all that were noted.
        """
        known = self._checkpoints if existing is None else existing
        self._checkpoints = sorted({*known, step})

    def _keep_references(self) -> list[str]:
        """Write the references of a new run in the place of an earlier one's; say what stays."""
        fixed = [name for name in self._probe.references if name not in self._probe.previous]
        for name in fixed:
            place = self._reference(name)
            if steps_in(place) and holds_only_recordings(place):  # of one that was "previous"
                shutil.rmtree(place)
            self._probe.references[name].save(place, overwrite=True)
        stayed = []
        for place in sorted(self.path.glob("reference-*/")):
            if place.name.removeprefix("reference-") in fixed:
                continue
            if holds_only_recordings(place):
                shutil.rmtree(place)
            else:
                stayed.append(
                    f"'{place}' stays, since it holds more than recordings; it is no part of this "
                    "run"
                )
        return stayed

    def _take_up(self, lines: Iterable[dict[str, Any]]) -> list[str]:
        """Give the probe what was measured before, and say what of it is gone."""
        measurements: list[Measurement] = []
        told: list[str] = []
        for line in lines:
            step, scalars = line["step"], line["scalars"]
            results: dict[str, Comparison] = {}
            try:
                results = results_in(self.path / f"step-{step}")
            except HooksimError as error:
                told.append(str(error))
            measurements.append(Measurement(step, scalars, line["seconds"], results))
        self._probe.course = Course(measurements)
        gone = [str(each.step) for each in measurements if each.scalars and not each.results]
        if gone:
            told.append(
                f"'{self.path}' has no result of step {', '.join(gone)}, so probe.trajectory() "
                "goes without"
            )
        return told

    def _prune(self, folder: Path, *, after: int) -> None:
        """Remove recordings of later steps, and all but the last and those of checkpoints."""
        steps = dict(steps_in(folder))
        needed = {
            max((step for step in steps if step <= end), default=after)
            for end in (*self._checkpoints, after)
        }
        for step, old in steps.items():
            if step not in needed:
                shutil.rmtree(old)

    def _reference(self, name: str) -> Path:
        return self.path / f"reference-{name}"

    def _restore(self, name: str, place: Path) -> bool:
        if place.is_dir():
            self._probe.restore(name, place)
        return place.is_dir()

    def _remove_results(self, *, after: int) -> None:
        """Remove the results of later steps, but nothing that somebody else put there."""
        for step, folder in steps_in(self.path):
            if step <= after:
                continue
            inner = [] if (folder / "metadata.json").is_file() else list(folder.iterdir())
            for result in inner or [folder]:
                try:
                    check_target(result, overwrite=True)
                except ConfigError:
                    continue
                shutil.rmtree(result)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
