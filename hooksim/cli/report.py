"""`hooksim report`: write the page of a saved result, of several, or of a watched run."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.cli.places import check_creatable
from hooksim.cli.stored import load_stored, results_inside
from hooksim.errors import ConfigError
from hooksim.loading.local import local_path
from hooksim.loading.wording import listed
from hooksim.storage import write_file

if TYPE_CHECKING:
    from hooksim.results import Comparison, Trajectory

__all__ = ["add_arguments", "run"]

_DESCRIPTION = "metadata.json"
_ENDINGS = (".html", ".htm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument(
        "result",
        metavar="RESULT",
        help="folder of a saved result; of several results, each of which gets its page; or "
        "<output_dir>/hooksim of a training with a SimilarityCallback",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="of such a training, what the model was compared with (default: each has its page)",
    )
    parser.add_argument(
        "--out", metavar="F", help="page to write (default: report.html in the result's folder)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(options: argparse.Namespace) -> None:
    """Write the page of a result: one file that any browser shows, offline.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    folder = local_path(options.result, "RESULT")
    pages = _pages(folder, options.reference)
    if options.out is not None:
        out = local_path(options.out, "--out")
        _check_output(out, options.overwrite)
        if len(pages) > 1:
            raise ConfigError(
                f"--out: names one page, and {str(folder)!r} makes {len(pages)}: "
                f"{listed(map(str, pages))}"
            )
        pages = {out: next(iter(pages.values()))}
    for page, result in pages.items():
        check_creatable(page, "RESULT" if options.out is None else "--out")
        _write(result, page, options.overwrite)
        sys.stdout.write(f"{page}\n")


def _pages(folder: Path, reference: str | None) -> "dict[Path, Comparison | Trajectory]":
    """Read what the pages of a folder show, by where these go."""
    from hooksim.callbacks.saved_run import is_run, load_each_reference, load_run
    from hooksim.results.page import PAGE

    if is_run(folder) or is_run(folder / "hooksim"):  # which is told where the run is
        runs = load_each_reference(folder)
        names = {name: f"report-{name}.html" if len(runs) > 1 else PAGE for name in runs}
        if reference is not None:
            runs = {reference: load_run(folder, reference)}
        return {folder / names[name]: run for name, run in runs.items()}
    if reference is not None:
        raise ConfigError(f"--reference: {str(folder)!r} is no watched run, which has several")
    inner = results_inside(folder)
    if not (folder / _DESCRIPTION).is_file() and inner:
        return {each / PAGE: load_stored(each) for each in inner}
    return {folder / PAGE: load_stored(folder)}


def _write(result: "Comparison | Trajectory", page: Path, overwrite: bool) -> None:
    if overwrite and page.is_file():
        with write_file(page) as temporary:
            result.report(temporary)
    else:
        result.report(page)


def _check_output(out: Path, overwrite: bool) -> None:
    """Refuse a name that no browser opens as a page, and a file that is there."""
    if out.is_dir():
        raise ConfigError(f"--out: {str(out)!r} is a folder; a file is needed")
    if out.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"--out: {out.name!r} has no ending of a page: {', '.join(_ENDINGS)}")
    if out.exists() and not overwrite:
        raise ConfigError(f"--out: {str(out)!r} exists; --overwrite replaces it")
