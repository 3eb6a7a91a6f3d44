"""Which tensor of a layer's output stands for the layer."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch

from hooksim.capture.rows import Rows, batch_first_hint
from hooksim.errors import NoRowsError

__all__ = ["ChosenOutput", "choose_output"]


class ChosenOutput(NamedTuple):
    """The tensor that stands for a layer, and what was left beside it.

    Attributes:
        tensor: The chosen tensor.
        name: Its name or position in the output; the empty string where the output is a tensor.
        skipped: Names or positions of the other tensors.
    """

    tensor: torch.Tensor
    name: str
    skipped: tuple[str, ...]


def choose_output(output: Any, rows: Rows, size: int | None = None) -> ChosenOutput:
    """Choose the tensor that stands for a layer.

    Args:
        output: What the layer returned: a tensor, a tuple, a mapping or a ModelOutput.
        rows: The row policy, for `output_index` and `batch_dim`.
        size: Number of samples of the batch; None accepts any first dimension.

    Returns:
        The tensor itself, the element `output_index`, `last_hidden_state`, or else the first
        floating tensor whose batch dimension is the batch.

    Raises:
        NoRowsError: The output holds no such tensor.

    Example:
        >>> hidden, weights = torch.zeros(2, 5, 4), torch.zeros(2, 1, 5, 5)
        >>> chosen = choose_output((hidden, weights), Rows(), size=2)
        >>> chosen.tensor is hidden, chosen.name, chosen.skipped
        (True, '0', ('1',))
    """
    if isinstance(output, torch.Tensor):
        return ChosenOutput(_floating(output), "", ())
    elements = _elements(output)
    tensors = {name: value for name, value in elements if isinstance(value, torch.Tensor)}
    name = _wanted(elements, tensors, rows, size)
    chosen = _floating(tensors[name])
    return ChosenOutput(chosen, name, tuple(other for other in tensors if other != name))


def _elements(output: Any) -> list[tuple[str, Any]]:
    if isinstance(output, Mapping):
        return [(str(key), value) for key, value in output.items()]
    if isinstance(output, Iterable):
        return [(str(index), value) for index, value in enumerate(output)]
    raise NoRowsError(f"its output is {type(output).__name__}, which holds no tensor")


def _wanted(
    elements: list[tuple[str, Any]],
    tensors: dict[str, torch.Tensor],
    rows: Rows,
    size: int | None,
) -> str:
    if rows.output_index is not None:
        if not -len(elements) <= rows.output_index < len(elements):
            raise NoRowsError(
                f"output_index {rows.output_index} is beyond its {len(elements)} outputs"
            )
        name, value = elements[rows.output_index]
        if name not in tensors:
            raise NoRowsError(
                f"output_index {rows.output_index} is {type(value).__name__}, not a tensor"
            )
        return name
    if "last_hidden_state" in tensors:
        return "last_hidden_state"
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and _has_batch(tensor, rows.batch_dim, size):
            return name
    raise NoRowsError(
        "none of its outputs is a floating tensor"
        + ("" if size is None else f" with {size} samples in dimension {rows.batch_dim}")
        + batch_first_hint(rows)
    )


def _has_batch(tensor: torch.Tensor, dim: int, size: int | None) -> bool:
    if not -tensor.ndim <= dim < tensor.ndim:
        return False
    return size is None or tensor.shape[dim] == size


def _floating(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        raise NoRowsError(f"its output is of type {tensor.dtype}, not floating point")
    return tensor
