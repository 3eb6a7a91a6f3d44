"""Arrays of an `.npz` file as batches of tensors."""

from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import ZipFile

from hooksim.capture.batches import PairedBatch
from hooksim.cli.batching import Batches, BatchSize, ModelSpecs
from hooksim.cli.places import namesake
from hooksim.errors import ConfigError
from hooksim.loading import local_path
from hooksim.loading.wording import first_line, listed
from hooksim.spelling import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = ["npz_batches", "read_npz"]

_MOST_UNFOLDED = 100  # bytes for each byte of a file
_HARMLESS = 1 << 28  # bytes that are no danger to anybody


def npz_batches(
    _models: ModelSpecs,
    /,
    *,
    path: str,
    arrays: str | dict[str, str] | None = None,
    ids: str | None = None,
    batch_size: BatchSize = 128,
) -> Batches:
    """Batches of the arrays in an `.npz` file, one sample an index of their first axis.

    Args:
        path: The file. Arrays of Python objects are refused: reading them could run code.
        arrays: The name of one array, which each model is called with; or a mapping from
            the models' arguments to names. None takes all arrays (but `ids`) under their own
            names, or the one array if there is just one.
        ids: Name of the array of sample ids; without it they are `file name:index`.
        batch_size: Samples in a batch.

    Returns:
        A loader of tensors (in a `PairedBatch`, for the ids) or mappings; float64 arrays come in
        torch's default dtype.

    Raises:
        ConfigError: No such file or array, or arrays of different lengths.
    """
    held = read_npz(path)
    names = _names(path, held, arrays, ids)
    tensors = {key: _tensor(name, held[name]) for key, name in names.items()}
    n_samples = _length({name: held[name] for name in [*names.values(), *([ids] if ids else [])]})
    file = Path(path).name
    all_ids = [f"{file}:{index}" for index in range(n_samples)] if ids is None else held[ids]

    def make(samples: range) -> Any:
        part = slice(samples.start, samples.stop)
        own_ids = [str(each) for each in all_ids[part]]
        if "" in tensors:
            rows = tensors[""][part]
            return PairedBatch(rows, rows, own_ids)
        return {**{key: tensor[part] for key, tensor in tensors.items()}, "sample_ids": own_ids}

    return Batches(n_samples, batch_size, make)


def read_npz(path: str) -> "dict[str, np.ndarray[Any, Any]]":
    """Read the arrays of an `.npz` file; those of Python objects are refused.

    Args:
        path: The file.

    Returns:
        The arrays by name, in the file's order.

    Raises:
        ConfigError: No such file, or not one of arrays.
    """
    import numpy as np

    file = local_path(path)
    if not file.is_file():
        close = namesake(Path(path), "*.npz")
        raise ConfigError(f"path: no file {path!r}{close or f' in {str(Path.cwd())!r}'}")
    try:
        with file.open("rb") as stream:
            _check_kind(path, stream)
            with np.load(stream, allow_pickle=False) as held:
                return dict(held)
    except ConfigError:
        raise
    except Exception as error:  # zip files, compressions and arrays have each their own errors
        objects = ". Save texts by np.array(names, dtype=str)" * ("Object arrays" in str(error))
        raise ConfigError(f"path: cannot read {path!r}: {first_line(error)}{objects}") from error


def _check_kind(path: str, stream: BinaryIO) -> None:
    """Refuse a file of one array, and one that is small and unfolds to more than memory holds."""
    import numpy as np

    if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
        raise ConfigError(f"path: {path!r} is a single array; expected an .npz file")
    size = stream.seek(0, SEEK_END)
    with ZipFile(stream) as archive:
        unfolded = sum(part.file_size for part in archive.infolist())
    if unfolded > max(_HARMLESS, _MOST_UNFOLDED * size):
        raise ConfigError(
            f"path: {path!r} holds {size:,} bytes that unfold to {unfolded:,}, which no "
            "activations do. Save the arrays with np.savez, not compressed"
        )
    stream.seek(0)


def _names(
    path: str,
    held: "dict[str, np.ndarray[Any, Any]]",
    arrays: str | dict[str, str] | None,
    ids: str | None,
) -> dict[str, str]:
    """Map the models' arguments to array names; the argument `""` is the first, unnamed one."""
    if arrays is None:
        others = [name for name in held if name != ids]
        names = {"": others[0]} if len(others) == 1 else {name: name for name in others}
    else:
        names = {"": arrays} if isinstance(arrays, str) else dict(arrays)
    if not names:
        raise ConfigError(f"path: {path!r} holds no arrays")
    for name in names.values():
        if name not in held:
            close = did_you_mean(name, held) or f"; it has {listed(held)}"
            raise ConfigError(f"arrays: {path!r} has no array {name!r}{close}")
    if ids is not None and ids not in held:
        raise ConfigError(f"ids: {path!r} has no array {ids!r}; it has {listed(held)}")
    return names


def _length(arrays: "dict[str, np.ndarray[Any, Any]]") -> int:
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"arrays: of different lengths {lengths}; expected one sample an index")
    length = next(iter(lengths.values()))
    if length == 0:
        raise ConfigError(f"arrays: {listed(arrays)} hold no samples")
    return length


def _tensor(name: str, array: "np.ndarray[Any, Any]") -> "Tensor":
    import torch

    try:
        tensor = torch.from_numpy(array)
    except (TypeError, ValueError) as error:  # texts, dates, numbers in another byte order
        raise ConfigError(f"arrays: {name!r} holds {array.dtype}, expected numbers") from error
    return tensor.to(torch.get_default_dtype()) if tensor.dtype == torch.float64 else tensor
