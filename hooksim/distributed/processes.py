"""The processes of a group: what they tell each other, and how one that fails ends all of them.

Every process takes the same steps in the same order: before it waits for the others it says how it
stands, so that none waits for one that has failed. Messages are pickled, as torch sends objects:
they come from the processes of the run, never from a file.
"""

import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

from torch import Tensor, distributed

from hooksim.distributed.life import Life
from hooksim.errors import HooksimError

__all__ = ["Processes"]

_T = TypeVar("_T")

# Keys in the store of the group.
_FAILED, _LEFT, _ENDED, _TOLD, _MEET, _ERROR = "failed", "left", "ended", "told", "meet", "error"
_LOOK_EVERY = 0.5  # seconds between two looks at it
_PATIENCE = 25.0  # seconds that a process which has failed waits for the others to hear of it
_NAP = (0.001, 0.1)  # seconds: how long a process that waits for others sleeps, first and at most


class _Stopped(Exception):  # noqa: N818 - it is no error of this process
    """Another process has failed: this one goes to hear why."""


class _AloneError(Exception):
    """The others do not come to hear why this process has failed."""


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
        life: Its signs of life, and those of the others.
    """

    def __init__(self, group: Any) -> None:
        self.rank = distributed.get_rank(group)
        self.size = distributed.get_world_size(group)
        self.batch = -1
        self._group = group
        self._store = group.get_group_store()
        self._looked = time.monotonic()
        self._meetings = 0
        self.life = Life(self._store, self.rank, self.size)
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
            self._look_for_life()

    def speaks(self) -> bool:
        """Whether it is this process that says what went wrong: the first that asks.

        Returns:
            True for one process; for each where they cannot ask any more.
        """
        try:
            return bool(self._store.add(_TOLD, 1) == 1)
        except RuntimeError:
            return True

    def _look_for_life(self) -> None:
        """Raise where another process has left, or gives no sign of life."""
        self._looked = time.monotonic()
        if self._store.check([_LEFT]):
            self._end(f"process {self._store.get(_LEFT).decode()} was interrupted")
        # Those that have heard of it end too: what is told is why the first of all has ended.
        if self._store.check([_ENDED]):
            self._end("")
        missing = self.life.missing()
        if missing is not None:
            self._end(missing)

    def _end(self, reason: str) -> None:
        self._over = True
        told = self._told_error()
        if told is not None:
            raise told
        reason = self._store.compare_set(_ENDED, "", reason).decode()
        raise HooksimError(
            f"{reason} (told by process {self.rank} of {self.size}). Look at what it said; where "
            "the run was saved, --resume goes on."
        )

    def _meet(self, patience: float | None) -> None:
        """Wait until all processes are here: however long that takes, unless one is gone.

        The group's own way to wait would end after half an hour, and not hear of a signal.

        Args:
            patience: How long to wait at most; None for ever.
        """
        began = time.monotonic()
        self._meetings += 1
        place = f"{_MEET}/{self._meetings}"
        nap, most = _NAP
        here = self._store.add(place, 1)
        while here < self.size:
            time.sleep(nap)
            nap = min(most, 1.2 * nap)
            if time.monotonic() - self._looked >= _LOOK_EVERY:
                self._look_for_life()
            if patience is not None and time.monotonic() - began > patience:
                raise _AloneError
            here = self._store.add(place, 0)

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

    def pass_on(self, given: Tensor, to: int, into: Tensor | None = None, source: int = 0) -> None:
        """Send a tensor to a process that takes it in, while another one's is taken in here.

        Args:
            given: On the CPU; an empty one is not sent.
            to: Who gets it.
            into: Where to write what comes; None or empty where nothing does.
            source: Who sends it.
        """
        with self._answering():
            sent = None
            if given.numel():
                sent = distributed.isend(given.contiguous(), to, self._group)
            if into is not None:
                self.take_in(into, source)
            if sent is not None:
                sent.wait()

    def take_in(self, into: Tensor, source: int) -> None:
        """Wait for a tensor of another process.

        Args:
            into: Where to write it, contiguous; an empty one is not waited for.
            source: Who passes it on.
        """
        if into.numel():
            with self._answering():
                distributed.recv(into, source, self._group)

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
            self._raise_flag(_LEFT)
            raise

    def _told_error(self) -> Exception | None:
        """What a process has failed with that did not wait any longer to tell it."""
        keys = [f"{_ERROR}/{rank}" for rank in range(self.size)]
        try:
            told = [
                (*pickle.loads(self._store.get(key)), rank)
                for rank, key in enumerate(keys)
                if self._store.check([key])
            ]
        except RuntimeError:  # the store is gone too
            return None
        if not told:
            return None
        _, error, rank = min(told, key=lambda each: (each[0], each[2]))
        return _unpickled(error, rank)

    def _fail(self, error: Exception) -> None:
        """Tell the others, and raise what is to be raised by all."""
        own = None if isinstance(error, _Stopped) else _pickled(error, self.rank)
        if own is not None:
            # For those that do not come: they wait for something that this one would have sent.
            self._store.set(f"{_ERROR}/{self.rank}", pickle.dumps((self.batch, own)))
            self._raise_flag()
        try:
            self._report(None, own)
        except _AloneError:
            return
        except Exception as told:
            # The very error of this process, with where it came from, where that is the one.
            if own is not None and self._chosen == self.rank:
                return
            raise told from None

    def _raise_flag(self, kind: str = _FAILED) -> None:
        with self._answering():
            self._store.set(kind, str(self.rank))

    def _report(self, value: Any, error: bytes | None) -> list[_Report]:
        reports: list[Any] = [None] * self.size
        with self._answering():
            self._meet(None if error is None else _PATIENCE)
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
        except (_Stopped, _AloneError, HooksimError):
            raise
        except RuntimeError as error:
            if self._over:  # it is what another process has failed with
                raise
            self._over = True
            told = self._told_error()
            if told is not None:
                raise told from error
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
