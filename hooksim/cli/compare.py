"""`hooksim compare`: run a configuration and write its result."""

import argparse
import json
import logging
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.cli.interrupts import held_back
from hooksim.cli.output import add_notes, add_run_arguments, as_numbers
from hooksim.cli.resuming import Plan, add_resume_arguments, comparable, plan_run, put_result
from hooksim.cli.together import by_the_first, is_first, together

if TYPE_CHECKING:
    from hooksim.cli.comparing import Inputs
    from hooksim.cli.config import Config, ConfigFile
    from hooksim.comparison.keeper import Keeper
    from hooksim.distributed import Processes
    from hooksim.results import Comparison

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    add_run_arguments(parser)
    add_resume_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Compare two models as a configuration says, and write the result.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    from hooksim.cli.config import read_config

    if options.dry_run:
        if is_first():
            _dry_run(read_config(options.config, options.set), options.json)
        return
    with together() as processes:
        config = read_config(options.config, options.set)
        size = 1 if processes is None else processes.size
        plan = by_the_first(processes, partial(plan_run, config, options, size))
        result = None if plan.is_done else _made(config, options, plan, processes)
    if is_first():
        _tell(plan, result, options.json)


def _made(
    config: "ConfigFile[Config]",
    options: argparse.Namespace,
    plan: Plan,
    processes: "Processes | None",
) -> "Comparison":
    """Make the run, saved while it goes on, and put its result in its place."""
    from hooksim.cli.comparing import load_inputs
    from hooksim.comparison.keeper import Keeper
    from hooksim.comparison.unfinished import Unfinished

    place = Unfinished(plan.out)
    try:
        with place.held() if is_first() else nullcontext(), config.importable():
            if not plan.resumes and is_first():
                place.clear()
            keeper = Keeper(
                place,
                comparable(config.document),
                every=options.checkpoint_every,
                resume=plan.resumes,
                extra={"replaces": plan.replaces},
                whole=held_back,
                processes=processes,
            )
            result = _compare(config, load_inputs(config), keeper, processes)
            with held_back():
                by_the_first(processes, partial(put_result, plan, result))
    except BaseException:
        if is_first() and place.is_there:
            _log.info("%s: the run is kept there; --resume goes on with it", plan.out)
        raise
    return result


def _compare(
    config: "ConfigFile[Config]",
    inputs: "Inputs",
    keeper: "Keeper",
    processes: "Processes | None",
) -> "Comparison":
    from hooksim.cli.data import data_notes
    from hooksim.cli.naming import named
    from hooksim.comparison import compare_two

    sides = inputs.side_a, inputs.side_b
    with config.at():
        result = compare_two(
            *sides, inputs.loader, inputs.options, processes=processes, keeper=keeper
        )
    late = data_notes(inputs.loader)
    if is_first():
        for note in late:
            _log.warning("%s", note.text)
    add_notes(result.metadata, "notes", inputs.notes)
    add_notes(result.metadata, "warnings", late)
    result.metadata["config"] = config.document
    return named(result, config.keys.model_a, config.keys.model_b)


def _tell(plan: Plan, result: "Comparison | None", as_json: bool) -> None:
    """Say what came out, or that it was there already."""
    from hooksim.cli.summary import summary
    from hooksim.results import Comparison
    from hooksim.results.page import PAGE

    if result is None:
        _log.info("%s: the result is complete already, nothing is left to do", plan.out)
        result = Comparison.load(plan.out)
    _log.info("%s", summary(result))
    _log.info("page: %s", plan.out / PAGE)
    sys.stdout.write(_as_json(result, plan.out) if as_json else f"{plan.out}\n")


def _dry_run(config: "ConfigFile[Config]", as_json: bool) -> None:
    from hooksim.cli.comparing import load_inputs
    from hooksim.cli.plan import plan
    from hooksim.cli.survey import survey_inputs

    with config.importable(), config.at():
        inputs = load_inputs(config)
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
