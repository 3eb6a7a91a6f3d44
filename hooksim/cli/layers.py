"""`hooksim layers`: what of a model could be compared."""

import argparse
import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hooksim.errors import ConfigError, LayerNotFoundError, MissingWeightsError
from hooksim.loading.local import local_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from hooksim.cli.config import ConfigFile
    from hooksim.cli.survey import Side

__all__ = ["add_arguments", "run"]

_Listing: TypeAlias = "tuple[list[Side], list[list[str]], str]"
"""Sides, the names of the layers that are selected of each, and what these are."""

_DEFAULT = "compared where no layers are chosen"

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument(
        "source",
        metavar="CONFIG|PATH",
        help="a YAML file, whose first batch is run; the folder (or hub id) of a checkpoint, which "
        "is run on a made-up input; or the folder of a recording",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY.PATH=VALUE",
        help="change one key; for a checkpoint rows, layers_a or those of model_a",
    )
    parser.add_argument(
        "--selected", action="store_true", help="list only the layers that are compared"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(options: argparse.Namespace) -> None:
    """List the layers of models: names, kinds, shapes, rows, bytes.

    Those that a configuration selects, or that are compared without one, are marked with `*`.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    from hooksim.cli.listing import COLUMNS_EXPLAINED, as_data, table
    from hooksim.cli.recorded import is_recording

    if Path(options.source).suffix in (".yaml", ".yml"):
        sides, selected, legend = _of_config(options)
    elif is_recording(local_path(options.source, "CONFIG|PATH")):
        if options.set:
            raise ConfigError("--set changes a configuration; a recording has none")
        sides, selected, legend = _of_recording(options.source)
    else:
        sides, selected, legend = _of_checkpoint(options)
    pairs = zip(sides, selected, strict=True)
    if options.json:
        content = {"sides": [as_data(side, chosen) for side, chosen in pairs]}
        sys.stdout.write(json.dumps(content) + "\n")
        return
    tables = [table(side, None if options.selected else chosen) for side, chosen in pairs]
    legend = f"listed: {legend}" if options.selected else f"* {legend}"
    sys.stdout.write("\n".join([*tables, f"{COLUMNS_EXPLAINED}{legend}\n"]))


def _of_config(options: argparse.Namespace) -> _Listing:
    from hooksim.cli.comparing import load_inputs
    from hooksim.cli.config import read_config
    from hooksim.cli.survey import survey_inputs

    config = read_config(options.source, options.set)
    with config.importable():
        inputs = load_inputs(config)
        legend = f"what `hooksim compare {config.path}` reads"
        return _listing(config, partial(survey_inputs, inputs), legend, options.selected)


def _listing(
    config: "ConfigFile[Any]",
    look: "Callable[..., list[Side]]",
    legend: str,
    selected_only: bool,
) -> _Listing:
    """Survey what is selected, and all the rest unless only that is wanted."""
    everything = []
    if not selected_only:
        with config.at():
            everything = look(layers="**")
    try:
        with config.at():
            chosen = look()
    except LayerNotFoundError as error:  # the listing is what helps then
        if selected_only:
            raise
        _log.warning("%s", error)
        nothing: list[list[str]] = [[] for _ in everything]
        return everything, nothing, "marks nothing: what is selected is not there, or gives no rows"
    return everything or chosen, [side.names for side in chosen], legend


def _of_recording(path: str) -> _Listing:
    from hooksim.cli.survey import survey
    from hooksim.recording import Recording, recorded_batches

    recording = Recording.load(path)
    sides = survey(
        [recording], recorded_batches([recording], batch=False), layers=[None], rows=["auto"]
    )
    return sides, [recording.layers], _DEFAULT


def _of_checkpoint(options: argparse.Namespace) -> _Listing:
    from hooksim.cli.bare import read_bare
    from hooksim.cli.made_up import made_up_inputs
    from hooksim.cli.recorded import check_side
    from hooksim.cli.survey import survey
    from hooksim.loading import load_model
    from hooksim.loading.checkpoint import transformers_messages_off

    config = read_bare(options.source, options.set)
    keys = config.keys
    try:
        check_side(keys.model_a)
        model, _ = load_model(keys.model_a)
    except (ConfigError, MissingWeightsError) as error:
        raise type(error)(str(error).removeprefix("path: ")) from error
    with transformers_messages_off():
        with config.at():
            batches = [made_up_inputs(model)]

        def look(layers: Any = keys.layers_a) -> "list[Side]":
            return survey([model], batches, layers=[layers], rows=keys.rows or ["auto"])

        legend = "chosen by layers_a" if keys.layers_a else _DEFAULT
        return _listing(config, look, legend, options.selected)
