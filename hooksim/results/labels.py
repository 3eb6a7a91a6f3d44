"""What pictures call the two models."""

from collections.abc import Mapping
from typing import Any

__all__ = ["moving_reference", "shorten_left", "side_labels"]

_LONGEST_NAME = 28


def side_labels(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Say what a picture calls each model: by its name where there is one, else by its class.

    Args:
        metadata: Of the comparison. `name_a` and `name_b` are names, such as paths;
            `model_a` and `model_b` are class names.

    Returns:
        The labels of A and B. Long names lose their beginning, but not where only the beginning
        tells the two apart.

    Example:
        >>> side_labels({"name_a": "runs/demo/seed-0/checkpoint-300", "model_b": "ViTModel"})
        ('model A: …/demo/seed-0/checkpoint-300', 'model B (ViTModel)')
    """
    names = [_text(metadata.get(f"name_{side}")) for side in "ab"]
    classes = [_text(metadata.get(f"model_{side}")) for side in "ab"]
    limit = _LONGEST_NAME
    while names[0] != names[1] and limit < max(map(len, names)):
        if shorten_left(names[0], limit) != shorten_left(names[1], limit):
            break
        limit += 2
    label_a, label_b = (
        _label(side, shorten_left(name, limit), kind)
        for side, name, kind in zip("AB", names, classes, strict=True)
    )
    return label_a, label_b


def moving_reference(metadata: Mapping[str, Any], name: str) -> str | None:
    """Say what to call a reference that is another one at each step.

    By its name alone a picture of it would read as if it stood still.

    Args:
        metadata: Of a trajectory, or of the comparison at one step.
        name: What the reference is called; `"reference"` where it has no name of its own.

    Returns:
        The words; None where the reference is the same at all steps.

    Example:
        >>> moving_reference({"reference_kind": "previous"}, "before")
        'before, the measurement before each step'
    """
    if metadata.get("reference_kind") != "previous":
        return None
    words = "the measurement before each step"
    return words if name == "reference" else f"{name}, {words}"


def _text(value: object) -> str:
    """Take texts only: metadata may hold anything."""
    return value if isinstance(value, str) else ""


def _label(side: str, name: str, kind: str) -> str:
    """Put one label together."""
    if name:
        return f"model {side}: {name}"
    return f"model {side} ({kind})" if kind else f"model {side}"


def shorten_left(name: str, limit: int) -> str:
    """Cut away the beginning of a path, or of words, by whole parts if anything is left of it then.

    Args:
        name: Any text.
        limit: Largest number of characters, at least 2.

    Returns:
        The name, with an ellipsis where something is missing.

    Example:
        >>> shorten_left("runs/demo/seed-0", 10), shorten_left("checkpoint-300", 10)
        ('…/seed-0', '…point-300')
    """
    if len(name) <= limit:
        return name
    end = name[len(name) - limit + 1 :]
    place = end.find("/" if "/" in end else " ")
    return f"…{end[place:]}" if 0 <= place < len(end) - 1 else f"…{end}"
