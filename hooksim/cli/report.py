"""`hooksim report`: write the page of a saved result."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hooksim.cli.places import check_creatable
from hooksim.errors import ConfigError

__all__ = ["add_arguments", "run"]

_ENDINGS = (".html", ".htm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument("result", metavar="RESULT", help="folder of a saved result")
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
    from hooksim.results.page import PAGE
    from hooksim.results.saved import load_saved

    folder = Path(options.result).expanduser()
    result = load_saved(folder)
    out = folder / PAGE
    if options.out is not None:
        out = Path(options.out).expanduser()
        _check_output(out, options.overwrite)
    check_creatable(out, "RESULT" if options.out is None else "--out")
    out.parent.mkdir(parents=True, exist_ok=True)
    if options.overwrite and out.is_file():
        with TemporaryDirectory(dir=out.parent, prefix=".hooksim-") as temporary:
            result.report(Path(temporary) / PAGE).replace(out)
    else:
        result.report(out)
    sys.stdout.write(f"{out}\n")


def _check_output(out: Path, overwrite: bool) -> None:
    """Refuse a name that no browser opens as a page, and a file that is there."""
    if out.is_dir():
        raise ConfigError(f"--out: {str(out)!r} is a folder; a file is needed")
    if out.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"--out: {out.name!r} has no ending of a page: {', '.join(_ENDINGS)}")
    if out.exists() and not overwrite:
        raise ConfigError(f"--out: {str(out)!r} exists; --overwrite replaces it")
