"""The command: subcommands, one line for every error, and exit codes.

Nothing heavy is imported before a subcommand runs, so that `--help` answers at once.
"""

import argparse
import logging
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType
from typing import Any, NoReturn

from hooksim.cli import compare, demo, heatmap, layers, report, trajectory
from hooksim.cli.together import is_first, is_told, launched_processes
from hooksim.cli.yaml_wording import in_yaml
from hooksim.errors import ConfigError, HooksimError, LayerNotFoundError
from hooksim.loading.wording import first_line
from hooksim.spelling import did_you_mean

__all__ = ["main"]

_DONE, _FAILED, _WRONG_USAGE, _INTERRUPTED, _TERMINATED = 0, 1, 2, 130, 143
# Of `hooksim.compare`, in notes.
_ARGUMENTS = ("rows", "layers_a", "layers_b", "block_size", "stop_early", "max_samples", "device")
_SUBCOMMANDS = (demo, compare, trajectory, layers, heatmap, report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; None for those of the process.

    Returns:
        0 done, 2 wrong usage or configuration, 130 for Ctrl-C, 143 for SIGTERM, 1 for any other
        failure. Errors are one line on stderr; with `-v` their traceback comes first.
    """
    try:
        options, left = _parser().parse_known_args(arguments)
        if left:
            options.parser.error(_unrecognized(left, options))
    except SystemExit as stop:  # argparse ends the process for --help and for wrong usage
        return int(stop.code or _DONE)
    with _log_to_stderr(options.verbose), _terminable():
        try:
            _check_launch(options)
            options.run(options)
        except (ConfigError, LayerNotFoundError) as error:
            return _report(error, str(error), _WRONG_USAGE, options.verbose)
        except HooksimError as error:
            return _report(error, f"{type(error).__name__}: {error}", _FAILED, options.verbose)
        except KeyboardInterrupt as error:
            return _report(error, "interrupted", _INTERRUPTED, options.verbose)
        except _TerminatedError as error:
            return _report(error, _terminated(), _TERMINATED, options.verbose)
        except Exception as error:
            line = f"{_unexpected(error)} (-v shows where)"
            return _report(error, line, _FAILED, options.verbose)
    return _DONE


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, without the usage."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if choice:
            message += did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2])).rstrip("?")
        self.exit(_WRONG_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


class _TerminatedError(BaseException):
    """SIGTERM came: raised where the program stands, so that files and hooks are put away."""


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hooksim",
        description="Compare two PyTorch models layer by layer.",
        epilog="Results' paths go to stdout, the log to stderr.",
    )
    parser.add_argument("--version", action="version", version=f"hooksim {version('hooksim')}")
    logs_more = "log more, and show tracebacks of errors"
    verbose: dict[str, Any] = {"action": "store_true", "help": logs_more}
    parser.add_argument("-v", "--verbose", **verbose)
    common = _Parser(add_help=False)  # without a default, which would undo a -v before the command
    common.add_argument("-v", "--verbose", default=argparse.SUPPRESS, **verbose)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _SUBCOMMANDS:
        name = module.__name__.rpartition(".")[2]
        summary = (module.run.__doc__ or "").partition("\n")[0]
        subparser = subcommands.add_parser(
            name, parents=[common], help=summary, description=summary
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run, parser=subparser)
    return parser


def _unrecognized(left: Sequence[str], options: argparse.Namespace) -> str:
    """Word the arguments that a command does not take, and what may have been meant."""
    changes = getattr(options, "set", [])
    cut = any(len(re.findall(r"[\[{]", each)) > len(re.findall(r"[\]}]", each)) for each in changes)
    known = re.findall(r"--[a-z-]+", options.parser.format_usage())
    close = did_you_mean(left[0], known).rstrip("?")
    if cut:
        close = "; a change with blanks needs quotes: --set 'KEY.PATH=VALUE'"
    elif changes and "=" not in changes[-1]:
        close = "; a change is one argument: --set KEY.PATH=VALUE"
    elif options.run in (compare.run, trajectory.run) and not left[0].startswith("-"):
        close = "; expected one configuration, a YAML file that names models, data and output"
    return f"unrecognized arguments: {' '.join(left)}{close}"


def _unexpected(error: Exception) -> str:
    """Word an exception that is none of ours, with the notes on where it happened."""
    notes = getattr(error, "__notes__", [])
    return "; ".join([f"{type(error).__name__}: {first_line(error)}", *map(str, notes)])


def _check_launch(options: argparse.Namespace) -> None:
    """Refuse what several processes would each do on their own, into one folder."""
    if launched_processes() > 1 and options.run is not compare.run:
        name = options.run.__module__.rpartition(".")[2]
        raise ConfigError(
            f"hooksim {name}: {launched_processes()} processes were started, but it runs in one. "
            "Start it without torchrun."
        )


def _terminated() -> str:
    """Word what SIGTERM did; torchrun sends it to those that are left where one has died."""
    others = "; torchrun ends every process where one has failed" * (launched_processes() > 1)
    return f"terminated{others}"


def _report(error: BaseException, line: str, code: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    if is_told(error):
        return code
    sys.stderr.write(" ".join(line.split("\n")) + "\n")
    return code


class _InYaml(logging.Formatter):
    """Words notes, which speak of Python's arguments, as those who write YAML need them."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return in_yaml(super().formatMessage(record), _ARGUMENTS)


@contextmanager
def _log_to_stderr(verbose: bool) -> Iterator[None]:
    """Send the package's log to stderr while the command runs."""
    logger = logging.getLogger("hooksim")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_InYaml("%(levelname_in_front)s%(message)s"))
    handler.addFilter(_name_warnings)
    if not is_first():
        handler.setLevel(logging.ERROR)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _name_warnings(record: logging.LogRecord) -> bool:
    """Put "warning: " in front of warnings only: the log of a good run reads as plain text."""
    record.levelname_in_front = "warning: " if record.levelno >= logging.WARNING else ""
    return True


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, where the thread may set signal handlers."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise _TerminatedError

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
