"""The checkpoints of a run brought to life, all of them together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from hooksim.capture.layers import unwrap
from hooksim.errors import ConfigError, HooksimError, Note
from hooksim.recording import Recording
from hooksim.results import Step
from hooksim.sides import Side
from hooksim.trajectory.steps import steps_of

__all__ = [
    "Checkpoint",
    "Load",
    "Loaded",
    "Skipped",
    "load_checkpoints",
    "load_each",
    "refuse_failed",
]

Load: TypeAlias = Callable[[Any], Side]
"""Gives the model or the recording of a checkpoint."""


class Checkpoint(NamedTuple):
    """One that is loaded.

    Attributes:
        step: Where in the run it is.
        side: Its model, or its recording.
    """

    step: Step
    side: Side


class Skipped(NamedTuple):
    """One that is left out.

    Attributes:
        step: Where in the run it would be.
        reason: What it is called and what went wrong, in one line without a full stop.
        error: What went wrong.
    """

    step: Step
    reason: str
    error: Exception

    @property
    def note(self) -> Note:
        """The warning that it is missing."""
        joint = " It" if self.reason.endswith("?") else "; it"
        return Note("skipped_checkpoint", f"checkpoints: {self.reason}{joint} is left out.")


class Loaded(NamedTuple):
    """A run, as far as it can be loaded.

    Attributes:
        checkpoints: At least two.
        skipped: Those that are left out.
        steps: Of all that were asked for.
    """

    checkpoints: list[Checkpoint]
    skipped: list[Skipped]
    steps: list[Step]


def load_checkpoints(load: Load, checkpoints: Iterable[Any], *, skip_failed: bool) -> Loaded:
    """Load all checkpoints, to be alive together.

    Args:
        load: Gives the model or the recording of each.
        checkpoints: What it is called with.
        skip_failed: Leave out those for which it raises.

    Returns:
        Those that are loaded, and those that are left out.

    Raises:
        ConfigError: As by `load_each`; or `load` gives one model for two of them, be it in
            different wrappers.
        HooksimError: As by `refuse_failed`, which names the first.
    """
    loaded: list[Checkpoint] = []
    skipped: list[Skipped] = []
    steps: list[Step] = []
    for found in load_each(load, checkpoints):
        steps.append(found.step)
        if isinstance(found, Checkpoint):
            _check_own(found, loaded)
            loaded.append(found)
            continue
        skipped.append(found)
        if not skip_failed:
            break  # the others may take long
    refuse_failed(skipped, len(loaded), skip_failed=skip_failed)
    return Loaded(loaded, skipped, steps)


def load_each(load: Load, checkpoints: Iterable[Any]) -> Iterator[Checkpoint | Skipped]:
    """Load checkpoints one after the other; who wants to see them all need not keep them.

    Args:
        load: Gives the model or the recording of each.
        checkpoints: What it is called with.

    Yields:
        Each that is loaded, or for which `load` raises.

    Raises:
        ConfigError: They are no sequence, fewer than two, or not told apart by their steps; or
            `load` is no function, or gives no model.
    """
    asked = _listed(load, checkpoints)
    for checkpoint, step in zip(asked, steps_of(asked), strict=True):
        try:
            side = load(checkpoint)
        except Exception as error:
            reason = f"{str(checkpoint)!r} cannot be loaded: {_words(error)}"
            yield Skipped(step, reason, error)
            continue
        if not isinstance(side, nn.Module | Recording):
            raise ConfigError(
                f"load: expected a torch.nn.Module or a hooksim.Recording for {str(checkpoint)!r}, "
                f"got {type(side).__name__}."
            )
        yield Checkpoint(step, side)
        del side  # or it would stay while the next one is loaded


def refuse_failed(failed: Sequence[Skipped], loaded: int, *, skip_failed: bool) -> None:
    """Refuse checkpoints that cannot be loaded, or, where they are left out, a run without them.

    Args:
        failed: Those that cannot.
        loaded: How many can.
        skip_failed: Whether they are left out.

    Raises:
        ConfigError: Fewer than two can be loaded.
        HooksimError: One cannot be loaded; of the kind that `load` raised for the first, if it is
            one of ours.
    """
    if failed and not skip_failed:
        cause = failed[0].error
        kind = type(cause) if isinstance(cause, HooksimError) else HooksimError
        reasons = _sentence("; ".join(each.reason for each in failed))
        # What is wrong with the config, such as its `entry`, is so for all of them; of one that is
        # the first it is not known whether others can be loaded.
        some = loaded > 0 or (len(failed) == 1 and not isinstance(cause, ConfigError))
        advice = " skip_failed leaves such checkpoints out." if some else ""
        raise kind(f"checkpoints: {reasons}{advice}") from cause
    if loaded < 2:
        more = f", and {len(failed) - 1:,} more" if len(failed) > 1 else ""
        raise ConfigError(
            f"checkpoints: expected at least 2 that can be loaded, got {loaded} of "
            f"{loaded + len(failed)}: {_sentence(failed[0].reason + more)}"
        )


def _listed(load: Any, checkpoints: Any) -> list[Any]:
    """The checkpoints, which must be at least two that `load` can be called with."""
    if not callable(load):
        raise ConfigError(
            "load: expected a function that is given a checkpoint and returns its model or "
            f"recording, got {type(load).__name__}. It comes before the checkpoints."
        )
    if isinstance(checkpoints, str | bytes | Mapping) or not isinstance(checkpoints, Iterable):
        raise ConfigError(
            "checkpoints: expected a sequence such as [100, 200, 300] or a list of paths, got "
            f"{checkpoints!r:.80}."
        )
    asked = list(checkpoints)
    if not asked:
        raise ConfigError(
            "checkpoints: expected at least 2, got none. Give what `load` takes, such as "
            "[100, 200, 300] or a list of paths; a pattern of files may have matched nothing."
        )
    if len(asked) < 2:
        raise ConfigError("checkpoints: expected at least 2, got 1. hooksim.compare takes two.")
    return asked


def _words(error: Exception) -> str:
    """An exception in one line, without a full stop; ours speak for themselves."""
    lines = str(error).strip().splitlines()
    kind = "" if isinstance(error, HooksimError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0] if lines else ''}".rstrip(". :")


def _sentence(text: str) -> str:
    """End a text with a full stop, but where it ends with a question."""
    return text if text.endswith("?") else f"{text}."


def _check_own(found: Checkpoint, loaded: Sequence[Checkpoint]) -> None:
    """Refuse a model that is filled with one checkpoint after the other."""
    for other in loaded:
        if _source(other.side) is _source(found.side) or _share_weights(other.side, found.side):
            raise ConfigError(
                f"load: gave one and the same object for step {other.step!r} and for step "
                f"{found.step!r}. All checkpoints are compared in one pass and must be alive "
                "together: return a new model each time, or hooksim.record(...) of it."
            )


def _source(side: Side) -> Any:
    return side if isinstance(side, Recording) else unwrap(side)


def _share_weights(first: Side, second: Side) -> bool:
    """Whether two models are one under different wrappers: the last weights loaded are in both."""
    if isinstance(first, Recording) or isinstance(second, Recording):
        return False
    places = _places(first)
    return bool(places) and places == _places(second)


def _places(model: nn.Module) -> set[tuple[str, int, int]]:
    """Where in memory the parameters lie: parts of one storage are different weights."""
    places = set()
    for each in model.parameters():
        try:
            start = each.untyped_storage().data_ptr()
        except (NotImplementedError, RuntimeError, ValueError):  # not made yet, or no plain tensor
            continue
        if start:
            places.add((str(each.device), start, int(each.storage_offset())))
    return places
