"""A result that a command was given by its folder; what stands there instead of one is named."""

from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.errors import ConfigError
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean

if TYPE_CHECKING:
    from hooksim.results import Comparison, Trajectory

__all__ = ["load_stored", "results_inside"]

_DESCRIPTION = "metadata.json"


def load_stored(folder: Path) -> "Comparison | Trajectory":
    """Read a saved result.

    Args:
        folder: Of the result.

    Returns:
        What it holds.

    Raises:
        ConfigError: Nothing is there, a run that is not finished, or results a level below.
        HooksimError: The result is damaged or of a newer version.
    """
    from hooksim.comparison.unfinished import Unfinished
    from hooksim.results.saved import load_saved

    if not folder.exists():
        close = did_you_mean(str(folder), map(str, folder.parent.glob("*/")))
        raise ConfigError(
            f"{str(folder)!r} does not exist{close}"
            f"{'' if close else '. Expected the folder of a saved result.'}"
        )
    if folder.is_file():
        of_one = (folder.parent / _DESCRIPTION).is_file()
        close = f", did you mean {str(folder.parent)!r}?" if of_one else ""
        raise ConfigError(
            f"{str(folder)!r} is a file, expected the folder of a saved result{close}"
        )
    if not (folder / _DESCRIPTION).is_file():
        if Unfinished(folder).is_there:
            raise ConfigError(
                f"{str(folder)!r} holds a run that is not finished. Go on with it by "
                "`hooksim compare CONFIG --resume`."
            )
        inside = [each.name for each in results_inside(folder)]
        if inside:
            raise ConfigError(f"{str(folder)!r} is no result, but holds some: {listed(inside)}")
    return load_saved(folder)


def results_inside(folder: Path) -> list[Path]:
    """Find the results a level below.

    Args:
        folder: Of several results.

    Returns:
        Their folders, by name; damaged ones too.

    Example:
        >>> results_inside(Path("runs/not-there"))
        []
    """
    from hooksim.results.saved import is_result

    return [each.parent for each in sorted(folder.glob(f"*/{_DESCRIPTION}")) if is_result(each)]
