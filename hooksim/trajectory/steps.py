"""Where in a run a checkpoint is, read off its name."""

import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import PurePath
from typing import Any

from hooksim.errors import ConfigError
from hooksim.results import Step

__all__ = ["in_order", "step_of", "steps_of"]

# From the word that says most to the one that says least: `epoch=3-step=400` is step 400.
_WORDS = ("step", "checkpoint", "ckpt", "iteration", "iter", "epoch")
_NUMBERED = [re.compile(rf"{word}s?[-_= ]?(\d+)", re.IGNORECASE) for word in _WORDS]
_ENDING = re.compile(r"\.(?:safetensors|pt|pth|bin|ckpt|npz)$")
# A seed and a fraction are no steps, and stay text.
_NUMBER = re.compile(r"(?:seed|fold)[-_= ]?\d+|\d+(?:\.\d+)+|(?P<whole>\d+)", re.IGNORECASE)


def step_of(checkpoint: Any) -> Step:
    """Say where in a run a checkpoint is.

    Args:
        checkpoint: A whole number, or a path or any other name. What counts is, in this order: a
            name that is a number but for its ending; a word such as `step` or `checkpoint` and a
            number, in the last part of a path before the folders that it is in; a folder whose
            name is a number, the innermost first; the only number of the last part, if no letter
            touches it and it is no seed.

    Returns:
        The number, or the text where there is none.

    Example:
        >>> [step_of(each) for each in (300, "runs/checkpoint-300", "step_0300.pt", "runs/final")]
        [300, 300, 300, 'runs/final']
        >>> step_of("runs/epoch=3-step=400.ckpt"), step_of("runs/step-5/model.pt"), step_of("7.pt")
        (400, 5, 7)
        >>> step_of("runs/100/model.pt"), step_of("model_100.pt"), step_of("model-v2.pt")
        (100, 100, 'model-v2.pt')
    """
    if not isinstance(checkpoint, bool) and isinstance(checkpoint, Integral):
        return int(checkpoint)
    found = _by_word(checkpoint)
    if found is None and isinstance(checkpoint, str | PurePath):
        found = _by_number(checkpoint)
    return str(checkpoint) if found is None else found


def _parts(checkpoint: Any) -> list[str]:
    """The last part of a path and then the folders that it is in, without endings."""
    return [_ENDING.sub("", part) for part in reversed(PurePath(str(checkpoint)).parts)]


def _by_word(checkpoint: Any) -> int | None:
    """The number of a name that is one, or after a word."""
    parts = _parts(checkpoint)
    if parts and parts[0].isdecimal():
        return int(parts[0])
    for part in parts:
        for pattern in _NUMBERED:
            found = pattern.findall(part)
            if found:
                return int(found[-1])
    return None


def _by_number(checkpoint: str | PurePath) -> int | None:
    """The number of a folder that is one, or the only one of a name."""
    parts = _parts(checkpoint)
    for part in parts[1:]:
        if part.isdecimal():
            return int(part)
    found = list(_NUMBER.finditer(parts[0])) if parts else []
    if len(found) != 1 or not found[0]["whole"]:
        return None
    around = parts[0][: found[0].start()][-1:] + parts[0][found[0].end() :][:1]
    return None if any(map(str.isalpha, around)) else int(found[0]["whole"])


def _found(checkpoints: Sequence[Any]) -> list[Step]:
    """The steps of all, which may be the same for two."""
    steps = [step_of(each) for each in checkpoints]
    told_apart = len(set(steps)) == len(steps) and all(isinstance(step, int) for step in steps)
    varying = None if told_apart else _varying(checkpoints)
    if varying is not None:
        return [*varying]
    by_word = {
        step for each, step in zip(checkpoints, steps, strict=True) if _by_word(each) == step
    }
    return [
        str(each) if steps.count(step) > 1 and step not in by_word else step
        for each, step in zip(checkpoints, steps, strict=True)
    ]


def _varying(checkpoints: Sequence[Any]) -> list[int] | None:
    """The only number in which several names differ that have no word for it; None without."""
    paths = all(isinstance(each, str | PurePath) for each in checkpoints)
    if len(checkpoints) < 2 or not paths or any(_by_word(each) is not None for each in checkpoints):
        return None
    texts = [str(each) for each in checkpoints]
    if len({_NUMBER.sub(lambda each: "\0" if each["whole"] else each[0], t) for t in texts}) > 1:
        return None
    rows = [[int(each["whole"]) for each in _NUMBER.finditer(t) if each["whole"]] for t in texts]
    differing = [column for column in zip(*rows, strict=True) if len(set(column)) > 1]
    return list(differing[0]) if len(differing) == 1 else None


def in_order(checkpoints: Iterable[Any]) -> list[Any]:
    """Sort checkpoints by their steps.

    Args:
        checkpoints: As for `steps_of`.

    Returns:
        The same; those whose step is no number come last, by name, with numbers in it as numbers.

    Example:
        >>> in_order(["run/1000/a.pt", "run/200/a.pt"])
        ['run/200/a.pt', 'run/1000/a.pt']
        >>> in_order(["b10-1", "b9-2", "step 3"])
        ['step 3', 'b9-2', 'b10-1']
    """
    given = list(checkpoints)

    def place(at: int) -> tuple[bool, int, list[int | str]]:
        step = steps[at]
        split = re.split(r"(\d+)", str(given[at]))  # text and digits in turn
        natural = [int(part) if i % 2 else part for i, part in enumerate(split)]
        return (False, step, natural) if isinstance(step, int) else (True, 0, natural)

    steps = _found(given)
    return [given[at] for at in sorted(range(len(given)), key=place)]


def steps_of(checkpoints: Sequence[Any]) -> list[Step]:
    """Say where in a run each of several checkpoints is.

    Args:
        checkpoints: As for `step_of`. Where that finds no step for one of them, or one step for
            two, and none has a word such as `step`, it is the only number in which their names
            differ, if they differ in nothing else. Without such a number either, two that have
            one step by a number alone are their texts.

    Returns:
        A step for each.

    Raises:
        ConfigError: Two are at the same step.

    Example:
        >>> steps_of(["checkpoint-10", "checkpoint-30", "final"])
        [10, 30, 'final']
        >>> steps_of(["v2-run/model100.pt", "v2-run/model200.pt"])
        [100, 200]
    """
    found: dict[Step, Any] = {}
    for checkpoint, step in zip(checkpoints, _found(checkpoints), strict=True):
        if step in found:
            raise ConfigError(
                f"checkpoints: {str(found[step])!r} and {str(checkpoint)!r} are both step "
                f"{step!r}. Give every step once; checkpoints may be plain numbers or names that "
                "`load` understands."
            )
        found[step] = checkpoint
    return list(found)
