"""One row of the table of bad inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["OTHER", "USAGE", "Bad", "compare"]

USAGE, OTHER = 2, 1


class Bad(NamedTuple):
    """A bad input.

    Attributes:
        words: Of the command line.
        line: What the one line begins with; dots in the middle stand for anything.
        code: The exit code.
        harm: What makes it bad, in the working folder.
    """

    words: list[str]
    line: str
    code: int = USAGE
    harm: Callable[[], Any] = lambda: None


def compare(*changes: str, config: str = "c.yaml") -> list[str]:
    """Words of a comparison with keys changed."""
    return ["compare", config, *(word for each in changes for word in ("--set", each))]
