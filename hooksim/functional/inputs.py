"""The check of a pair of row matrices, shared by every function that compares two."""

import torch
from torch import Tensor

from hooksim.errors import ConfigError, ShapeError

__all__ = ["check_pair", "result_dtype"]


def check_pair(x: Tensor, y: Tensor, name_x: str = "x", name_y: str = "y") -> None:
    """Refuse two tensors that are not rows of the same samples.

    Args:
        x: Rows `(..., n, d_x)`.
        y: Rows `(..., n, d_y)`.
        name_x: What the message calls `x`.
        name_y: What the message calls `y`.

    Raises:
        ShapeError: Fewer than two dimensions, other batch shapes, or other numbers of samples.
        ConfigError: Complex numbers, or tensors on two devices.
    """
    for name, tensor in ((name_x, x), (name_y, y)):
        if tensor.ndim < 2:
            raise ShapeError(
                f"{name}: expected shape (N, D) or (..., N, D), got {tuple(tensor.shape)}. "
                "Put the samples on the second dimension from the right."
            )
        if tensor.is_complex():
            raise ConfigError(f"{name}: expected real numbers, got {tensor.dtype}.")
    if x.device != y.device:
        raise ConfigError(
            f"{name_x} and {name_y} must be on the same device, got {x.device} and {y.device}."
        )
    if x.shape[:-2] != y.shape[:-2]:
        raise ShapeError(
            f"{name_x} and {name_y} must have matching batch shapes, "
            f"got {tuple(x.shape[:-2])} and {tuple(y.shape[:-2])}."
        )
    if x.shape[-2] != y.shape[-2]:
        raise ShapeError(
            f"{name_x} and {name_y} must have matching sample counts, "
            f"got {x.shape[-2]} and {y.shape[-2]}."
        )


def result_dtype(x: Tensor, y: Tensor) -> torch.dtype:
    """The dtype of a measure of `x` and `y`: float64 if either is, else float32."""
    return torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
