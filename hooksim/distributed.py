"""The processes of a group: what they tell each other, and how one that fails ends all of them.

The only file that knows of ranks. Every process takes the same steps in the same order: before it
waits for the others it says how it stands, so that none waits for one that has failed. Messages
are pickled, as torch sends objects: they come from the processes of the run, never from a file.
"""

import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

from torch import distributed

from hooksim.errors import HooksimError

__all__ = ["Processes", "is_dealt_out", "processes_together"]

_T = TypeVar("_T")

_FAILED = "failed"  # a key in the store of the group
_LOOK_EVERY = 0.5  # seconds between two looks at it
# By their names: accelerate need not be there.
_DEALING = frozenset(
    {"BatchSamplerShard", "DataLoaderDispatcher", "DistributedSampler", "IterableDatasetShard"}
)


class _Stopped(Exception):  # noqa: N818 - it is no error of this process
    """Another process has failed: this one goes to hear why."""


class _Report(NamedTuple):
    """How a process stands: the batch that it is at, why it failed, and what it has to say."""

    batch: int
    error: bytes | None
    value: Any


class Processes:
    """The processes of a group that compare together, as one of them sees it.

    Args:
        group: Their own group, for messages on the CPU.

    Attributes:
        rank: Of this process.
        size: How many there are.
        batch: The batch that this one is at: of several errors, the first in the data is told.
    """

    def __init__(self, group: Any) -> None:
        self.rank = distributed.get_rank(group)
        self.size = distributed.get_world_size(group)
        self.batch = -1
        self._group = group
        self._store = group.get_group_store()
        self._looked = time.monotonic()
        self._over = False
        self._chosen = -1  # the process whose error is that of all

    def reads(self, batch: int) -> bool:
        """Whether a batch is this process's, where batches are dealt out.

        Args:
            batch: Its number.
        """
        return batch % self.size == self.rank

    def look(self) -> None:
        """Stop where another process has failed; for the loop over batches.

        Raises:
            Exception: Of no use but to leave the loop; what failed is raised instead of it.
        """
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return
        with self._answering():
            if self._store.check([_FAILED]):
                raise _Stopped
        self._looked = time.monotonic()

    def exchange(self, value: _T) -> list[_T]:
        """Tell all processes something small, and hear what they tell.

        Args:
            value: Anything that can be pickled.

        Returns:
            What each process told, by rank.

        Raises:
            Exception: What another process has failed with.
        """
        return [report.value for report in self._report(value, None)]

    def send(self, value: Any) -> None:
        """Send something large to process 0, which must ask for it.

        Args:
            value: Anything that can be pickled; its tensors on the CPU.
        """
        with self._answering():
            distributed.send_object_list([value], 0, self._group)

    def receive(self, rank: int) -> Any:
        """Wait for what a process sends to process 0.

        Args:
            rank: Which.

        Returns:
            What it sent.
        """
        held = [None]
        with self._answering():
            distributed.recv_object_list(held, rank, self._group)
        return held[0]

    def broadcast(self, value: _T | None) -> _T:
        """Give something large to all processes.

        Args:
            value: What process 0 gives; of the others it does not matter.

        Returns:
            What process 0 gave.
        """
        held: list[_T | None] = [value]
        with self._answering():
            distributed.broadcast_object_list(held, 0, self._group)
        return cast(_T, held[0])

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """Fail on all processes where one fails, with its error.

        Yields:
            None; inside, all processes take the same steps.
        """
        try:
            yield
        except Exception as error:
            if not self._over:
                self._fail(error)
            raise
        except BaseException:  # an interrupt waits for nobody
            self._raise_flag()
            raise

    def _fail(self, error: Exception) -> None:
        """Tell the others, and raise what is to be raised by all."""
        own = None if isinstance(error, _Stopped) else _pickled(error, self.rank)
        if own is not None:
            self._raise_flag()
        try:
            self._report(None, own)
        except Exception as told:
            # The very error of this process, with where it came from, where that is the one.
            if own is not None and self._chosen == self.rank:
                return
            raise told from None

    def _raise_flag(self) -> None:
        with self._answering():
            self._store.set(_FAILED, str(self.rank))

    def _report(self, value: Any, error: bytes | None) -> list[_Report]:
        reports: list[Any] = [None] * self.size
        with self._answering():
            distributed.all_gather_object(reports, _Report(self.batch, error, value), self._group)
        failed = [
            (report.batch, rank) for rank, report in enumerate(reports) if report.error is not None
        ]
        if failed:
            self._over = True
            _, self._chosen = min(failed)
            raise _unpickled(reports[self._chosen].error, self._chosen)
        return reports

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in one line that a process is gone."""
        try:
            yield
        except _Stopped:
            raise
        except RuntimeError as error:
            self._over = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise HooksimError(
                f"process {self.rank} of {self.size}: another process has ended, or does not "
                f"answer ({reason}). Look at what it said; every process of the group must call "
                "hooksim.compare."
            ) from error


def _pickled(error: Exception, rank: int) -> bytes:
    """An error to be told; as a plain one where it cannot be made again from its pickle."""
    try:
        made = pickle.dumps(error)
        pickle.loads(made)
    except Exception:
        made = pickle.dumps(HooksimError(f"process {rank}: {type(error).__name__}: {error}"))
    return made


def _unpickled(told: bytes, rank: int) -> Exception:
    """An error that a process has told, which says where it comes from."""
    error: Exception = pickle.loads(told)
    error.add_note(f"in process {rank} of the group")
    return error


@contextmanager
def processes_together() -> Iterator[Processes | None]:
    """Compare together with the other processes, where there are any.

    Yields:
        The processes; None outside a process group, or in one of a single process. What fails
        inside on one of them fails on all.

    Example:
        >>> with processes_together() as processes:
        ...     print(processes)
        None
    """
    is_one = distributed.is_available() and distributed.is_initialized()
    if not is_one or distributed.get_world_size() == 1:
        yield None
        return
    # Of its own: whatever the accelerators say to each other goes on undisturbed.
    group = distributed.new_group(backend="gloo")
    try:
        processes = Processes(group)
        with processes.as_one():
            yield processes
    finally:
        distributed.destroy_process_group(group)


def is_dealt_out(loader: Any) -> bool:
    """Tell whether a loader gives each process samples of its own.

    Args:
        loader: Any iterable of batches.

    Returns:
        True where it has a `DistributedSampler`, or accelerate has prepared it for several
        processes.

    Example:
        >>> is_dealt_out([])
        False
    """
    of_batches = getattr(loader, "batch_sampler", None)
    parts = [
        loader,
        of_batches,
        *(getattr(each, "sampler", None) for each in (loader, of_batches)),
        getattr(loader, "dataset", None),
    ]
    names = {base.__name__ for part in parts for base in type(part).__mro__}
    return not _DEALING.isdisjoint(names)
