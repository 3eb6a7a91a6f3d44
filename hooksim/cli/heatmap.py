"""`hooksim heatmap`: draw a saved result."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.cli.places import check_creatable
from hooksim.cli.stored import load_stored
from hooksim.errors import ConfigError
from hooksim.loading.local import local_path
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean
from hooksim.storage import one_line, write_file

if TYPE_CHECKING:
    from hooksim.results import Comparison, Step, Trajectory

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument(
        "result",
        metavar="RESULT",
        help="folder of a saved result, or <output_dir>/hooksim of a training with a "
        "SimilarityCallback",
    )
    parser.add_argument(
        "--measure",
        metavar="M",
        help="one matrix, such as cka; a measure with two directions draws both; without it the "
        "first of each",
    )
    parser.add_argument(
        "--step",
        nargs="+",
        metavar="N",
        help="which step of a trajectory; two of them, of A and of B, where all its checkpoints "
        "are compared with each other",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="of such a training, what the model was compared with, where that was several",
    )
    parser.add_argument(
        "--out",
        metavar="F",
        help="picture to write, its kind by its ending (default: RESULT-M.png beside the result)",
    )
    parser.add_argument("--stderr", action="store_true", help="write standard errors in the cells")
    parser.add_argument("--overwrite", action="store_true", help="replace a picture that is there")


def run(options: argparse.Namespace) -> None:
    """Draw the heatmaps of a result into a picture.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    folder = local_path(options.result, "RESULT")
    out = local_path(options.out or str(_beside(folder, options)), "--out")
    _check_output(out, options.overwrite)
    result = _chosen(folder, options.step, options.reference)
    known = [*result.keys(), *result.directed()]
    if options.measure is not None and options.measure not in known:
        close = did_you_mean(options.measure, known)
        raise ConfigError(
            f"--measure: {str(folder)!r} has {listed(known)}, not {options.measure!r}{close}"
        )
    if options.measure is None:
        _say_what_is_left_out(result)
    figure, _ = result.plot(options.measure, show_stderr=options.stderr)
    with one_line(out, "the picture cannot be written"), write_file(out) as temporary:
        figure.savefig(temporary, dpi=150)
    sys.stdout.write(f"{out}\n")


def _beside(folder: Path, options: argparse.Namespace) -> Path:
    """Name a picture beside the result, by a path as relative as the result's."""
    named = [options.reference] if options.reference else []
    words = [folder.resolve().name, *named, *(options.step or []), options.measure or "heatmap"]
    name = f"{'-'.join(words)}.png".replace("/", "-")  # a step may be the path of a checkpoint
    return Path(os.path.normpath(folder / ".." / name))


def _chosen(folder: Path, steps: list[str] | None, reference: str | None) -> "Comparison":
    """Load a comparison, or take one out of a trajectory."""
    from hooksim.results import Trajectory
    from hooksim.results.drift import in_short

    result = _loaded(folder, steps, reference)
    if not isinstance(result, Trajectory):
        if steps is not None:
            raise ConfigError(f"--step: {str(folder)!r} holds one comparison, which has no steps")
        return result
    count = 2 if result.all_pairs else 1
    if len(steps or ()) != count:
        words = [str(step) for step in result.steps]
        what = "two steps, of A and of B," if result.all_pairs else "one step"
        raise ConfigError(
            f"--step: {str(folder)!r} holds a trajectory; expected {what} of "
            f"{', '.join(in_short(words))}, such as --step {' '.join(words[-count:])}"
        )
    known = {str(step): step for step in result.steps}
    try:
        return result.at(*(known.get(word, _as_step(word)) for word in steps or ()))
    except ConfigError as error:
        raise ConfigError(str(error).replace("at: ", "--step: ", 1)) from error


def _loaded(
    folder: Path, steps: list[str] | None, reference: str | None
) -> "Comparison | Trajectory":
    """Load a saved result, or what a callback has left of a training."""
    from hooksim.callbacks.saved_run import is_run, load_run

    if is_run(folder) or is_run(folder / "hooksim"):  # which is told where the run is
        try:
            return load_run(folder, reference)
        except ConfigError as error:
            told = str(error)
            if not told.startswith("reference: "):
                raise
            both = reference is None and steps is None
            also = " --step is needed, too: one of the steps of the run." if both else ""
            raise ConfigError(f"--{told}{also}") from error
    if reference is not None:
        raise ConfigError(f"--reference: {str(folder)!r} is no watched run, which has several")
    return load_stored(folder)


def _as_step(word: str) -> "Step":
    """A word of the command line as a step; one that is not there may have been skipped."""
    return int(word) if word.lstrip("-").isdecimal() else word


def _check_output(out: Path, overwrite: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    kinds = FigureCanvasAgg.get_supported_filetypes()
    if out.suffix.removeprefix(".").lower() not in kinds:
        raise ConfigError(f"--out: {out.name!r} has no ending of a picture: {', '.join(kinds)}")
    if out.is_dir():
        raise ConfigError(f"--out: {str(out)!r} is a folder; a file is needed")
    if out.exists() and not overwrite:
        raise ConfigError(f"--out: {str(out)!r} exists; --overwrite replaces it")
    check_creatable(out, "--out")


def _say_what_is_left_out(result: "Comparison") -> None:
    """Name the matrices that are not drawn together: all but the first of each kind."""
    directed = result.directed()
    in_pairs = {f"{stem}{end}" for stem in directed for end in ("_a_to_b", "_b_to_a")}
    single = [key for key in result if key not in in_pairs]
    left = [*single[1:], *directed[1:]]
    if left:
        _log.info("not drawn: %s; --measure %s draws it", listed(left), left[0])
