"""A command that several processes run together, as torchrun starts them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from hooksim.distributed import Processes

__all__ = ["by_the_first", "is_first", "is_told", "launched_processes", "together"]

_T = TypeVar("_T")
_TOLD = "told by another process"  # an attribute of errors


def launched_processes() -> int:
    """Say how many processes torchrun has started for the command.

    Returns:
        Their number; 1 where it has not.

    Example:
        >>> launched_processes()
        1
    """
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if size.isdecimal() and "RANK" in os.environ else 1


def is_first() -> bool:
    """Say whether this process is the one that logs, of those that torchrun has started.

    Returns:
        True for one alone.
    """
    return launched_processes() == 1 or os.environ["RANK"] == "0"


def is_told(error: BaseException) -> bool:
    """Say whether another process has told an error to the user.

    Args:
        error: That has ended this process.
    """
    return bool(vars(error).get(_TOLD))


@contextmanager
def together() -> Iterator["Processes | None"]:
    """Join the processes that run the command; what fails in one of them fails in all.

    Yields:
        The processes; None for one alone.

    Raises:
        Exception: Of whatever process; in all but one of them it counts as told.
    """
    if launched_processes() == 1:
        yield None
        return
    from hooksim.distributed import process_group, processes_together

    joined: Processes | None = None
    with process_group():
        try:
            with processes_together() as joined:
                yield joined
        except BaseException as error:
            if joined is not None and not joined.speaks():
                vars(error)[_TOLD] = True
            raise


def by_the_first(processes: "Processes | None", make: Callable[[], _T]) -> _T:
    """Do something in the first process, and tell the others what came out.

    Args:
        processes: All of them; None for one alone.
        make: What to do; gives something that can be pickled.

    Returns:
        What it gave in the first process.
    """
    if processes is None:
        return make()
    return processes.exchange(make() if processes.rank == 0 else None)[0]  # type: ignore[return-value]
