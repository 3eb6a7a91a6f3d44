"""Paths that a user gives, looked at once, so that what the system refuses is one line."""

from pathlib import Path

from hooksim.errors import ConfigError

__all__ = ["local_path"]

_LONGEST = 100  # characters of a path in a message


def local_path(path: str, key: str = "path") -> Path:
    """Accept a path, whether something is there or not.

    Args:
        path: What stands in a config or on the command line.
        key: The key or option that holds it, for messages.

    Returns:
        The path, `~` resolved.

    Raises:
        ConfigError: No file could have this name, or the system does not let it be looked at.

    Example:
        >>> local_path("runs/a").name
        'a'
        >>> local_path("x" * 999, "--out")
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: --out: 'xxx...xxx...' cannot be looked at: File name too long
    """
    shown = repr(path if len(path) <= _LONGEST else f"{path[:_LONGEST]}...")
    try:
        place = Path(path).expanduser()
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return place
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, no such user
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise ConfigError(f"{key}: {shown} cannot be looked at: {reason}") from error
    return place
