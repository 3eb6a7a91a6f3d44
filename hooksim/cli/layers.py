"""`hooksim layers`: what of a model could be compared."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.errors import ConfigError, HooksimError, LayerNotFoundError

if TYPE_CHECKING:
    from hooksim.cli.survey import Side

__all__ = ["add_arguments", "run"]

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
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one key"
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

    if Path(options.source).suffix in (".yaml", ".yml"):
        sides, selected, legend = _of_config(options)
    elif options.set:
        raise ConfigError("--set changes a configuration; a checkpoint has none")
    else:
        recorded = _is_recording(Path(options.source).expanduser())
        sides, selected = (_of_recording if recorded else _of_checkpoint)(options.source)
        legend = "compared where no layers are chosen"
    pairs = zip(sides, selected, strict=True)
    if options.json:
        content = {"sides": [as_data(side, chosen) for side, chosen in pairs]}
        sys.stdout.write(json.dumps(content) + "\n")
        return
    tables = [table(side, chosen) for side, chosen in pairs]
    sys.stdout.write("\n".join([*tables, f"{COLUMNS_EXPLAINED}* {legend}\n"]))


def _of_config(options: argparse.Namespace) -> tuple[list["Side"], list[list[str]], str]:
    from hooksim.cli.comparing import load_inputs
    from hooksim.cli.config import read_config
    from hooksim.cli.survey import survey_inputs

    config = read_config(options.source, options.set)
    with config.importable():
        inputs = load_inputs(config)
        with config.at():
            everything = survey_inputs(inputs, layers="**")
        try:
            with config.at():
                chosen = [side.names for side in survey_inputs(inputs)]
        except LayerNotFoundError as error:  # the listing is what helps then
            _log.warning("%s", error)
            return everything, [[], []], "marks nothing: the layers of the configuration are wrong"
    return everything, chosen, f"what `hooksim compare {config.path}` reads"


def _is_recording(folder: Path) -> bool:
    """Whether a folder holds rows; one of a checkpoint holds weights."""
    return (folder / "0.bin").is_file()


def _of_recording(path: str) -> tuple[list["Side"], list[list[str]]]:
    from hooksim.cli.survey import survey
    from hooksim.recording import Recording, recorded_batches

    recording = Recording.load(path)
    sides = survey(
        [recording], recorded_batches([recording], batch=False), layers=[None], rows=["auto"]
    )
    return sides, [recording.layers]


def _of_checkpoint(path: str) -> tuple[list["Side"], list[list[str]]]:
    from hooksim.cli.made_up import made_up_inputs
    from hooksim.cli.survey import survey
    from hooksim.loading import load_model
    from hooksim.loading.checkpoint import transformers_messages_off

    try:
        model, _ = load_model(path)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("path: ")) from error
    with transformers_messages_off():
        try:
            batches = [made_up_inputs(model)]
            everything = survey([model], batches, layers=["**"], rows=["auto"])
            default = survey([model], batches, layers=[None], rows=["auto"])
        except HooksimError as error:
            raise ConfigError(f"{path}: {error}") from error
    return everything, [side.names for side in default]
