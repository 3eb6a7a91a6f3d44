"""Short names for two models, so that a picture tells two checkpoints of one class apart."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooksim.results import Comparison

__all__ = ["named", "short_names"]

_PLACE = ("kind", "path", "subfolder", "factory")
_LONGEST_VALUE = 30


def named(
    result: "Comparison", spec_a: Mapping[str, Any], spec_b: Mapping[str, Any]
) -> "Comparison":
    """Give a result's models the names of their specs, under `name_a` and `name_b`.

    Args:
        result: Any comparison.
        spec_a: Spec of model A.
        spec_b: Spec of model B.

    Returns:
        The same matrices and metadata with the names added, from which labels are made.
    """
    from hooksim.results import Comparison

    name_a, name_b = short_names(spec_a, spec_b)
    matrices = {key: result[key] for key in result}
    metadata = {**result.metadata, "name_a": name_a, "name_b": name_b}
    return Comparison(matrices, result.n_samples, metadata)


def short_names(spec_a: Mapping[str, Any], spec_b: Mapping[str, Any]) -> tuple[str, str]:
    """Name two models by their checkpoints or factories, as shortly as tells them apart.

    Args:
        spec_a: Spec of model A.
        spec_b: Spec of model B.

    Returns:
        The ends of the paths, or the factories, with the keys that differ where these are equal;
        equal names for equal specs.

    Example:
        >>> early = {"kind": "transformers", "path": "runs/seed-0", "subfolder": "checkpoint-10"}
        >>> short_names(early, {**early, "subfolder": "checkpoint-300"})
        ('checkpoint-10', 'checkpoint-300')
        >>> short_names(early, {**early, "path": "runs/seed-1"})
        ('seed-0/checkpoint-10', 'seed-1/checkpoint-10')
        >>> short_names(early, {**early, "dtype": "float16"})
        ('checkpoint-10', 'checkpoint-10 (dtype=float16)')
    """
    parts_a, parts_b = _parts(spec_a), _parts(spec_b)
    if parts_a == parts_b:
        details_a, details_b = _details(spec_a), _details(spec_b)
        ends = (_differing(details_a, details_b), _differing(details_b, details_a))
        return f"{parts_a[-1]}{ends[0]}", f"{parts_b[-1]}{ends[1]}"
    length = 1
    while parts_a[-length:] == parts_b[-length:]:
        length += 1
    return "/".join(parts_a[-length:]), "/".join(parts_b[-length:])


def _parts(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Folders from the outermost to the innermost; a factory is one part."""
    if "factory" in spec:
        return (str(spec["factory"]),)
    place = Path(str(spec.get("path", "")), spec.get("subfolder") or "").expanduser()
    if place.exists():  # else the id of a hub
        place = Path.cwd() / place
    return tuple(part for part in place.parts if part != place.anchor) or (str(place),)


def _details(spec: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = spec.get("kwargs") or {}
    return {key: spec[key] for key in spec if key not in (*_PLACE, "kwargs")} | dict(kwargs)


def _differing(own: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What one spec says that the other does not, in parentheses."""
    words = [f"{key}={_short(own[key])}" for key in own if own[key] != other.get(key)]
    return f" ({', '.join(words)})" if words else ""


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"...{text[3 - _LONGEST_VALUE :]}"
