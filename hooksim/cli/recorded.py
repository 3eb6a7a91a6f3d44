"""Sides that need no model: recordings, and features that somebody else computed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from hooksim.cli.arrays import read_npz
from hooksim.errors import ConfigError, HooksimError, Note
from hooksim.loading import MODEL_KINDS, check_model, import_factory, load_model
from hooksim.loading.local import local_path
from hooksim.loading.wording import listed
from hooksim.recording import Recording
from hooksim.results.saved import is_result

__all__ = [
    "SIDE_KINDS",
    "LoadedSide",
    "check_side",
    "is_recorded",
    "is_recording",
    "load_side",
    "refuse_what_is_no_checkpoint",
]

_WEIGHTS = (".bin", ".ckpt", ".pt", ".pth", ".safetensors")


class LoadedSide(NamedTuple):
    """What a spec describes, and what its reader should know of how it was loaded.

    Attributes:
        side: A model in evaluation mode, or a recording.
        notes: For the log and the metadata.
    """

    side: nn.Module | Recording
    notes: tuple[Note, ...] = ()


def _recording(*, path: str) -> LoadedSide:
    """Open what `hooksim.record` or `Recording.save` wrote.

    Args:
        path: The folder.
    """
    try:
        return LoadedSide(Recording.load(path))
    except ConfigError as error:
        raise ConfigError(f"path: {error}") from error


def _features(*, path: str, ids: str | None = None) -> LoadedSide:
    """Take each array of an `.npz` file as a layer, one sample a row.

    Args:
        path: The file.
        ids: Name of the array of sample ids, which is no layer.
    """
    held = read_npz(path)
    if ids is not None and ids not in held:
        raise ConfigError(f"ids: {path!r} has no array {ids!r}; it has {listed(held)}")
    if ids is not None and held[ids].ndim != 1:
        raise ConfigError(f"ids: expected one id a sample in {ids!r}, got shape {held[ids].shape}")
    layers = {name: array for name, array in held.items() if name != ids}
    texts = [name for name, array in layers.items() if array.dtype.kind in "SU"]
    if texts and ids is None:
        raise ConfigError(
            f"ids: {path!r} holds text in {texts[0]!r}, which is no layer; for ids "
            f"give ids: {texts[0]}"
        )
    if not layers:
        raise ConfigError(f"path: {path!r} holds no arrays")
    try:
        names = None if ids is None else held[ids]
        return LoadedSide(Recording.from_tensors(layers, sample_ids=names))
    except HooksimError as error:
        raise ConfigError(f"path: {Path(path).name}: {error}") from error


_RECORDED_KINDS: dict[str, Callable[..., LoadedSide]] = {
    "recording": _recording,
    "features": _features,
}

SIDE_KINDS: dict[str, Callable[..., Any]] = {**MODEL_KINDS, **_RECORDED_KINDS}
"""One entry a kind of side: its keys are the parameters of the function."""


def is_recorded(spec: Mapping[str, Any]) -> bool:
    """Tell whether a spec describes rows, so that no data is read for it.

    Args:
        spec: A checked spec.

    Example:
        >>> is_recorded({"kind": "recording", "path": "runs/a"})
        True
    """
    return spec.get("kind") in _RECORDED_KINDS


def check_side(spec: Mapping[str, Any]) -> None:
    """Refuse the spec of a model that is not there, before anything is loaded.

    Args:
        spec: A checked spec.

    Raises:
        ConfigError: No such folder, hub id or factory; the message starts with its key.
    """
    if "factory" in spec:
        import_factory(spec["factory"])
    elif not is_recorded(spec):
        others = (spec.get(key) for key in ("subfolder", "revision", "base_model"))
        refuse_what_is_no_checkpoint(spec["path"])
        check_model(spec["path"], *others)


def refuse_what_is_no_checkpoint(path: str) -> None:
    """Refuse what another kind of side reads, and name that kind.

    Args:
        path: Where a checkpoint is expected; what is not there is no matter here.

    Raises:
        ConfigError: Weights alone, arrays, a recording or a result.
    """
    there = local_path(path)
    needed = f"path: {path!r} is no checkpoint but"
    if there.is_file() and there.suffix in _WEIGHTS:
        raise ConfigError(
            f"{needed} weights alone, which need the code of their model: {{kind: python, "
            f'factory: "package.module:function", weights: {path}}}'
        )
    if there.is_file() and there.suffix == ".npz":
        raise ConfigError(f"{needed} arrays: {{kind: features, path: {path}}}")
    if is_recording(there):
        raise ConfigError(f"{needed} a recording: {{kind: recording, path: {path}}}")
    description = there / "metadata.json"
    if description.is_file() and not (there / "config.json").exists() and is_result(description):
        raise ConfigError(f"{needed} a result, which holds no model")


def is_recording(folder: Path) -> bool:
    """Tell a folder of rows from one of weights.

    Args:
        folder: Any.

    Example:
        >>> is_recording(Path("runs/not-there"))
        False
    """
    return (folder / "0.bin").is_file()


def load_side(spec: Mapping[str, Any]) -> LoadedSide:
    """Load the model or the rows that a spec describes.

    Args:
        spec: A checked spec: `kind` and the keys of that kind.

    Returns:
        The side and notes.

    Raises:
        ConfigError: A file, array or factory that is not there; the message starts with its key.
        MissingWeightsError: A checkpoint lacks weights.
    """
    keys = dict(spec)
    if is_recorded(spec):
        return _RECORDED_KINDS[keys.pop("kind")](**keys)
    return LoadedSide(*load_model(spec))
