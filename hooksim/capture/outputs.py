"""Which tensor of a layer's output stands for the layer."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from hooksim.capture.batches import describe
from hooksim.capture.rows import Rows, batch_first_hint
from hooksim.errors import NoRowsError

__all__ = ["ChosenOutput", "choose_output"]


class ChosenOutput(NamedTuple):
    """The tensor that stands for a layer, and what was left beside it.

    Attributes:
        tensor: The chosen tensor.
        name: Its name in the output, such as `0`, `hidden` or `1.0`; the empty string where the
            output is a tensor.
        skipped: Names of the other tensors.
        larger: Of these the ones that could have been chosen and hold more numbers a sample;
            none where the tensor was asked for.
    """

    tensor: torch.Tensor
    name: str
    skipped: tuple[str, ...]
    larger: tuple[str, ...] = ()


def choose_output(output: Any, rows: Rows, size: int | None = None) -> ChosenOutput:
    """Choose the tensor that stands for a layer.

    Args:
        output: What the layer returned: a tensor, or tuples, lists, mappings, ModelOutputs and
            dataclasses of tensors, one in the other. Nothing else is opened: a generator would be
            used up.
        rows: The row policy, for `output_index` and `batch_dim`.
        size: Number of samples of the batch; None accepts any first dimension.

    Returns:
        The tensor itself, the element `output_index`, `last_hidden_state`, or else the first
        floating tensor, in the order of the output, whose batch dimension is the batch.

    Raises:
        NoRowsError: The output holds no such tensor.

    Example:
        >>> hidden, state = torch.zeros(2, 5, 4), torch.zeros(1, 2, 4)
        >>> chosen = choose_output((hidden, (state, state)), Rows(), size=2)
        >>> chosen.tensor is hidden, chosen.name, chosen.skipped, chosen.larger
        (True, '0', ('1.0', '1.1'), ())
    """
    if isinstance(output, torch.Tensor):
        return ChosenOutput(output, "", ())
    elements = _elements(output)
    if elements is None:
        raise NoRowsError(
            f"its output is {type(output).__name__}, which holds no tensor. Select another layer."
        )
    found = dict(_walk(elements))
    if rows.output_index is None and any(
        isinstance(each, PackedSequence) for each in found.values()
    ):
        raise NoRowsError(
            "it gives a PackedSequence, in which the samples of each step stand one after the "
            "other. Select a layer after pad_packed_sequence, or another output with "
            "Rows(output_index=...)."
        )
    tensors = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    name = _wanted(output, tensors, rows, size)
    skipped = tuple(other for other in tensors if other != name)
    larger = tuple(
        other
        for other in (skipped if rows.output_index is None else ())
        if _fits(tensors[other], rows.batch_dim, size)
        and tensors[other].numel() > tensors[name].numel()
    )
    return ChosenOutput(tensors[name], name, skipped, larger)


def _elements(value: Any) -> list[tuple[str, Any]] | None:
    """Give the elements of a container by name; None for what is none."""
    if isinstance(value, Mapping):
        return [(str(key), each) for key, each in value.items()]
    if isinstance(value, tuple | list):
        return [(str(place), each) for place, each in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    return None


def _walk(elements: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in elements:
        inner = None if isinstance(value, PackedSequence) else _elements(value)
        if inner is None:
            yield name, value
        else:
            yield from _walk([(f"{name}.{key}", each) for key, each in inner])


def _wanted(output: Any, tensors: Mapping[str, torch.Tensor], rows: Rows, size: int | None) -> str:
    found: Mapping[str, torch.Tensor] = tensors
    if rows.output_index is not None:
        index = _index_name(output, rows.output_index)
        if index in tensors:
            return index
        found = {name: each for name, each in tensors.items() if name.startswith(f"{index}.")}
        if not found:
            raise NoRowsError(
                f"output_index {rows.output_index!r} names no tensor of its output, which holds "
                f"{describe(tensors) or 'none'}."
            )
    elif "last_hidden_state" in tensors:
        return "last_hidden_state"
    for name, tensor in found.items():
        if _fits(tensor, rows.batch_dim, size):
            return name
    shapes = [tuple(each.shape) for each in found.values() if not each.is_nested]
    raise NoRowsError(
        "none of its outputs is a floating tensor"
        + ("" if size is None else f" with {size} samples in dimension {rows.batch_dim}")
        + (f": {describe(tensors)}" if tensors else "")
        + (batch_first_hint(rows, size, shapes) or ". Select another layer.")
    )


def _index_name(output: Any, index: int | str) -> str:
    """Give the name of the element that `output_index` means."""
    elements = _elements(output) or []
    if isinstance(index, str):
        return index
    if not -len(elements) <= index < len(elements):
        raise NoRowsError(
            f"output_index {index} is beyond its {len(elements)} outputs. Count them from 0."
        )
    return elements[index][0]


def _fits(tensor: torch.Tensor, dim: int, size: int | None) -> bool:
    """Whether a tensor holds real numbers for each sample of the batch."""
    if not (tensor.is_floating_point() or tensor.is_quantized):
        return False
    if tensor.is_nested:  # it has its batch in front, and no length in the other dimensions
        dim = 0
    if not -tensor.ndim <= dim < tensor.ndim:
        return False
    return size is None or tensor.size(dim) == size
