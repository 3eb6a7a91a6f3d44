"""`hooksim compare`: run a configuration and write its result."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.cli.output import add_notes, add_run_arguments, as_numbers, output_folder

if TYPE_CHECKING:
    from hooksim.cli.comparing import Inputs
    from hooksim.cli.config import Config, ConfigFile
    from hooksim.results import Comparison

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    add_run_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Compare two models as a configuration says, and write the result.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    from hooksim.cli.comparing import load_inputs
    from hooksim.cli.config import read_config
    from hooksim.cli.summary import summary
    from hooksim.results.page import PAGE

    config = read_config(options.config, options.set)
    out = None if options.dry_run else output_folder(config, options)
    with config.importable():
        inputs = load_inputs(config)
        if out is None:
            _dry_run(config, inputs, options.json)
            return
        result = _compare(config, inputs)
    result.save(out, overwrite=options.overwrite)
    _log.info("%s", summary(result))
    _log.info("page: %s", out / PAGE)
    sys.stdout.write(_as_json(result, out) if options.json else f"{out}\n")


def _compare(config: "ConfigFile[Config]", inputs: "Inputs") -> "Comparison":
    from hooksim.cli.data import data_notes
    from hooksim.cli.naming import named
    from hooksim.comparison import compare

    with config.at():
        result = compare(inputs.side_a, inputs.side_b, inputs.loader, **inputs.options)
    late = data_notes(inputs.loader)
    for note in late:
        _log.warning("%s", note.text)
    add_notes(result.metadata, "notes", inputs.notes)
    add_notes(result.metadata, "warnings", late)
    result.metadata["config"] = config.document
    return named(result, config.keys.model_a, config.keys.model_b)


def _dry_run(config: "ConfigFile[Config]", inputs: "Inputs", as_json: bool) -> None:
    from hooksim.cli.plan import plan
    from hooksim.cli.survey import survey_inputs

    with config.at():
        sides = survey_inputs(inputs)
        text = plan(sides, inputs, as_json=as_json)
    sys.stdout.write(text)


def _as_json(result: "Comparison", out: Path) -> str:
    """Return the result as one line of JSON; undefined values are null."""
    content: dict[str, Any] = {"path": str(out), "n_samples": result.n_samples, "matrices": {}}
    for key in result.keys():  # noqa: SIM118 (a Comparison is no dict)
        matrix = result[key]
        content["matrices"][key] = {
            "layers_a": matrix.layers_a,
            "layers_b": matrix.layers_b,
            "values": as_numbers(matrix.values.tolist()),
            "stderr": as_numbers(matrix.stderr.tolist()),
        }
    content["warnings"] = result.metadata.get("warnings", [])
    return json.dumps(content) + "\n"
