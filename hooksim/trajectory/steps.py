"""Where in a run a checkpoint is, read off its name."""

import re
from collections.abc import Sequence
from numbers import Integral
from pathlib import PurePath
from typing import Any

from hooksim.errors import ConfigError
from hooksim.results import Step

__all__ = ["step_of", "steps_of"]

# From the word that says most to the one that says least: `epoch=3-step=400` is step 400.
_WORDS = ("step", "checkpoint", "ckpt", "iteration", "iter", "epoch")
_NUMBERED = [re.compile(rf"{word}s?[-_= ]?(\d+)", re.IGNORECASE) for word in _WORDS]
_ENDING = re.compile(r"\.(?:safetensors|pt|pth|bin|ckpt|npz)$")


def step_of(checkpoint: Any) -> Step:
    """Say where in a run a checkpoint is.

    Args:
        checkpoint: A whole number, or a path or any other name: a word such as `step` or
            `checkpoint` and a number, or a number alone. The last part of a path counts before
            the folders that it is in.

    Returns:
        The number, or the text where there is none.

    Example:
        >>> [step_of(each) for each in (300, "runs/checkpoint-300", "step_0300.pt", "runs/final")]
        [300, 300, 300, 'runs/final']
        >>> step_of("runs/epoch=3-step=400.ckpt"), step_of("runs/step-5/model.pt"), step_of("7.pt")
        (400, 5, 7)
    """
    if not isinstance(checkpoint, bool) and isinstance(checkpoint, Integral):
        return int(checkpoint)
    text = str(checkpoint)
    parts = [_ENDING.sub("", part) for part in reversed(PurePath(text).parts)]
    if parts and parts[0].isdecimal():
        return int(parts[0])
    for part in parts:
        for pattern in _NUMBERED:
            found = pattern.findall(part)
            if found:
                return int(found[-1])
    return text


def steps_of(checkpoints: Sequence[Any]) -> list[Step]:
    """Say where in a run each of several checkpoints is.

    Args:
        checkpoints: As for `step_of`.

    Returns:
        A step for each.

    Raises:
        ConfigError: Two are at the same step.

    Example:
        >>> steps_of(["checkpoint-10", "checkpoint-30", "final"])
        [10, 30, 'final']
    """
    found: dict[Step, Any] = {}
    for checkpoint in checkpoints:
        step = step_of(checkpoint)
        if step in found:
            raise ConfigError(
                f"checkpoints: {str(found[step])!r} and {str(checkpoint)!r} are both step "
                f"{step!r}. Give every step once; checkpoints may be plain numbers or names that "
                "`load` understands."
            )
        found[step] = checkpoint
    return list(found)
