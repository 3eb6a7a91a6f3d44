"""What went into a model, sample by sample, in a few characters: to tell samples apart later."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from hooksim.capture.batches import holds_samples, main_tensor

__all__ = ["fingerprints"]

_DIGEST = 8  # bytes: among ten million samples two are alike by chance once in 400 000 runs
_PARALLEL = 8 << 20  # bytes of a batch from which several threads hash it
_THREADS = 8


def fingerprints(inputs: Any, size: int) -> list[str] | None:
    """Hash the main input of each sample of a batch.

    Args:
        inputs: What the model is called with: a tensor; a tuple or list, whose first element
            counts; a mapping, whose `input_ids`, ..., `pixel_values` or first tensor counts; or a
            list of texts. On any device; read on the host.
        size: Number of samples.

    Returns:
        For each sample the type and shape of its input and, after the last space, a hash: equal
        for equal inputs. None where there is nothing to hash.

    Example:
        >>> fingerprints(torch.zeros(2, 3), 2)
        ['float32[3] 24f29c3559b2b01f', 'float32[3] 24f29c3559b2b01f']
        >>> fingerprints(["one", "two"], 2)
        ['str 34f2ddaa8b7615c9', 'str f5ee556c794a0703']
    """
    if isinstance(inputs, Mapping):
        return fingerprints(main_tensor(inputs), size)
    if isinstance(inputs, tuple | list) and inputs and holds_samples(inputs[0]):
        return fingerprints(inputs[0], size)
    if isinstance(inputs, Tensor):
        return _of_tensor(inputs, size)
    is_list = isinstance(inputs, tuple | list) and len(inputs) == size
    if is_list and all(isinstance(each, str) for each in inputs):
        return [f"str {_digest(each.encode(errors='surrogatepass'))}" for each in inputs]
    return None


def _of_tensor(inputs: Tensor, size: int) -> list[str] | None:
    if inputs.ndim == 0 or inputs.shape[0] != size or inputs.layout != torch.strided:
        return None
    if inputs.is_quantized or inputs.is_meta:
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
