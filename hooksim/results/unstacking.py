"""One comparison taken out of a trajectory: the opposite of stacking."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hooksim.errors import ConfigError
from hooksim.results.comparison import Comparison
from hooksim.results.halves import is_half, joined
from hooksim.results.matrix import SimilarityMatrix
from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step
from hooksim.spelling import did_you_mean

__all__ = ["cells_of", "checkpoint_at", "comparison_at", "place_of"]

# What a trajectory's metadata have beside those of a comparison.
_OWN = ("reference", "reference_step", "reference_side", "checkpoints", "skipped")
_MOST_STEPS = 40  # that a message lists


def checkpoint_at(metadata: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Give what is known of one checkpoint.

    Args:
        metadata: Of the trajectory.
        place: Position of the step.

    Returns:
        Its half of a comparison's metadata, and what its comparison alone has; empty where
        nothing is known.
    """
    known = metadata.get("checkpoints") or []
    return dict(known[place]) if known else {}


def place_of(step: Step, steps: Sequence[Step], metadata: Mapping[str, Any], where: str) -> int:
    """Find a step.

    Args:
        step: What is asked for.
        steps: All of the trajectory.
        metadata: Of the trajectory.
        where: What is called, for the message.

    Returns:
        Its position.

    Raises:
        ConfigError: It was skipped, and why; or there is none, and which there are.

    Example:
        >>> place_of(30, [10, 30], {}, "at")
        1
    """
    if step in steps:
        return steps.index(step)
    for skipped in metadata.get("skipped") or []:
        if skipped["step"] == step:
            raise ConfigError(f"{where}: step {step!r} was skipped: {skipped['reason']}.")
    more = f" and {len(steps) - _MOST_STEPS:,} more" if len(steps) > _MOST_STEPS else ""
    there = ", ".join(map(repr, steps[:_MOST_STEPS]))
    close = did_you_mean(str(step), [each for each in steps if isinstance(each, str)])
    raise ConfigError(f"{where}: no step {step!r}; there are {there}{more}{close or '.'}")


def comparison_at(
    stacks: Mapping[str, MatrixStack],
    n_samples: int,
    metadata: Mapping[str, Any],
    places: Sequence[int],
) -> Comparison:
    """Take one comparison out.

    Args:
        stacks: Of the trajectory.
        n_samples: Of the trajectory.
        metadata: Of the trajectory.
        places: Position of the step, or of the steps of A and B.

    Returns:
        The comparison, with the layers that its two sides have.
    """
    halves = [checkpoint_at(metadata, place) for place in places]
    own: dict[str, Any] = {}
    if len(places) == 1:
        reference = halves[0].pop("reference_side", None) or metadata.get("reference_side") or {}
        own = {key: each for key, each in halves[0].items() if key != "step" and not is_half(key)}
        halves.insert(0, reference)
    elif places[0] == places[1]:
        own = {"matched_by": "one source"} if "matched_by" in metadata else {}
    common = {key: value for key, value in metadata.items() if key not in _OWN}
    matrices = {key: _matrix(stack, tuple(places), halves) for key, stack in stacks.items()}
    return Comparison(matrices, n_samples, {**common, **joined(*halves), **own})


def _matrix(
    stack: MatrixStack, place: tuple[int, ...], halves: Sequence[Mapping[str, Any]]
) -> SimilarityMatrix:
    """Take one matrix out."""
    layers_a = list(halves[0].get("layers", stack.layers_a))
    layers_b = list(halves[1].get("layers", stack.layers_b))
    down = [stack.layers_a.index(name) for name in layers_a]
    across = [stack.layers_b.index(name) for name in layers_b]
    values, stderr = (each[place][down][:, across] for each in (stack.values, stack.stderr))
    return SimilarityMatrix(stack.key, values, stderr, layers_a, layers_b, stack.meaning)


def cells_of(stack: MatrixStack) -> Iterator[tuple[tuple[int, ...], str, str, float, float]]:
    """Go through all cells of a stack.

    Args:
        stack: The matrices.

    Yields:
        Position of the step or of both, layer of A, layer of B, value, standard error.
    """
    *steps, _, _ = map(range, stack.shape)
    rows = zip(stack.values.flatten().tolist(), stack.stderr.flatten().tolist(), strict=True)
    places = product(product(*steps), stack.layers_a, stack.layers_b)
    for (place, layer_a, layer_b), (value, error) in zip(places, rows, strict=True):
        yield place, layer_a, layer_b, value, error
