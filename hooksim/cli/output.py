"""Where a result goes and what is said of it: shared by the commands that make one."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.cli.places import check_creatable
from hooksim.errors import ConfigError, Note

if TYPE_CHECKING:
    from hooksim.cli.config import ConfigFile

__all__ = [
    "add_notes",
    "add_run_arguments",
    "as_numbers",
    "chosen_folder",
    "output_folder",
    "output_key",
]


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a subcommand that runs a configuration.

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


def output_folder(config: "ConfigFile[Any]", options: argparse.Namespace) -> Path:
    """Choose the folder of the result; one that may not be written is refused before any work.

    Args:
        config: The configuration, whose `output` holds where `--out` is not given.
        options: The parsed arguments.

    Returns:
        The folder.

    Raises:
        ConfigError: There is none, or something stands there that may not be replaced.
    """
    from hooksim.results import check_target

    key = output_key(config, options)
    out = chosen_folder(config, options)
    try:
        check_target(out, overwrite=options.overwrite)
    except ConfigError as error:
        told = str(error).replace("pass overwrite=True (--overwrite)", "give --overwrite")
        raise ConfigError(f"{key}: {told}") from error
    check_creatable(out, key)
    return out


def output_key(config: "ConfigFile[Any]", options: argparse.Namespace) -> str:
    """Say what names the folder of the result, for messages.

    Args:
        config: The configuration.
        options: The parsed arguments.
    """
    return f"{config.path}: output" if options.out is None else "--out"


def chosen_folder(config: "ConfigFile[Any]", options: argparse.Namespace) -> Path:
    """Choose the folder of the result, whatever stands there.

    Args:
        config: The configuration, whose `output` holds where `--out` is not given.
        options: The parsed arguments.

    Returns:
        The folder.

    Raises:
        ConfigError: There is none.
    """
    from hooksim.loading import local_path

    key = output_key(config, options)
    chosen = config.keys.output if options.out is None else options.out
    if not chosen:
        raise ConfigError(f"{key}: missing; give it in the file or as --out")
    return local_path(chosen, key)


def add_notes(metadata: dict[str, Any], key: str, notes: Sequence[Note]) -> None:
    """Write down what the command found beside the comparison.

    Args:
        metadata: Of the result; changed.
        key: `notes` or `warnings`.
        notes: What was found.
    """
    metadata[key] = [*metadata.get(key, []), *(note._asdict() for note in notes)]


def as_numbers(values: Any) -> Any:
    """Make nested lists fit for JSON.

    Args:
        values: Numbers in lists of any depth.

    Returns:
        The same with None for what is undefined.

    Example:
        >>> as_numbers([[1.0, math.nan]])
        [[1.0, None]]
    """
    if isinstance(values, list):
        return [as_numbers(each) for each in values]
    return None if math.isnan(values) else values
