"""What `compare` and `layers` share: the sides and the loader that a configuration describes."""

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from hooksim.cli.config import Config, ConfigFile
from hooksim.cli.data import build_data
from hooksim.cli.recorded import check_side, is_recorded, load_side
from hooksim.errors import Note
from hooksim.loading import import_factory
from hooksim.recording import Recording, recorded_batches

__all__ = ["Inputs", "load_inputs"]

_log = logging.getLogger("hooksim.cli")


class Inputs(NamedTuple):
    """Everything that a configuration names, loaded.

    Attributes:
        side_a: Model A, or its recording.
        side_b: Model B, or its recording; the very same object where both specs are equal, which
            then is read once.
        loader: The batches; None where both sides are recorded.
        options: The other arguments of `hooksim.compare` that the file sets.
        notes: What loading found worth saying.
    """

    side_a: nn.Module | Recording
    side_b: nn.Module | Recording
    loader: Iterable[Any] | None
    options: dict[str, Any]
    notes: list[Note]

    def batches(self) -> Iterable[Any]:
        """Return the loader, or what stands for it where both sides are recorded."""
        if self.loader is not None:
            return self.loader
        recordings = [side for side in self[:2] if isinstance(side, Recording)]
        by_batch = self.options.get("block_size") == "batch"
        most = self.options.get("max_samples")
        return recorded_batches(recordings, batch=by_batch, max_samples=most)


def load_inputs(config: ConfigFile[Config]) -> Inputs:
    """Load sides and data; factories must be importable.

    Args:
        config: A checked configuration.

    Returns:
        Sides, models in evaluation mode; loader; options.

    Raises:
        ConfigError: A file or factory is not there: `file: key.path: what is wrong`.
        MissingWeightsError: A checkpoint lacks weights.
    """
    keys, options = config.keys, config.compare_options()
    if options.get("forward") is not None:
        with config.at("forward"):
            options["forward"] = import_factory(options["forward"])
    for key, spec in (("model_a", keys.model_a), ("model_b", keys.model_b)):
        with config.at(key):
            check_side(spec)
    loader = _loader(config)  # before the models: it is the quicker one to be wrong
    with config.at("model_a"):
        side_a, notes = load_side(keys.model_a)
    found = [Note(note.code, f"model A: {note.text}") for note in notes]
    side_b = side_a
    if keys.model_b != keys.model_a:
        with config.at("model_b"):
            side_b, notes = load_side(keys.model_b)
        found += [Note(note.code, f"model B: {note.text}") for note in notes]
    for note in found:
        _log.info("%s", note.text)
    return Inputs(side_a, side_b, loader, options, found)


def _loader(config: ConfigFile[Config]) -> Iterable[Any] | None:
    """The batches; those that depend on the models do so on the live ones."""
    keys = config.keys
    if keys.data is None:
        return None
    live = [spec for spec in (keys.model_a, keys.model_b) if not is_recorded(spec)]
    with config.at("data"):
        return build_data(keys.data, (live[0], live[-1]))
