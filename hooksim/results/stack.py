"""The matrices of one measure over the steps of a run, in one tensor."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hooksim.errors import ShapeError
from hooksim.results.matrix import Meaning, span_text

__all__ = ["MatrixStack"]


@dataclass(frozen=True, eq=False, repr=False)
class MatrixStack:
    """Values of one measure for all pairs of layers, at every step.

    Attributes:
        key: Name in the result, such as `"cka"`.
        values: `(steps, la, lb)`, or `(steps, steps, la, lb)` where all checkpoints are compared
            with each other; float64 on the CPU, NaN where undefined or where a step has no such
            layer.
        stderr: Standard errors, shaped alike.
        layers_a: Names of the `la` layers of the reference, in axis order.
        layers_b: Names of the `lb` layers of the checkpoints.
        meaning: How the values are to be read.

    Raises:
        ShapeError: Values, standard errors and names do not fit each other.

    Example:
        >>> stack = MatrixStack(
        ...     "cka", torch.ones(3, 1, 2), torch.zeros(3, 1, 2), ["0"], ["0", "1"],
        ...     Meaning("CKA", best="max"),
        ... )
        >>> stack.shape
        torch.Size([3, 1, 2])
        >>> stack
        MatrixStack 'cka': CKA, 3 x 1 x 2 (steps x A x B), 1.000 to 1.000
    """

    key: str
    values: Tensor
    stderr: Tensor
    layers_a: list[str]
    layers_b: list[str]
    meaning: Meaning

    def __post_init__(self) -> None:
        size = (len(self.layers_a), len(self.layers_b))
        shape = tuple(self.values.shape)
        for name in ("values", "stderr"):
            tensor: Tensor = getattr(self, name)
            fits = tensor.ndim in (3, 4) and tuple(tensor.shape[-2:]) == size
            if not fits or tuple(tensor.shape) != shape:
                raise ShapeError(
                    f"stack '{self.key}': {name} of shape {tuple(tensor.shape)}, expected "
                    f"(steps, {size[0]}, {size[1]}) or (steps, steps, {size[0]}, {size[1]}), the "
                    "same for values and standard errors."
                )
            copy = torch.empty(shape, dtype=torch.float64).copy_(tensor.detach())
            object.__setattr__(self, name, copy)
        object.__setattr__(self, "layers_a", list(self.layers_a))
        object.__setattr__(self, "layers_b", list(self.layers_b))

    @property
    def shape(self) -> torch.Size:
        """Shape of the values."""
        return self.values.shape

    @property
    def size_text(self) -> str:
        """The shape, for people."""
        *steps, rows, columns = self.shape
        names = " x ".join([*("steps" for _ in steps), "A", "B"])
        return f"{' x '.join(map(str, [*steps, rows, columns]))} ({names})"

    def __repr__(self) -> str:
        span = span_text(self.values)
        return f"MatrixStack '{self.key}': {self.meaning.title}, {self.size_text}, {span}"
