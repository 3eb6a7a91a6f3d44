"""Rows in raw files: little-endian, one row after the other, nothing else."""

import sys
import warnings
from pathlib import Path
from typing import IO, Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

__all__ = ["checksum_of", "map_file", "map_open_file", "over_array", "write_rows"]

_CHUNK = 1 << 20  # bytes


def write_rows(file: IO[bytes], rows: Tensor, checksum: int = 0) -> int:
    """Append rows to a file.

    Args:
        file: Open for writing.
        rows: `(n, d)` on the CPU.
        checksum: CRC-32 of what is in the file.

    Returns:
        CRC-32 of what is in the file then.
    """
    array = rows.detach().contiguous().numpy()
    content = array.byteswap().data if sys.byteorder == "big" else array.data
    file.write(content)
    return crc32(content, checksum) if array.size else checksum


def checksum_of(path: Path) -> int:
    """Read a file, and nothing of it into memory for long.

    Args:
        path: The file.

    Returns:
        CRC-32 of what is in it.
    """
    checksum = 0
    with path.open("rb") as file:
        while content := file.read(_CHUNK):
            checksum = crc32(content, checksum)
    return checksum


def map_file(path: Path, dtype: torch.dtype, shape: tuple[int, int]) -> Tensor:
    """Give the rows in a file, read from the disk when they are looked at.

    Args:
        path: The file, at least as long as the rows.
        dtype: Of the rows.
        shape: `(n, d)`.

    Returns:
        A tensor over the file. It never changes the file.
    """
    size = shape[0] * shape[1]
    if not size:
        return torch.empty(shape, dtype=dtype)
    try:
        # Holds no file open: hundreds of layers would use up the handles that a process may have.
        flat = torch.from_file(str(path), shared=False, size=size, dtype=dtype)
    except RuntimeError:
        # A private copy of more than the machine's memory is refused, though hardly any of it will
        # ever be copied. A mapping that cannot be written to is not.
        flat = over_array(np.memmap(path, _numpy(dtype), mode="r", shape=(size,)))
    return _native(flat).view(shape)


def map_open_file(file: IO[bytes], dtype: torch.dtype, shape: tuple[int, int]) -> Tensor:
    """Give the rows in a file that has no name; the file may be closed afterwards.

    Args:
        file: Open for reading and writing.
        dtype: Of the rows.
        shape: `(n, d)`.

    Returns:
        A tensor over the file.
    """
    file.flush()
    if not shape[0] * shape[1]:
        return torch.empty(shape, dtype=dtype)
    return _native(over_array(np.memmap(file, _numpy(dtype), mode="r+", shape=shape)))


def over_array(array: Any) -> Tensor:
    """Give a tensor over an array's memory, which may be one that cannot be written to.

    Args:
        array: A numpy array.

    Returns:
        The tensor; where the array cannot be written to, nor may it.

    Raises:
        TypeError: torch has no such type.
        ValueError: Or no such strides.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def _native(values: Tensor) -> Tensor:
    if sys.byteorder == "big":
        return torch.from_numpy(values.numpy().byteswap())
    return values


def _numpy(dtype: torch.dtype) -> Any:
    return np.dtype(str(dtype).removeprefix("torch."))
