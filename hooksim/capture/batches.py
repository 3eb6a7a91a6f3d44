"""Batches of a loader: how many samples they hold, their first few, and on which device."""

import copy
from collections import UserDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hooksim.errors import ConfigError

__all__ = [
    "PairedBatch",
    "batch_size",
    "describe",
    "first_samples",
    "holds_samples",
    "main_tensor",
    "move_batch",
    "not_tensors",
]

_SIZED_BY = ("input_ids", "attention_mask", "inputs_embeds", "pixel_values", "input_values")


@dataclass(frozen=True)
class PairedBatch:
    """One batch that gives each model its own input: the same samples in the same order.

    Args:
        a: The batch for model A: a tensor, tuple, list or mapping.
        b: The batch for model B.
        ids: Sample ids, one a sample, where there are some.

    Example:
        >>> pair = PairedBatch(torch.zeros(4, 8), {"input_ids": torch.zeros(4, 3)})
        >>> batch_size(pair)
        4
    """

    a: Any
    b: Any
    ids: Sequence[Any] | None = None


def batch_size(item: Any) -> int:
    """Count the samples of one loader item.

    Args:
        item: A tensor, a tuple or list (its first element counts), a mapping, a PairedBatch (its
            `a` counts), or anything with a length.

    Returns:
        Number of samples.

    Raises:
        ConfigError: The item has no first dimension and no length.

    Example:
        >>> batch_size((torch.zeros(4, 3, 8, 8), torch.zeros(4)))
        4
        >>> batch_size({"input_ids": torch.zeros(2, 16)})
        2
    """
    if isinstance(item, PairedBatch):
        return batch_size(item.a)
    if isinstance(item, torch.Tensor) and item.ndim > 0:
        return item.shape[0]
    if isinstance(item, Mapping):
        tensor = main_tensor(item)
        if tensor is not None:
            return tensor.shape[0]
    elif isinstance(item, tuple | list) and item and holds_samples(item[0]):
        return batch_size(item[0])
    elif not isinstance(item, torch.Tensor) and hasattr(item, "__len__"):
        return len(item)
    raise ConfigError(
        f"loader: cannot count the samples of a {type(item).__name__} batch. Expected a tensor, a "
        f"tuple or list, a mapping with tensors, or a PairedBatch.{not_tensors(item)}"
    )


def not_tensors(item: Any) -> str:
    """Say what to do about a batch of texts or arrays, which models cannot read.

    Args:
        item: One model's batch.

    Returns:
        A sentence with a space in front; empty where it holds tensors.

    Example:
        >>> not_tensors(["one text", "another"])
        " It holds texts: tokenize them first, tokenizer(texts, padding=True, return_tensors='pt')."
    """
    if isinstance(item, Mapping):
        named = main_tensor(item) is None
        values = [value for key, value in item.items() if named and key != "sample_ids"]
    else:
        values = list(item) if isinstance(item, tuple | list) else [item]
    first = next(iter(values), None)
    inner = first[0] if isinstance(first, tuple | list) and first else first
    if isinstance(inner, np.ndarray):
        return " It holds NumPy arrays: convert them with torch.from_numpy."
    if isinstance(inner, str):
        tokenize = "tokenizer(texts, padding=True, return_tensors='pt')"
        return f" It holds texts: tokenize them first, {tokenize}."
    if isinstance(item, Mapping) and isinstance(first, tuple | list):
        return " It holds lists: a tokenizer gives tensors with return_tensors='pt'."
    return ""


def main_tensor(batch: Mapping[str, Any]) -> torch.Tensor | None:
    """Give the tensor of a mapping that its samples are counted by.

    Args:
        batch: Inputs by name.

    Returns:
        `input_ids`, ..., `pixel_values`, else the first tensor with a dimension; None without one.

    Example:
        >>> main_tensor({"labels": torch.zeros(2), "input_ids": torch.zeros(2, 16)}).shape
        torch.Size([2, 16])
    """
    tensors = {key: value for key, value in batch.items() if isinstance(value, torch.Tensor)}
    keys = (key for key in (*_SIZED_BY, *tensors) if key in tensors and tensors[key].ndim)
    return next((tensors[key] for key in keys), None)


def first_samples(item: Any, count: int) -> Any:
    """Cut a loader item to its first samples.

    Args:
        item: As for `batch_size`.
        count: How many to keep.

    Returns:
        An item of the same kind; what has another length than the batch is kept as it is.

    Example:
        >>> first_samples((torch.arange(4), ["a", "b", "c", "d"], 7), 2)
        (tensor([0, 1]), ['a', 'b'], 7)
    """
    return _cut(item, batch_size(item), count)


def describe(item: Any) -> str:
    """Say in a few words what a batch holds, for a message.

    Args:
        item: As for `batch_size`.

    Returns:
        Names, shapes and types of its tensors.

    Example:
        >>> describe({"input_ids": torch.zeros(2, 16, dtype=torch.int64), "sample_ids": ["a", "b"]})
        'input_ids (2, 16) int64, sample_ids list'
    """
    if isinstance(item, PairedBatch):
        return f"a: {describe(item.a)}; b: {describe(item.b)}"
    if isinstance(item, Mapping):
        return ", ".join(f"{key} {describe(value)}" for key, value in item.items())
    if isinstance(item, torch.Tensor):
        shape = "nested" if item.is_nested else tuple(item.shape)
        return f"{shape} {str(item.dtype).removeprefix('torch.')}"
    if isinstance(item, tuple | list) and any(map(holds_samples, item)):
        return f"{type(item).__name__} of " + ", ".join(map(describe, item))
    return type(item).__name__


def move_batch(item: Any, device: torch.device) -> Any:
    """Move every tensor of a batch to a device.

    Args:
        item: A tensor, or nested tuples, lists and mappings of these.
        device: Where to.

    Returns:
        An item of the same kind; the one given is not changed.
    """
    if isinstance(item, torch.Tensor):
        return item.to(device, non_blocking=True)
    return _rebuild(item, lambda value: move_batch(value, device))


def holds_samples(value: Any) -> bool:
    """Tell whether a value may stand for a batch, and not for one sample of it.

    Args:
        value: An element of a tuple or list.

    Returns:
        True for tensors, mappings, tuples and lists; False for strings and numbers.
    """
    return isinstance(value, torch.Tensor | Mapping | tuple | list)


def _cut(item: Any, size: int, count: int) -> Any:
    if isinstance(item, PairedBatch):
        ids = None if item.ids is None else item.ids[:count]
        return PairedBatch(first_samples(item.a, count), first_samples(item.b, count), ids)
    shape = getattr(item, "shape", None)
    if shape is not None:
        return item[:count] if len(shape) and shape[0] == size else item
    if isinstance(item, range):  # positions in a recording
        return item[:count]
    if isinstance(item, tuple | list) and len(item) == size and not any(map(holds_samples, item)):
        return item[:count]
    return _rebuild(item, lambda value: _cut(value, size, count))


def _rebuild(item: Any, change: Any) -> Any:
    """Apply `change` to every element of a container, keeping its kind."""
    if isinstance(item, UserDict):  # BatchEncoding keeps its attribute access
        rebuilt = copy.copy(item)
        rebuilt.update({key: change(value) for key, value in item.items()})
        return rebuilt
    if isinstance(item, Mapping):
        return {key: change(value) for key, value in item.items()}
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*map(change, item))
    if isinstance(item, tuple | list):
        return type(item)(map(change, item))
    return item
