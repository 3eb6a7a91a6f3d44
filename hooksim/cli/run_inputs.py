"""What the configuration of a trajectory describes: checkpoints, a reference, a loader."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hooksim.cli.checkpoints import Found, find_checkpoints
from hooksim.cli.config import ConfigFile
from hooksim.cli.data import build_data
from hooksim.cli.naming import short_names
from hooksim.cli.recorded import check_side, is_recorded, load_side
from hooksim.cli.trajectory_config import TrajectoryConfig
from hooksim.errors import ConfigError, Note
from hooksim.loading import import_factory
from hooksim.sides import Side

__all__ = ["RunInputs", "load_run_inputs"]

_log = logging.getLogger("hooksim.cli")


@dataclass(frozen=True)
class RunInputs:
    """Everything that the configuration of a trajectory names; checkpoints are loaded one by one.

    Attributes:
        found: The checkpoints.
        reference: A word, or a loaded side.
        reference_spec: Of a reference that is loaded; a checkpoint of the same is the same side.
        reference_name: What pictures call a reference that is no checkpoint of the run.
        loader: The batches; None where all sides are recorded.
        options: The arguments of `hooksim.compare` that the file sets.
        notes: What loading found worth saying so far.
    """

    found: list[Found]
    reference: Any
    reference_spec: Mapping[str, Any] | None
    reference_name: str
    loader: Iterable[Any] | None
    options: dict[str, Any]
    notes: list[Note] = field(default_factory=list)

    def load(self, name: str) -> Side:
        """Load a checkpoint.

        Args:
            name: Its name.

        Returns:
            A model in evaluation mode, or a recording.
        """
        [spec] = [each.spec for each in self.found if each.name == name]
        if self.reference_spec is not None and _resolved(spec) == _resolved(self.reference_spec):
            reference: Side = self.reference
            return reference  # the same object is read once
        return self.take(name, spec)

    def take(self, name: str, spec: Mapping[str, Any]) -> Side:
        """Load any side, and say what is worth saying of it.

        Args:
            name: What it is called.
            spec: Its spec.

        Returns:
            A model in evaluation mode, or a recording.
        """
        side, notes = load_side(spec)
        for note in notes:
            said = Note(note.code, f"{name}: {note.text}")
            _log.info("%s", said.text)
            self.notes.append(said)
        return side


def load_run_inputs(config: ConfigFile[TrajectoryConfig]) -> RunInputs:
    """Find the checkpoints and load the rest; factories must be importable.

    Args:
        config: A checked configuration.

    Returns:
        The checkpoints found, the reference, the loader, the options.

    Raises:
        ConfigError: A file or factory is not there: `file: key.path: what is wrong`.
        MissingWeightsError: The reference lacks weights.
    """
    keys, options = config.keys, config.compare_options()
    if options.get("forward") is not None:
        with config.at("forward"):
            options["forward"] = import_factory(options["forward"])
    if isinstance(keys.reference, Mapping):
        with config.at("reference"):
            _check_reference(keys.reference, written=config.document["reference"])
    with config.at("checkpoints"):
        if "factory" in keys.checkpoints:
            import_factory(keys.checkpoints["factory"])
        found = find_checkpoints(keys.checkpoints)
    loader = _loader(config, found)
    inputs = RunInputs(found, keys.reference, None, "", loader, options)
    if isinstance(keys.reference, str):
        return inputs
    with config.at("reference"):
        side = inputs.take("reference", keys.reference)
    # The longest tells it apart from each of them: seed-1/checkpoint-300 from checkpoint-300.
    name = max((short_names(keys.reference, each.spec)[0] for each in found), key=len)
    return replace(inputs, reference=side, reference_spec=keys.reference, reference_name=name)


def _check_reference(spec: Mapping[str, Any], *, written: Any) -> None:
    """Refuse a reference that is not there; what is written as a word may be meant as one."""
    try:
        check_side(spec)
    except ConfigError as error:
        if not isinstance(written, str):
            raise
        raise ConfigError(f"{error}; other choices are first, last and all") from error


def _resolved(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with one path in the place of a folder, a folder in it and `..`."""
    keys = {key: value for key, value in spec.items() if value is not None}
    for key in ("path", "weights"):
        if key in keys:
            place = Path(keys[key], keys.pop("subfolder", None) or "").expanduser()
            keys[key] = place.resolve() if place.exists() else place
    return keys


def _loader(config: ConfigFile[TrajectoryConfig], found: list[Found]) -> Iterable[Any] | None:
    """The batches; those that depend on the models do so on the live ones."""
    keys = config.keys
    if keys.data is None:
        return None
    reference = found[0].spec if isinstance(keys.reference, str) else keys.reference
    live = [spec for spec in (reference, found[0].spec) if not is_recorded(spec)]
    with config.at("data"):
        return build_data(keys.data, (live[0], live[-1]))
