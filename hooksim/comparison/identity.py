"""What must be the same where a run is gone on with, or is made by several processes."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from hooksim.capture.layers import unwrap
from hooksim.recording import Recording
from hooksim.sides import Side

__all__ = ["first_difference", "side_identity"]

_DIGEST = 8  # bytes
_THREADS = 4
_CHUNK = 64 << 20  # bytes brought to the host at once


def side_identity(side: Side) -> dict[str, str]:
    """Hash what a side gives its rows by, part by part.

    Args:
        side: A model, by its parameters and saved buffers; or a recording, by its description.

    Returns:
        By name the hash of each part. What has no values here, such as offloaded weights, is known
        by its shape.

    Example:
        >>> side_identity(torch.nn.Linear(1, 1, bias=False)).keys()
        dict_keys(['weight'])
    """
    if isinstance(side, Recording):
        known = side.description
        parts = (known.sample_ids, known.inputs, known.lengths, known.batch_lengths)
        text = json.dumps([known.n_samples, known.names, known.widths, *parts], default=str)
        return {"recording": _digest([text.encode()])}
    named = unwrap(side).state_dict()
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(tensors, pool.map(_of_tensor, tensors.values()), strict=True))


def first_difference(one: Any, other: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Find the first place where plain data differ.

    Args:
        one: Nested mappings of anything.
        other: The same.
        name: Where they stand.

    Returns:
        The dotted path, and what either has there, None where it has nothing; None if they are
        equal.

    Example:
        >>> first_difference({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
        ('a.b', 1, 3)
    """
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return None if one == other else (name, one, other)
    for key in dict.fromkeys([*one, *other]):
        path = f"{name}.{key}" if name else str(key)
        found = first_difference(one.get(key), other.get(key), path)
        if found is not None:
            return found
    return None


def _of_tensor(value: Tensor) -> str:
    head = f"{value.dtype} {list(value.shape)}".encode()
    local = value.to_local() if hasattr(value, "to_local") else value
    if local.is_meta or local.layout != torch.strided or local.is_quantized or local.is_nested:
        return _digest([head])
    return _digest([head, *_chunks(local.detach())])


def _chunks(value: Tensor) -> Iterable[Any]:
    """The bytes of a tensor, a part at a time; numpy has no bfloat16."""
    flat = value.resolve_conj().resolve_neg().reshape(-1)
    step = max(1, _CHUNK // max(1, flat.element_size()))
    for start in range(0, len(flat), step):
        part = flat[start : start + step].cpu().contiguous()
        yield part.view(torch.uint8).numpy().data


def _digest(parts: Sequence[Any] | Iterable[Any]) -> str:
    made = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        made.update(part)
    return made.hexdigest()
