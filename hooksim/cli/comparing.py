"""What `compare` and `layers` share: the models and the loader that a configuration describes."""

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from hooksim.cli.config import ConfigFile
from hooksim.cli.data import build_data
from hooksim.errors import Note
from hooksim.loading import import_factory, load_model

__all__ = ["Inputs", "load_inputs"]

_log = logging.getLogger("hooksim.cli")


class Inputs(NamedTuple):
    """Everything that a configuration names, loaded.

    Attributes:
        model_a: Model A.
        model_b: Model B; the very same module where both specs are equal, which then runs once.
        loader: The batches.
        options: The other arguments of `hooksim.compare` that the file sets.
        notes: What loading found worth saying.
    """

    model_a: nn.Module
    model_b: nn.Module
    loader: Iterable[Any]
    options: dict[str, Any]
    notes: list[Note]


def load_inputs(config: ConfigFile) -> Inputs:
    """Load models and data; factories must be importable.

    Args:
        config: A checked configuration.

    Returns:
        Models in evaluation mode, loader, options.

    Raises:
        ConfigError: A file or factory is not there: `file: key.path: what is wrong`.
        MissingWeightsError: A checkpoint lacks weights.
    """
    keys, options = config.keys, config.compare_options()
    if options.get("forward") is not None:
        with config.at("forward"):
            options["forward"] = import_factory(options["forward"])
    for key, spec in (("model_a", keys.model_a), ("model_b", keys.model_b)):
        if "factory" in spec:
            with config.at(key):
                import_factory(spec["factory"])
    with config.at("data"):  # before the models: it is the quicker one to be wrong
        loader = build_data(keys.data, (keys.model_a, keys.model_b))
    with config.at("model_a"):
        model_a, notes = load_model(keys.model_a)
    found = [Note(note.code, f"model A: {note.text}") for note in notes]
    model_b = model_a
    if keys.model_b != keys.model_a:
        with config.at("model_b"):
            model_b, notes = load_model(keys.model_b)
        found += [Note(note.code, f"model B: {note.text}") for note in notes]
    for note in found:
        _log.info("%s", note.text)
    return Inputs(model_a, model_b, loader, options, found)
