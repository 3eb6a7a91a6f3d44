"""`hooksim layers`: what of a model could be compared."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.errors import ConfigError

if TYPE_CHECKING:
    from hooksim.cli.survey import Side

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument(
        "source",
        metavar="CONFIG|PATH",
        help="a YAML file, whose first batch is run; or the folder (or hub id) of a checkpoint, "
        "which is run on a made-up input",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one key"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(options: argparse.Namespace) -> None:
    """List the layers of models: names, kinds, shapes, rows, bytes.

    With a configuration, those that it selects are marked with `*`.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    from hooksim.cli.survey import as_data, table

    if Path(options.source).suffix in (".yaml", ".yml"):
        sides, selected = _of_config(options)
    elif options.set:
        raise ConfigError("--set changes a configuration; a checkpoint has none")
    else:
        sides, selected = _of_checkpoint(options.source), [None]
    if options.json:
        text = json.dumps({"sides": [as_data(side) for side in sides]}) + "\n"
    else:
        pairs = zip(sides, selected, strict=True)
        text = "\n".join(table(side, chosen) for side, chosen in pairs)
    sys.stdout.write(text)


def _of_config(options: argparse.Namespace) -> tuple[list["Side"], list[list[str] | None]]:
    from hooksim.cli.comparing import load_inputs
    from hooksim.cli.config import read_config
    from hooksim.cli.survey import survey_inputs

    config = read_config(options.source, options.set)
    with config.importable():
        inputs = load_inputs(config)
        with config.at():
            chosen = survey_inputs(inputs)
            everything = survey_inputs(inputs, layers="**")
    return everything, [[layer.name for layer in side.layers] for side in chosen]


def _of_checkpoint(path: str) -> list["Side"]:
    from hooksim.cli.survey import survey
    from hooksim.loading import load_model

    try:
        model, _ = load_model(path)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("path: ")) from error
    try:
        return survey([model], [_made_up_input(model)], layers=["**"], rows=["auto"])
    except Exception as error:
        raise ConfigError(
            f"{path}: {type(model).__name__} does not run on a made-up input "
            f"({type(error).__name__}); give a configuration with data instead"
        ) from error


def _made_up_input(model: Any) -> dict[str, Any]:
    """Return the model's own dummy inputs, or noise of the size that its configuration names."""
    import torch

    name, settings = getattr(model, "main_input_name", "input_ids"), model.config
    if name == "pixel_values":
        size = getattr(settings, "image_size", None) or 224
        height, width = size if isinstance(size, list | tuple) else (size, size)
        return {name: torch.zeros(2, getattr(settings, "num_channels", 3), height, width)}
    if name == "input_values":  # one second of sound
        return {name: torch.zeros(2, 16_000)}
    inputs = dict(model.dummy_inputs)
    vocabulary = getattr(settings, "vocab_size", None)
    if vocabulary and "input_ids" in inputs:
        inputs["input_ids"] = inputs["input_ids"].clamp(max=vocabulary - 1)
    return inputs
