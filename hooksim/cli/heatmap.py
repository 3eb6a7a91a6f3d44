"""`hooksim heatmap`: draw a saved result."""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.cli.places import check_creatable
from hooksim.errors import ConfigError
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean

if TYPE_CHECKING:
    from hooksim.results import Comparison

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument("result", metavar="RESULT", help="folder that `hooksim compare` wrote")
    parser.add_argument(
        "--measure",
        metavar="M",
        help="one matrix, such as cka; a measure with two directions draws both; without it the "
        "first of each",
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
    from hooksim.results import Comparison

    folder = Path(options.result).expanduser()
    name = f"{folder.resolve().name}-{options.measure or 'heatmap'}.png"
    out = Path(options.out).expanduser() if options.out else folder.resolve().parent / name
    _check_output(out, options.overwrite)
    result = Comparison.load(folder)
    known = [*result.keys(), *result.directed()]
    if options.measure is not None and options.measure not in known:
        close = did_you_mean(options.measure, known)
        raise ConfigError(
            f"--measure: {str(folder)!r} has {listed(known)}, not {options.measure!r}{close}"
        )
    if options.measure is None:
        _say_what_is_left_out(result)
    figure, _ = result.plot(options.measure, show_stderr=options.stderr)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    sys.stdout.write(f"{out}\n")


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
