"""How each layer moves away from the reference, step by step."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.results.matrix import span_text
from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step

__all__ = ["Drift", "drift_of", "in_short"]

_MOST = 8  # steps or layers; of more the middle is left out


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

    Example:
        >>> values = torch.tensor([[1.0, 1.0], [0.9, 0.7], [0.8, 0.5]])
        >>> Drift("cka", [10, 20, 30], ["0", "1"], values, 0.01 * values, against=10)
        Drift 'cka' against step 10: 3 steps x 2 layers, 0.500 to 1.000
        step: 10, 20, 30
        0: 1.000, 0.900, 0.800
        1: 1.000, 0.700, 0.500
    """

    key: str
    steps: list[Step]
    layers: list[str]
    values: Tensor
    stderr: Tensor
    against: Step | None

    def __repr__(self) -> str:
        reference = "the reference" if self.against is None else f"step {self.against}"
        size = f"{len(self.steps):,} steps x {len(self.layers):,} layers"
        curves = [
            f"{layer}: {', '.join(in_short([f'{value:.3f}' for value in curve]))}"
            for layer, curve in zip(self.layers, self.values.T.tolist(), strict=True)
        ]
        return "\n".join(
            [
                f"Drift {self.key!r} against {reference}: {size}, {span_text(self.values)}",
                f"step: {', '.join(in_short(list(map(str, self.steps))))}",
                *in_short(curves),
            ]
        )


def in_short(words: Sequence[str]) -> list[str]:
    """Leave out the middle of what is many.

    Args:
        words: Any number.

    Returns:
        All, or the first three and the last two with dots between them.

    Example:
        >>> in_short(list("abcdefghi"))
        ['a', 'b', 'c', '...', 'h', 'i']
    """
    return list(words) if len(words) <= _MOST else [*words[:3], "...", *words[-2:]]


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
