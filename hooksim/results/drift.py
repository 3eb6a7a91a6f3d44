"""How each layer moves away from the reference, step by step."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step

__all__ = ["Drift", "drift_of"]


class Drift(NamedTuple):
    """The value of each layer of the reference with the equally named layer of each step.

    Attributes:
        key: Name of the matrix.
        steps: One a row.
        layers: Layers of the reference, one a column.
        values: `(steps, layers)` float64; NaN where a step has no layer of that name.
        stderr: Standard errors, shaped alike. They are of each value alone: two steps share their
            samples, so that a curve is smoother than its bands.
        against: The step that is the reference; None where it is none of the run.
    """

    key: str
    steps: list[Step]
    layers: list[str]
    values: Tensor
    stderr: Tensor
    against: Step | None


def drift_of(
    stack: MatrixStack, steps: Sequence[Step], against: Step | None, layers: Sequence[str]
) -> Drift:
    """Take the cells of equally named layers out of a stack.

    Args:
        stack: The matrices.
        steps: Where each is in the run.
        against: The step that is the reference, if it is one; of all pairs of steps it is needed.
        layers: Layers of the reference.

    Returns:
        The curves.
    """
    values, stderr = stack.values, stack.stderr
    if values.ndim == 4:
        place = steps.index(against)
        values, stderr = values[place], stderr[place]
    found = torch.full((2, len(steps), len(layers)), torch.nan, dtype=torch.float64)
    for column, layer in enumerate(layers):
        if layer in stack.layers_b:
            cell = (slice(None), stack.layers_a.index(layer), stack.layers_b.index(layer))
            found[0, :, column], found[1, :, column] = values[cell], stderr[cell]
    return Drift(stack.key, list(steps), list(layers), found[0], found[1], against)
