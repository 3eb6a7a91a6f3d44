"""One comparison taken out of a trajectory: the opposite of stacking."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hooksim.results.comparison import Comparison
from hooksim.results.halves import is_half, joined
from hooksim.results.matrix import SimilarityMatrix
from hooksim.results.stack import MatrixStack

__all__ = ["cells_of", "checkpoint_at", "comparison_at"]

# What a trajectory's metadata have beside those of a comparison.
_OWN = ("reference", "reference_step", "reference_side", "checkpoints")


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
