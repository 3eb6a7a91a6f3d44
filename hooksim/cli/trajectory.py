"""`hooksim trajectory`: every checkpoint of a run, against a reference or against each other."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.cli.output import add_notes, add_run_arguments, as_numbers, output_folder
from hooksim.errors import ConfigError

if TYPE_CHECKING:
    from hooksim.cli.config import ConfigFile
    from hooksim.cli.run_inputs import RunInputs
    from hooksim.cli.trajectory_config import TrajectoryConfig
    from hooksim.results import Trajectory

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    add_run_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Compare every checkpoint of a run with a reference, or with each other.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    from hooksim.cli.run_inputs import load_run_inputs
    from hooksim.cli.trajectory_config import read_trajectory_config
    from hooksim.results.page import PAGE

    _refuse_folder(options.config)
    config = read_trajectory_config(options.config, options.set)
    out = None if options.dry_run else output_folder(config, options)
    with config.importable():
        inputs = load_run_inputs(config)
        if out is None:
            _dry_run(config, inputs, options.json)
            return
        result = _compare(config, inputs)
    result.save(out, overwrite=options.overwrite)
    _log.info("%s", "\n".join(repr(result).splitlines()[: 1 + len(result)]))  # warnings were logged
    _log.info("page: %s", out / PAGE)
    sys.stdout.write(_as_json(result, out) if options.json else f"{out}\n")


def _refuse_folder(config: str) -> None:
    """Say what there is for a folder that stands in the place of a file."""
    from hooksim.callbacks.saved_run import is_run

    folder = Path(config).expanduser()
    if not folder.is_dir():
        return
    ways = []
    if any(folder.glob("checkpoint-*/")):
        ways.append(f"a file with the line `checkpoints: {config}` compares what is in it")
    shown = [each for each in (folder, folder / "hooksim") if is_run(each)]
    if (folder / "metadata.json").is_file():
        shown.append(folder)
    ways += [f"`hooksim report {each}` makes the page of what was measured" for each in shown[:1]]
    raise ConfigError("; ".join([f"{config}: expected a YAML file, got a folder", *ways]))


def _compare(config: "ConfigFile[TrajectoryConfig]", inputs: "RunInputs") -> "Trajectory":
    from hooksim.cli.data import data_notes
    from hooksim.trajectory import compare_checkpoints

    with config.at():
        result = compare_checkpoints(
            inputs.load,
            [each.name for each in inputs.found],
            inputs.loader,
            reference=inputs.reference,
            skip_failed=config.keys.skip_failed,
            **inputs.options,
        )
    late = data_notes(inputs.loader)
    for note in late:
        _log.warning("%s", note.text)
    add_notes(result.metadata, "notes", inputs.notes)
    add_notes(result.metadata, "warnings", late)
    result.metadata["config"] = config.document
    if inputs.reference_name:
        result.metadata["reference_side"]["name"] = inputs.reference_name
    return result


def _dry_run(config: "ConfigFile[TrajectoryConfig]", inputs: "RunInputs", as_json: bool) -> None:
    """List the checkpoints, each loaded once, and what one batch of the first gives."""
    from hooksim.cli.plan import plan
    from hooksim.cli.run_survey import survey_run

    with config.at():
        found = survey_run(inputs, skip_failed=config.keys.skip_failed)
        text = plan(found.sides, found.inputs, as_json=as_json, row_bytes=found.row_bytes)
    names = [each.name for each in inputs.found]
    rows = list(zip(found.steps, names, found.reasons, strict=True))
    if as_json:
        listed = [
            {"step": step, "checkpoint": name, "skipped": reason} for step, name, reason in rows
        ]
        text = json.dumps({"checkpoints": listed, **json.loads(text)}) + "\n"
    else:
        width = max(len(str(step)) for step in found.steps)
        lines = [
            f"step {step!s:{width}}  {name if reason is None else f'left out: {reason}'}"
            for step, name, reason in rows
        ]
        loaded = found.reasons.count(None)
        which = "each" if loaded == len(rows) else f"{loaded:,} of them"
        head = f"{len(rows):,} checkpoints, {which} loaded once and complete"
        text = "\n".join([head, *lines, "", text])
    sys.stdout.write(text)


def _as_json(result: "Trajectory", out: Path) -> str:
    """Return the result as one line of JSON; undefined values are null."""
    content: dict[str, Any] = {
        "path": str(out),
        "steps": result.steps,
        "n_samples": result.n_samples,
        "matrices": {},
    }
    for key in result.keys():  # noqa: SIM118 (a Trajectory is no dict)
        stack = result[key]
        content["matrices"][key] = {
            "layers_a": stack.layers_a,
            "layers_b": stack.layers_b,
            "values": as_numbers(stack.values.tolist()),
            "stderr": as_numbers(stack.stderr.tolist()),
        }
    content["warnings"] = result.metadata.get("warnings", [])
    return json.dumps(content) + "\n"
