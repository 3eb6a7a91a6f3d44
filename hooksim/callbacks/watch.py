"""What both callbacks do: when to measure, what to keep of it, and how long that takes."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from torch import distributed

from hooksim.callbacks.history import History
from hooksim.callbacks.run_folder import RunFolder
from hooksim.errors import ConfigError, HooksimError, NonFiniteError, Note
from hooksim.probe import Probe
from hooksim.results import Comparison

__all__ = ["Every", "Measured", "Watch", "logged", "only_one"]

Every: TypeAlias = Literal["eval", "save"] | int
"""When to measure: at each evaluation, each checkpoint, or every so many steps and at the end."""

_Said = TypeVar("_Said")


class Measured(NamedTuple):
    """What a measurement has given, for a trainer's log.

    Attributes:
        step: The step.
        scalars: `hooksim_NAME_KEY_diagonal_mean` and so on.
        results: The comparisons by the names of their references.
        error: Why the model could not be measured, or the empty string.
    """

    step: int
    scalars: dict[str, float]
    results: dict[str, Comparison]
    error: str = ""


class Watch:
    """Measures a model while a trainer trains it; knows of no trainer.

    A model whose activations are not finite does not end the training: the history says so, the
    next measurement comes, and is compared with the last one that there was. Whatever else is wrong
    does, since it shows at the first one.

    State: the folder of the run, the last step measured, the seconds spent, and `overdue`: whether
    a run goes on from a checkpoint after which it was killed before it measured.

    Args:
        probe: What measures.
        every: `"eval"`, `"save"`, or a number of steps.
        pictures: Draw heatmaps too: into the results, and for loggers that take them.

    Raises:
        ConfigError: Something else.
    """

    def __init__(self, probe: Probe, every: Every, *, pictures: bool) -> None:
        if not isinstance(probe, Probe):
            raise ConfigError(f"probe: expected a hooksim.Probe, got {type(probe).__name__}.")
        whole = isinstance(every, int) and not isinstance(every, bool) and every >= 1
        if not whole and every not in ("eval", "save"):
            raise ConfigError(
                f"every: expected 'eval', 'save' or a number of steps from 1, got {every!r}."
            )
        self.probe = probe
        self.every = every
        self.pictures = pictures
        self.folder: RunFolder | None = None
        self._running = False
        self.overdue = False
        self._last = -1
        self._started = self._spent = 0.0
        self._count = 0

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The history so far, plain data."""
        return [] if self.folder is None else list(self.folder.history.lines)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time inside as spent on measuring.

        Yields:
            None.
        """
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent += time.perf_counter() - started

    def begin(
        self,
        output_dir: str | Path,
        step: int,
        *,
        writes: bool,
        lines: Iterable[dict[str, Any]] = (),
        awaited: int | None = None,
    ) -> list[str]:
        """Begin a run, or go on with one.

        Args:
            output_dir: Of the run; everything goes into its folder `hooksim`.
            step: Where it begins; from a later step than 0 on it is one that goes on.
            writes: Whether this process is the one that writes.
            lines: Of the history, from a checkpoint.
            awaited: The step at which an evaluation was still to come as that was written.

        Returns:
            What a user should read: of an interrupted run, or of results that go.

        Raises:
            ConfigError: The probe is not that of the run that goes on.
            HooksimError: What is in the folder cannot be read. Either comes on every process.
        """
        told: list[str] = []
        wrong: HooksimError | None = None
        lines, path = list(lines), Path(output_dir).expanduser() / "hooksim"
        self._started, self._spent, self._count = time.perf_counter(), 0.0, 0
        self._running, self._last = True, step or -1
        with self.timed():
            if writes:
                try:
                    self.folder = RunFolder(path, self.probe, self.every)
                    told = self.folder.resume(step, lines) if step else self.folder.begin()
                except HooksimError as error:
                    wrong = error
            wrong = _agreed(wrong)  # the others would wait for one that has ended
            if wrong is not None:
                raise wrong
            missed = self.every == "save" or (self.every == "eval" and awaited == step)
            # What is in the file up to this step is the same before and after it is rewritten.
            self.overdue = bool(step and missed) and _agreed(
                all(line["step"] != step for line in [*lines, *History(path).lines])
            )
        return told

    def due(self, event: Literal["eval", "save", "step"], step: int, *, last: bool = False) -> bool:
        """Tell whether to measure now.

        Args:
            event: What has happened.
            step: Of the training.
            last: No step comes after this one: every so many steps is also at the end.

        Returns:
            True once a step at most, within a run.
        """
        if not self._running or step <= self._last:
            return False
        if event == "step" and isinstance(self.every, int):
            # Some trainers count several steps at once.
            return last or step // self.every > max(self._last, 0) // self.every
        return event == self.every

    def measure(
        self, model: Any, step: int, epoch: float | None, notes: Sequence[Note] = ()
    ) -> Measured | None:
        """Measure a model and keep what comes out.

        Args:
            model: The model in training.
            step: Of the training.
            epoch: Of the training, for the history.
            notes: What the trainer has to say of the results; read once the model was measured.

        Returns:
            What to log; None on a process that does not write.

        Raises:
            HooksimError: The probe does not fit the model, or a result cannot be written.
        """
        self._last = step
        if self.folder is None:
            self.probe.follow(model)
            return None
        started, error, result = time.perf_counter(), "", None
        scalars: dict[str, float] = {}
        results: dict[str, Comparison] = {}
        try:
            result = self.probe.measure(model, step)
            _, scalars, _, results = self.probe.course.measurements[-1]
        except NonFiniteError as caught:
            error = str(caught)
        for each in results.values():
            found = [note._asdict() for note in notes]
            each.metadata["notes"] = [*each.metadata["notes"], *found]
        self.folder.save(result, step, pictures=self.pictures)
        if not error:
            self.folder.keep_previous(step)
        seconds = round(time.perf_counter() - started, 4)
        line = {"step": step, "epoch": epoch, "scalars": scalars, "seconds": seconds}
        self.folder.history.append({**line, "error": error} if error else line)
        self._count += 1
        return Measured(step, logged(scalars), results, error)

    def saved(self, step: int, existing: Iterable[int] | None = None) -> None:
        """Take note of a checkpoint: a run may go on from it, with the measurement before it.

        Args:
            step: Of the checkpoint.
            existing: Steps of those that there are still; None for all that were noted.
        """
        if self._running and self.folder is not None:
            self.folder.note_checkpoint(step, existing)

    def shares(self) -> dict[str, float]:
        """Tell how long measuring took.

        Returns:
            `hooksim_seconds`, that measuring and writing took since the run began or went on, and
            `hooksim_share_of_time`, their share of the time since then, from 0 to 1.
        """
        run = max(time.perf_counter() - self._started, 1e-9)
        return {"hooksim_seconds": self._spent, "hooksim_share_of_time": self._spent / run}

    def end(self) -> str:
        """End the run.

        Returns:
            How long measuring took, where the results are, and how to look at them, in a sentence.
        """
        self._running = False
        seconds, share = self.shares().values()
        many = "1 measurement" if self._count == 1 else f"{self._count} measurements"
        said = f"hooksim: {many} took {seconds:.2f} s, {share:.1%} of the run's time"
        if self.folder is None or not self.lines:
            return said
        path = self.folder.path
        return f"{said}; the results are in '{path}', and `hooksim report '{path}'` makes the page"

    @property
    def idle(self) -> str:
        """What to warn of at the end of a run in which nothing was measured, else empty."""
        if self.folder is None or self._count or self.lines:
            return ""
        event = {"eval": "had no evaluation", "save": "wrote no checkpoint"}
        why = event.get(str(self.every), "took no step")
        return (
            f"hooksim: nothing was measured with every={self.every!r}, since the run {why}. Choose "
            "another `every`, or have the trainer evaluate or save."
        )


def logged(scalars: Mapping[str, float]) -> dict[str, float]:
    """Name scalars as a trainer's log does.

    Args:
        scalars: By the names that the history has.

    Returns:
        The same with `hooksim_` in front.

    Example:
        >>> logged({"initial_cka_diagonal_mean": 0.5})
        {'hooksim_initial_cka_diagonal_mean': 0.5}
    """
    return {f"hooksim_{name}": value for name, value in scalars.items()}


def only_one(folder: str | Path) -> str:
    """Say why a trainer has one callback.

    Args:
        folder: Where the other one of the same trainer writes to.

    Returns:
        What to raise.
    """
    return (
        f"SimilarityCallback: another one of this Trainer writes to '{folder}', and each would "
        "take the results and the history of the other away. Give one probe several references: "
        "Probe(loader, reference={'initial': model, 'last': 'previous'})."
    )


def _agreed(said: _Said) -> _Said:
    """What the process that writes says, on all: where one measures, all may have to take part."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return said
    told = [said]
    distributed.broadcast_object_list(told, src=0)
    return told[0]
