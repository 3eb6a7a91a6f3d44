"""`hooksim compare`: run a configuration and write its result."""

import argparse
import json
import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.errors import ConfigError, Note

if TYPE_CHECKING:
    from hooksim.cli.comparing import Inputs
    from hooksim.cli.config import ConfigFile
    from hooksim.results import Comparison

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument("config", metavar="CONFIG", help="YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one key"
    )
    parser.add_argument("--out", metavar="DIR", help="folder for the result, instead of `output`")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a result that stands there"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="load everything, run one batch, show what it gives"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the values on stdout instead of the path"
    )


def run(options: argparse.Namespace) -> None:
    """Compare two models as a configuration says, and write the result.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    from hooksim.cli.comparing import load_inputs
    from hooksim.cli.config import read_config

    config = read_config(options.config, options.set)
    out = None if options.dry_run else _output(config, options)
    with config.importable():
        inputs = load_inputs(config)
        if out is None:
            _dry_run(config, inputs, options.json)
            return
        result = _compare(config, inputs)
    result.save(out, overwrite=options.overwrite)
    _log.info("%s", "\n".join(repr(result).splitlines()[: len(result)]))  # warnings were logged
    sys.stdout.write(_as_json(result, out) if options.json else f"{out}\n")


def _output(config: "ConfigFile", options: argparse.Namespace) -> Path:
    """Return the folder of the result; one that may not be written is refused before any work."""
    from hooksim.cli.places import check_creatable
    from hooksim.results import check_target

    key = f"{config.path}: output" if options.out is None else "--out"
    chosen = options.out or config.keys.output
    if chosen is None:
        raise ConfigError(f"{key}: missing; give it in the file or as --out")
    out = Path(chosen).expanduser()
    try:
        check_target(out, overwrite=options.overwrite)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    check_creatable(out, key)
    return out


def _compare(config: "ConfigFile", inputs: "Inputs") -> "Comparison":
    from hooksim.cli.data import data_notes
    from hooksim.cli.naming import named
    from hooksim.comparison import compare

    with config.at():
        result = compare(inputs.side_a, inputs.side_b, inputs.loader, **inputs.options)
    late = data_notes(inputs.loader)
    for note in late:
        _log.warning("%s", note.text)
    _add_notes(result, "notes", inputs.notes)
    _add_notes(result, "warnings", late)
    result.metadata["config"] = config.document
    return named(result, config.keys.model_a, config.keys.model_b)


def _add_notes(result: "Comparison", key: str, notes: list[Note]) -> None:
    result.metadata[key] = [*result.metadata.get(key, []), *(note._asdict() for note in notes)]


def _dry_run(config: "ConfigFile", inputs: "Inputs", as_json: bool) -> None:
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
            "values": _numbers(matrix.values.tolist()),
            "stderr": _numbers(matrix.stderr.tolist()),
        }
    content["warnings"] = result.metadata.get("warnings", [])
    return json.dumps(content) + "\n"


def _numbers(rows: list[list[float]]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in rows]
