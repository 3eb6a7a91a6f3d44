"""Loaders from a spec: batches in a stable order, every sample with an id.

A kind of data is a function: its keyword arguments are the keys of the config, and the specs of the
two models come first. Messages about a key start with `key: `.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hooksim.cli.arrays import npz_batches
from hooksim.cli.batching import ModelSpecs
from hooksim.cli.digits import digits_batches
from hooksim.cli.images import image_batches
from hooksim.cli.text import text_batches
from hooksim.errors import ConfigError, Note
from hooksim.loading import call_factory

__all__ = ["DATA_KINDS", "build_data", "data_notes", "python_data"]


def python_data(
    _models: ModelSpecs, /, *, factory: str, kwargs: dict[str, Any] | None = None
) -> Iterable[Any]:
    """Call a function for the loader.

    Args:
        factory: `package.module:function`; it returns an iterable of batches.
        kwargs: Its arguments.

    Returns:
        What the function returned.

    Raises:
        ConfigError: No such function, or what it returned cannot be iterated.
    """
    loader = call_factory(factory, kwargs)
    if not isinstance(loader, Iterable):
        got = type(loader).__name__
        raise ConfigError(f"factory: {factory!r} returned {got}, expected an iterable of batches")
    return loader


DATA_KINDS: dict[str, Callable[..., Iterable[Any]]] = {
    "digits": digits_batches,
    "text": text_batches,
    "images": image_batches,
    "npz": npz_batches,
    "python": python_data,
}
"""One entry a kind of data."""


def build_data(spec: Mapping[str, Any], models: ModelSpecs) -> Iterable[Any]:
    """Make the loader that a checked spec describes.

    Args:
        spec: `kind` and the keys of that kind.
        models: The specs of the two models.

    Returns:
        Batches: mappings with `sample_ids`, or `PairedBatch` with `ids`.

    Raises:
        ConfigError: A file, field or factory that is not there; the message starts with its key.
    """
    keys = dict(spec)
    return DATA_KINDS[keys.pop("kind")](models, **keys)


def data_notes(loader: Iterable[Any] | None) -> list[Note]:
    """Return what a loader of ours has to say after it was read, such as texts cut short.

    Args:
        loader: Any loader; others have nothing to say, nor has None.

    Returns:
        Notes for the log and the metadata.
    """
    notes = getattr(loader, "notes", None)
    return [note for note in notes() if isinstance(note, Note)] if callable(notes) else []
