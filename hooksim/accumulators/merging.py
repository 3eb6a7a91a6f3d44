"""Two accumulators' sums as one, if they are of the same layers."""

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.errors import ShapeError

__all__ = ["check_same_layers", "combined"]

_LARGEST = ("peak", "width")  # entries of a state that are no sums


def combined(state: TensorDict, other: TensorDict) -> TensorDict:
    """Two states as one, in memory of its own: sums added, of `peak` and `width` the larger.

    Args:
        state: May be empty.
        other: Of the same structure, unless `state` is empty.

    Raises:
        ShapeError: They belong to different layers.
    """
    if state.is_empty():
        return other.clone()

    check_same_layers(state, other)

    def join(name: Any, mine: Tensor, theirs: Tensor) -> Tensor:
        theirs = theirs.to(mine.device)
        return torch.maximum(mine, theirs) if name[-1] in _LARGEST else mine + theirs

    joined = state.named_apply(join, other, nested_keys=True)
    return TensorDict() if joined is None else joined


def check_same_layers(state: TensorDict, other: TensorDict) -> None:
    """Refuse a state of other layers: with other sums, or sums of other shapes.

    Args:
        state: What there is.
        other: What is to be added.

    Raises:
        ShapeError: They belong to different layers.
    """
    own, others = (
        {name: tuple(tensor.shape) for name, tensor in each.items(True, True)}
        for each in (state, other)
    )
    for name in own | others:
        expected, got = own.get(name, "none"), others.get(name, "none")
        if expected != got:
            raise ShapeError(
                f"sums {'.'.join(name)}: expected shape {expected}, got {got}. "
                "Every block must have the same layers."
            )
