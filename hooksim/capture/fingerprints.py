"""What went into a model, sample by sample, in a few characters: to tell samples apart later."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

__all__ = ["fingerprints"]

_DIGEST = 8  # bytes: among ten million samples two are alike by chance once in 400 000 runs
_PARALLEL = 8 << 20  # bytes of a batch from which several threads hash it
_THREADS = 8
_FOLLOWING = ("mask", "position_ids", "token_type", "segment")  # from how a sample is padded


def fingerprints(inputs: Any, size: int) -> list[str] | None:
    """Hash all that goes into a model of each sample of a batch.

    Masks, and the positions and types of tokens that follow from them, are left out: a sample is
    the same however it is padded. So is what holds no number of entries for each sample.

    Args:
        inputs: Tensors by name, or one tensor or list of texts without a name (or with the name
            ""). On any device; read on the host.
        size: Number of samples.

    Returns:
        For each sample its inputs, ordered by name and separated by ";": the name and ":", where
        it has one, the type and shape, and after the last space a hash, equal for equal values.
        Names are percent-encoded. None where there is nothing to hash.

    Example:
        >>> fingerprints(torch.zeros(2, 3), 2)
        ['float32[3] 24f29c3559b2b01f', 'float32[3] 24f29c3559b2b01f']
        >>> fingerprints({"input_ids": torch.zeros(1, 3), "attention_mask": torch.ones(1, 3)}, 1)
        ['input_ids:float32[3] 24f29c3559b2b01f']
        >>> fingerprints(["one", "two"], 2)
        ['str 34f2ddaa8b7615c9', 'str f5ee556c794a0703']
    """
    named = inputs if isinstance(inputs, Mapping) else {"": inputs}
    found = []
    for name, value in sorted(((str(key), each) for key, each in named.items()), key=itemgetter(0)):
        if any(word in name for word in _FOLLOWING):
            continue
        hashed = _of_tensor(value, size) if isinstance(value, Tensor) else None
        if not name and hashed is None:
            hashed = _of_texts(value, size)
        if hashed is not None:
            prefix = f"{quote(name, safe='')}:" if name else ""
            found.append([prefix + each for each in hashed])
    return list(map(";".join, zip(*found, strict=True))) if found else None


def _of_texts(inputs: Any, size: int) -> list[str] | None:
    is_list = isinstance(inputs, tuple | list) and len(inputs) == size
    if is_list and all(isinstance(each, str) for each in inputs):
        return [f"str {_digest(each.encode(errors='surrogatepass'))}" for each in inputs]
    return None


def _of_tensor(inputs: Tensor, size: int) -> list[str] | None:
    if inputs.layout != torch.strided or inputs.is_nested or inputs.ndim == 0:
        return None
    if inputs.shape[0] != size or inputs.is_quantized or inputs.is_meta:
        return None
    kind = f"{str(inputs.dtype).removeprefix('torch.')}{list(inputs.shape[1:])}"
    # As bytes: numpy has no bfloat16.
    samples = inputs.detach().resolve_conj().resolve_neg().cpu().contiguous()
    data = samples.flatten().view(torch.uint8).numpy().data
    step = len(data) // size
    parts = [data[place * step : (place + 1) * step] for place in range(size)]
    return [f"{kind} {digest}" for digest in _digests(parts, len(data))]


def _digests(parts: Sequence[memoryview], n_bytes: int) -> list[str]:
    """Hash every part; hashing releases the interpreter's lock, so images are shared out."""
    if n_bytes < _PARALLEL:
        return list(map(_digest, parts))
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_digest, parts))


def _digest(data: bytes | memoryview) -> str:
    return hashlib.blake2b(data, digest_size=_DIGEST).hexdigest()
