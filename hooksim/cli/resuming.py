"""Where the result of a run goes, what of it is there already, and how it gets to its place."""

import argparse
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hooksim.cli.output import chosen_folder, output_folder, output_key
from hooksim.errors import ConfigError

if TYPE_CHECKING:
    from hooksim.cli.config import ConfigFile
    from hooksim.results import Comparison

__all__ = ["Plan", "add_resume_arguments", "comparable", "plan_run", "put_result"]

_log = logging.getLogger("hooksim.cli")

_EVERY = 120.0  # seconds
_NO_MATTER = ("output", "progress")  # keys that change nothing in the matrices
_RESULT = "result"  # the name of a result on the way to its place
_LONGEST = 200  # bytes of a folder's name that fit into a longer one


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        out: The folder of the result.
        is_done: It holds the result already.
        resumes: A state is there to go on from.
        replaces: A result that stands there is replaced.
    """

    out: Path
    is_done: bool = False
    resumes: bool = False
    replaces: bool = False


def add_resume_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a run that can be gone on with.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was interrupted, or begin where nothing was saved",
    )
    parser.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=_seconds,
        default=_EVERY,
        help="how often the run is saved into the folder of the result (default: %(default).0f)",
    )


def plan_run(config: "ConfigFile[Any]", options: argparse.Namespace, size: int) -> Plan:
    """Find out what is to be done; what may not be done is refused before any work.

    Args:
        config: The configuration.
        options: The parsed arguments.
        size: Number of processes.

    Returns:
        The plan.

    Raises:
        ConfigError: Something stands there that may not be replaced or gone on with.
    """
    from hooksim.comparison.keeper import check_settings
    from hooksim.comparison.unfinished import Unfinished

    if options.resume and options.overwrite:
        raise ConfigError("--resume: not together with --overwrite, which begins anew")
    out, key = chosen_folder(config, options), output_key(config, options)
    place = Unfinished(out)
    _sweep(out)
    place.refuse_if_busy()
    if place.is_there and options.resume:
        about = check_settings(place, comparable(config.document), size)
        _log.info("%s: goes on after %s samples", out, f"{about['n_samples']:,}")
        return Plan(out, resumes=True, replaces=bool(about["extra"].get("replaces")))
    if place.is_there and not options.overwrite:
        raise ConfigError(
            f"{key}: '{out}' holds a run that is not finished. Give --resume to go on with it, or "
            "--overwrite to begin anew"
        )
    if options.resume and (out / "metadata.json").is_file():
        _check_result(out, key, config.document)
        return Plan(out, is_done=True)
    if options.resume:
        _log.info("%s: nothing was saved there, so the run starts from the beginning", out)
    if not place.folder.is_dir() or any(each != place.folder for each in out.iterdir()):
        output_folder(config, options)
    return Plan(out, replaces=options.overwrite)


def comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration must be the same where a run is gone on with.

    Args:
        document: All of it.

    Returns:
        Plain data, as JSON gives it back.

    Example:
        >>> comparable({"output": "runs/a", "max_samples": 7})
        {'max_samples': 7}
    """
    kept = {name: value for name, value in document.items() if name not in _NO_MATTER}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return plain


def put_result(plan: Plan, result: "Comparison") -> None:
    """Put a result in its place, where the state of the run was; both are never there in part.

    Args:
        plan: Of the run.
        result: Its result.

    Raises:
        ConfigError: Somebody has put something else there.
        HooksimError: It cannot be written.
    """
    from hooksim.comparison.unfinished import Unfinished
    from hooksim.results import check_target
    from hooksim.storage import one_line, replace_folder

    out = plan.out.resolve()  # of a link, what it leads to
    place = Unfinished(out)
    staged = result.save(place.folder / _RESULT, overwrite=True)
    if any(each != place.folder for each in out.iterdir()):
        check_target(plan.out, overwrite=plan.replaces)
    remains = _remains(out)
    with one_line(plan.out, "the result cannot be written"):
        staged.rename(remains)
        replace_folder(remains, out)
    shutil.rmtree(remains, ignore_errors=True)


def _remains(out: Path) -> Path:
    """Under which name a result is put in its place, and what was there is removed.

    Always the same, so that what a killed process has left can be found.
    """
    out = out.resolve()
    name, content = out.name, os.fsencode(out.name)
    if len(content) > _LONGEST:
        name = hashlib.sha256(content).hexdigest()
    return out.parent / f".hooksim-{name}.tmp"


def _sweep(out: Path) -> None:
    """Remove what a process that was killed at its end has left."""
    from hooksim.comparison.unfinished import Unfinished

    remains = _remains(out)
    if remains.is_dir() and not Unfinished(out).is_busy and not Unfinished(remains).is_busy:
        shutil.rmtree(remains, ignore_errors=True)


def _check_result(out: Path, key: str, document: Mapping[str, Any]) -> None:
    """Check that a complete result is what is asked for."""
    from hooksim.comparison.identity import first_difference
    from hooksim.results import Comparison

    found = Comparison.load(out).metadata.get("config")
    difference = first_difference(comparable(found or {}), comparable(document))
    if difference is not None:
        path, there, now = difference
        raise ConfigError(
            f"{key}: '{out}' holds the result of another configuration: {path} is {there!r} there "
            f"and {now!r} now. Choose another folder, or give --overwrite to replace it"
        )


def _seconds(text: str) -> float:
    """Read a time."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, from 0, got {text!r}")
    return value
