"""Keeps the state of a run on disk while it goes on, and gives it back to one that goes on."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import Any

from hooksim.comparison.identity import first_difference, side_identity
from hooksim.comparison.unfinished import SavedState, Unfinished
from hooksim.distributed import Processes
from hooksim.errors import ConfigError, HooksimError, Note
from hooksim.run import Run
from hooksim.sides import Side

__all__ = ["Keeper", "check_settings"]

_log = logging.getLogger("hooksim")

SCHEMA = 2
"""Of the state; to be raised with every change after which an older one would not fit."""

_SHARE = 20  # saving takes at most one part in so many of the time
_WORDS = {"schema": "the form of saved states", "processes": "the number of processes"}


class Keeper:
    """Saves a run every so many seconds, and where it is broken off.

    Args:
        place: Where the state is kept.
        config: What the run was asked for; plain data.
        every: Seconds between two savings; 0 for every batch.
        resume: Go on from what was saved, if anything was.
        extra: What else to keep, for who goes on.
        whole: Gives a context inside which signals wait, for what must not be broken off.
        processes: Those that make the run together.

    Attributes:
        seconds: How long earlier parts of the run took.
        resumed_from: Samples that they had seen; 0 where this is the first part.
        notes: That the run was resumed.
        warnings: What is not as it was then.
    """

    def __init__(
        self,
        place: Unfinished,
        config: Mapping[str, Any],
        *,
        every: float = 120.0,
        resume: bool = False,
        extra: Mapping[str, Any] | None = None,
        whole: Callable[[], AbstractContextManager[object]] = nullcontext,
        processes: Processes | None = None,
    ) -> None:
        self.seconds = 0.0
        self.resumed_from = 0
        self.whole = whole
        self.notes: list[Note] = []
        self.warnings: list[Note] = []
        self._unsaved: list[Note] = []
        self._place = place
        self._every = every
        self._resume = resume
        self._extra = dict(extra or {})
        self._rank = 0 if processes is None else processes.rank
        size = 1 if processes is None else processes.size
        self._settings = {"schema": SCHEMA, "processes": size, "config": dict(config)}
        self._sides: dict[str, dict[str, str]] = {}
        self._run: Run | None = None
        self._began = self._saved_at = time.monotonic()
        self._interval = every
        self._saved = -1  # batches that the last saved state had seen

    def begin(self, run: Run, sides: Mapping[str, Side]) -> None:
        """Take note of a run, and give it the state that was saved, if it goes on from one.

        Args:
            run: Not executed yet.
            sides: What it compares, by name.

        Raises:
            ConfigError: The state is of a run with something else; it is named.
        """
        self._run = run
        self._place.make_ready()
        self._sides = {name: side_identity(side) for name, side in sides.items()}
        state = self._place.read(self._rank) if self._resume else None
        if state is not None:
            self._check(state)
            run.load_state_dict(state.tensors)
            self.seconds = state.about["seconds"]
            self.resumed_from = run.position.n_samples
            self.notes.append(Note("resumed", f"resumed after {self.resumed_from:,} samples"))
            self._saved = run.position.batches
        self._began = self._saved_at = time.monotonic()

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Save the run that is made inside, where it is broken off.

        An interrupted run is saved however long it took; one that fails, if it took long enough.
        """
        try:
            yield
        except Exception:
            if self._is_due():
                self._save()
            raise
        except BaseException:  # Ctrl-C, or a signal to end
            self._save()
            raise

    def look(self) -> None:
        """Save the run if it is time to; for the loop over batches."""
        if self._is_due():
            self._save()

    def prepare_end(self) -> None:
        """Save the run if it has gone on for a while: what follows cannot be saved."""
        if self._every > 0 and time.monotonic() - self._saved_at >= min(self._every, _SHARE):
            self._save()

    def _is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self._interval

    def _save(self) -> None:
        run = self._run
        if run is None or not run.is_whole or run.position.batches in (0, self._saved):
            return
        with self.whole():
            started = time.monotonic()
            about: dict[str, Any] = {
                **self._settings,
                "sides": self._sides,
                "seconds": self.seconds + started - self._began,
                "n_samples": run.position.n_samples,
                "versions": _versions(),
                "extra": self._extra,
            }
            try:
                self._place.write(self._rank, about, run.state_dict())
                self._saved = run.position.batches
            except HooksimError as error:  # the run is worth more than its state
                self._warn(str(error))
            self._saved_at = time.monotonic()
            lasted = self._saved_at - started
            self._interval = max(self._every, _SHARE * lasted) if self._every else 0.0

    def _warn(self, text: str) -> None:
        """Say once that the run cannot be saved."""
        note = Note("not_saved", text)
        if note not in self._unsaved:
            self._unsaved.append(note)
            _log.warning("%s", text)

    def _check(self, state: SavedState) -> None:
        about = state.about
        for name, parts in self._sides.items():
            other = first_difference(about.get("sides", {}).get(name, {}), parts)
            if other is not None:
                raise ConfigError(
                    f"{name}: {other[0]!r} is not what the saved run began with. Go on with the "
                    f"same weights or recording, or give --overwrite to begin anew."
                )
        for library, before in about.get("versions", {}).items():
            now = _versions().get(library)
            if now != before:
                text = f"the run began with {library} {before} and goes on with {now}"
                self.warnings.append(Note("resumed_elsewhere", text))


def check_settings(place: Unfinished, config: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Refuse to go on with a run that was asked for something else.

    Args:
        place: Where its state is kept.
        config: What is asked for now.
        size: Number of processes.

    Returns:
        What the state of the first process that saved one says of itself.

    Raises:
        ConfigError: Another config, number of processes, or form of the state; it is named.
        HooksimError: A state cannot be read.
    """
    found = place.about()
    now = {"schema": SCHEMA, "processes": size, "config": dict(config)}
    for about in found.values():
        saved = {name: about.get(name) for name in now}
        difference = first_difference(saved, now)
        if difference is not None:
            path, before, given = difference
            name = _WORDS.get(path, path.removeprefix("config."))
            raise ConfigError(
                f"{name}: {before!r} in the run that was saved in '{place.folder}', {given!r} now. "
                "Go on with the same, or give --overwrite to begin anew."
            )
    return next(iter(found.values()))


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("hooksim", "torch")}
