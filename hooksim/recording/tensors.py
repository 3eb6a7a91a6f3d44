"""Tensors and arrays that somebody else computed, checked and turned into rows."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hooksim.capture.calls import id_texts
from hooksim.capture.policies import wide_dtype
from hooksim.errors import (
    AlignmentError,
    ConfigError,
    NonFiniteError,
    NotEnoughSamplesError,
    ShapeError,
)
from hooksim.recording.description import Description
from hooksim.recording.row_files import over_array

__all__ = ["as_ids", "describe_tensors"]

_SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16)
_EXACT_32, _EXACT_64 = 1 << 24, 1 << 53
_PART = 1 << 16  # rows looked at together


def describe_tensors(
    tensors: Mapping[str, Any], sample_ids: Iterable[Any] | None
) -> tuple[Description, list[Tensor]]:
    """Check tensors and turn them into stored layers.

    Args:
        tensors: For each layer `(n, d)`, a tensor or an array.
        sample_ids: One a sample, or None.

    Returns:
        The description, and the rows of each stored layer on the CPU: the very same tensor is
        stored once. Memory is shared with what was given where its type stays.

    Raises:
        ConfigError: Something else than tensors by name, or numbers that are no rows.
        ShapeError: A tensor is not `(n, d)`, or has another n than the first.
        NotEnoughSamplesError: There are no samples.
        AlignmentError: There are more or fewer ids than samples.
        NonFiniteError: A row holds NaN or infinity.
    """
    if not isinstance(tensors, Mapping):
        raise ConfigError(f"tensors: expected a mapping of names, got {type(tensors).__name__}.")
    given = {name: _given(name, value) for name, value in tensors.items()}
    if not given:
        raise ConfigError("tensors: the mapping is empty. Give at least one layer.")
    n_samples = _count(given)
    stored: dict[tuple[Any, ...], int] = {}
    positions = [stored.setdefault(_identity(each), len(stored)) for each in given.values()]
    rows = [
        _rows(name, tensor)
        for index, (name, tensor) in enumerate(given.items())
        if positions.index(positions[index]) == index
    ]
    description = Description(
        names=list(given),
        positions=positions,
        widths=[each.shape[1] for each in rows],
        dtypes=["float64" if each.dtype == torch.float64 else "float32" for each in rows],
        rows=None,
        model="features",
        n_samples=n_samples,
        n_rows=n_samples,
        sample_ids=None if sample_ids is None else as_ids(sample_ids, n_samples),
        inputs=None,
        lengths=None,
        batch_lengths=None,
    )
    description.close(complete=True)
    return description, rows


def as_ids(sample_ids: Iterable[Any], n_samples: int) -> list[str]:
    """Accept sample ids of any kind.

    Args:
        sample_ids: One a sample: a list, a range, an array or a tensor.
        n_samples: Number of samples.

    Returns:
        The ids as text.

    Raises:
        ConfigError: They are not several.
        AlignmentError: There are more or fewer than samples.

    Example:
        >>> as_ids(range(2), 2)
        ['0', '1']
    """
    if isinstance(sample_ids, str | bytes) or not isinstance(sample_ids, Iterable):
        got = type(sample_ids).__name__
        raise ConfigError(f"sample_ids: expected a list with one id a sample, got {got}.")
    ids = id_texts(sample_ids)
    if len(ids) != n_samples:
        raise AlignmentError(
            f"sample_ids: {len(ids)} ids for {n_samples} samples. Give one id for each sample."
        )
    return ids


def _given(name: Any, value: Any) -> Tensor:
    """The tensor that was given, or one over the array."""
    if not isinstance(name, str):
        raise ConfigError(f"tensors: expected names of layers, got {type(name).__name__} {name!r}.")
    if isinstance(value, np.ma.MaskedArray):
        raise ConfigError(
            f"layer {name!r}: a masked array would lose its mask. Leave masked samples out, in all "
            "layers of both sides, or use .filled(value)."
        )
    if isinstance(value, np.ndarray):
        try:
            return over_array(value.astype(value.dtype.newbyteorder("="), copy=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"layer {name!r}: an array of {value.dtype} cannot be used: {error} "
                "Give float32, float64 or integers, with positive strides."
            ) from error
    if not isinstance(value, Tensor):
        raise ConfigError(
            f"layer {name!r}: expected a tensor or a numpy array, got {type(value).__name__}."
        )
    if value.is_nested:
        raise ConfigError(
            f"layer {name!r}: expected a plain tensor with memory, got a nested one. Give one row "
            "a sample: take a mean over tokens or positions."
        )
    if value.layout != torch.strided or value.is_meta or value.is_quantized:
        kind = "meta" if value.is_meta else str(value.layout).removeprefix("torch.")
        raise ConfigError(
            f"layer {name!r}: expected a plain tensor with memory, got one of the kind {kind}. "
            "Use .to_dense() or .dequantize() first."
        )
    return value.detach()


def _count(given: Mapping[str, Tensor]) -> int:
    """The number of samples, which all layers share."""
    first_name, first = next(iter(given.items()))
    for name, tensor in given.items():
        if tensor.ndim != 2 or tensor.shape[1] == 0:
            advice = {1: "Use .reshape(-1, 1) for one number a sample."}.get(
                tensor.ndim,
                "Give one row a sample: take a mean over tokens or positions, or .flatten(1).",
            )
            shape = tuple(tensor.shape)
            raise ShapeError(f"layer {name!r}: expected shape (n, d), got {shape}. {advice}")
        if len(tensor) != len(first):
            raise ShapeError(
                f"layer {name!r}: {len(tensor)} rows, {len(first)} in layer {first_name!r}. "
                "All layers must hold the same samples in the same order."
            )
    if not len(first):
        raise NotEnoughSamplesError(f"layer {first_name!r}: it has no rows. Give some samples.")
    return len(first)


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    """What two tensors share only if they are the same numbers in the same memory."""
    place = tensor.device, tensor.data_ptr(), tensor.dtype
    return (*place, tuple(tensor.shape), tensor.stride(), tensor.is_conj(), tensor.is_neg())


def _rows(name: str, tensor: Tensor) -> Tensor:
    """Rows of float32 or float64: exact, or an error."""
    dtype = tensor.dtype
    if dtype.is_complex:
        raise ConfigError(
            f"layer {name!r}: complex numbers cannot be compared. Use torch.view_as_real(x)"
            ".flatten(1), or .abs()."
        )
    if dtype.is_floating_point or dtype in _SMALL:
        rows = tensor.to("cpu", wide_dtype(dtype)).resolve_neg().contiguous()
        _refuse_non_finite(name, rows)
        return rows
    whole = tensor.to("cpu", torch.int64)
    low, high = (int(each) for each in whole.aminmax())
    largest = max(abs(low), abs(high))
    if largest > _EXACT_64 or (dtype == torch.uint64 and low < 0):
        raise ConfigError(
            f"layer {name!r}: integers beyond 2**53 have no exact floating-point value. Scale them."
        )
    exact = torch.float32 if largest <= _EXACT_32 else torch.float64
    return whole.to(exact).contiguous()


def _refuse_non_finite(name: str, rows: Tensor) -> None:
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        if not part.sum().isfinite():  # which a sum of large numbers may be without one
            bad = (~part.isfinite()).any(dim=1).nonzero().flatten()
            if len(bad):
                raise NonFiniteError(
                    f"layer {name!r}: row {start + int(bad[0])} holds NaN or infinity. "
                    "Leave such samples out, in all layers of both sides."
                )
