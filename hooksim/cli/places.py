"""Where output may go: checked before the work, by the name that the user gave."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hooksim.errors import ConfigError
from hooksim.spelling import did_you_mean

__all__ = ["check_creatable", "namesake"]


def check_creatable(out: Path, key: str) -> None:
    """Refuse an output that cannot be created.

    The nearest folder above it that is there is tried out: permissions alone do not tell, of
    file systems that are mounted read-only for example.

    Args:
        out: The file or folder to be created, or one that will be replaced.
        key: The option or key that names it, for the message.

    Raises:
        ConfigError: A file is in the way, or nothing can be created there.

    Example:
        >>> check_creatable(Path("runs/new"), "--out")
    """
    parent = out.expanduser().resolve().parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    try:
        TemporaryDirectory(dir=parent, prefix=".hooksim-").cleanup()
    except OSError as error:
        reason = "it is a file" if parent.is_file() else error.strerror
        raise ConfigError(
            f"{key}: {str(out)!r} cannot be created: nothing can be written in {str(parent)!r} "
            f"({reason}). Choose another place."
        ) from error


def namesake(path: Path, pattern: str) -> str:
    """Ask for the file beside it whose name is close; an equal ending alone makes none close.

    Args:
        path: A file that is not there.
        pattern: Of the files that it could have been.

    Returns:
        A clause with the path of the closest, or the empty string.

    Example:
        >>> namesake(Path("not-there/bert.yml"), "*.yaml")
        ''
    """
    there = [each for each in path.parent.glob(pattern) if did_you_mean(path.stem, [each.stem])]
    return did_you_mean(str(path), map(str, there))
