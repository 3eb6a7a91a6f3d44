"""The checkpoints of a run brought to life, all of them together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from hooksim.capture.layers import unwrap
from hooksim.errors import ConfigError, HooksimError, Note
from hooksim.recording import Recording
from hooksim.results import Step
from hooksim.sides import Side
from hooksim.trajectory.steps import steps_of

__all__ = ["Checkpoint", "Load", "load_checkpoints"]

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


def load_checkpoints(
    load: Load, checkpoints: Iterable[Any], *, skip_failed: bool
) -> tuple[list[Checkpoint], list[Note]]:
    """Load all checkpoints.

    Args:
        load: Gives the model or the recording of each.
        checkpoints: What it is called with.
        skip_failed: Leave out those for which it raises.

    Returns:
        At least two that are loaded, and a note for each that is left out.

    Raises:
        ConfigError: They are no sequence, fewer than two, or not told apart by their steps; or
            `load` gives no model, or one model for two of them, be it in different wrappers.
        HooksimError: One cannot be loaded; of the kind that `load` raised, if it is one of ours.
    """
    asked = _listed(checkpoints)
    steps = steps_of(asked)
    _check_count(len(asked), [])
    loaded: list[Checkpoint] = []
    skipped: list[Note] = []
    for checkpoint, step in zip(asked, steps, strict=True):
        try:
            side = load(checkpoint)
        except Exception as error:
            reason = f"checkpoints: {str(checkpoint)!r} cannot be loaded: {_words(error)}"
            if not skip_failed:
                kind = type(error) if isinstance(error, HooksimError) else HooksimError
                raise kind(f"{reason}. skip_failed leaves such checkpoints out.") from error
            skipped.append(Note("skipped_checkpoint", f"{reason}; it is left out."))
            continue
        _check_side(checkpoint, side, loaded)
        loaded.append(Checkpoint(step, side))
    _check_count(len(loaded), skipped)
    return loaded, skipped


def _listed(checkpoints: Any) -> list[Any]:
    if isinstance(checkpoints, str | bytes | Mapping) or not isinstance(checkpoints, Iterable):
        raise ConfigError(
            "checkpoints: expected a sequence such as [100, 200, 300] or a list of paths, got "
            f"{checkpoints!r:.80}."
        )
    return list(checkpoints)


def _words(error: Exception) -> str:
    """An exception in one line, without a full stop; ours speak for themselves."""
    lines = str(error).strip().splitlines()
    kind = "" if isinstance(error, HooksimError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0] if lines else ''}".rstrip(". :")


def _check_count(count: int, skipped: Sequence[Note]) -> None:
    if count < 2:
        left = f" {len(skipped)} could not be loaded; first {skipped[0].text}" if skipped else ""
        raise ConfigError(
            f"checkpoints: expected at least 2, got {count}.{left or ' hooksim.compare takes two.'}"
        )


def _check_side(checkpoint: Any, side: Any, loaded: Sequence[Checkpoint]) -> None:
    """Refuse what is no side, and a model that is filled with one checkpoint after the other."""
    if not isinstance(side, nn.Module | Recording):
        raise ConfigError(
            f"load: expected a torch.nn.Module or a hooksim.Recording for {str(checkpoint)!r}, got "
            f"{type(side).__name__}."
        )
    for other in loaded:
        if _source(other.side) is _source(side) or _share_weights(other.side, side):
            raise ConfigError(
                f"load: gave one and the same object for step {other.step!r} and for "
                f"{str(checkpoint)!r}. All checkpoints are compared in one pass and must be alive "
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
