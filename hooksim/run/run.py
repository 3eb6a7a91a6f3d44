"""One run over sides and pairs of sides: from a loader to filled accumulators."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, Self

from torch import Tensor

from hooksim.accumulators.base import Accumulator, SideNames
from hooksim.blocks.sizes import BlockSize
from hooksim.capture.side import Reader
from hooksim.capture.slices import Slice
from hooksim.capture.stream import stream
from hooksim.distributed import Processes
from hooksim.errors import ConfigError, Note
from hooksim.run.in_step import in_step
from hooksim.run.intake import Intake, OnRows, RunMemory
from hooksim.run.position import Position
from hooksim.run.repeats import Repeats
from hooksim.run.sample_roll import SampleRoll
from hooksim.run.together import Share, check_same_layers, give_share, take_shares

__all__ = ["Run"]

_SEEN = "samples"  # what tells the samples so far apart from others
_Whole = Callable[[], AbstractContextManager[object]]


class Run:
    """Drives batches through readers, rows into blocks, and blocks into accumulators.

    State: the accumulators, the blocker's tail of rows, and the position in the data. A run that
    goes on from the state of another gives the same bits as one that was never interrupted.

    Args:
        readers: What gives the rows; the sides that they serve, one after the other.
        accumulators: What to fill.
        block_size: Rows to a block, `"batch"`, `"auto"`, or `"all"`.
        minimum: The fewest rows that a block may have.
        needs: What asks for that many, for the error.
        speaking: The accumulators whose notes are warnings; None for all.
        common_layers: Keep only layers that every side has, by name.
        memory_budget: Bytes that the rows of one block of every sample may take in memory, and as
            many for the Gram matrices of any block; beyond, rows go to temporary files and Gram
            matrices are made strip by strip. None for 2 GiB.
        drops: Leave samples out that have NaN or infinity in some layer, and count them.
        processes: Those that make the run together, each of them some batches of the same loader;
            None for a run of this process alone.
        dealt_out: The loader gives each process samples of its own, some of them twice.
        keeps_samples: Take note of all samples, so that the state tells them apart from others.
        in_step: Every process must run every batch together with the others, since each holds a
            part of a model.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        accumulators: Sequence[Accumulator],
        block_size: BlockSize | Literal["all"],
        minimum: int,
        needs: str,
        *,
        speaking: Sequence[Accumulator] | None = None,
        common_layers: bool = False,
        memory_budget: int | None = None,
        drops: bool = False,
        processes: Processes | None = None,
        dealt_out: bool = False,
        keeps_samples: bool = False,
        in_step: bool = False,
    ) -> None:
        self._is_whole = True
        self._number = 0  # of the batch that is read or passed over now
        self._processes = processes
        self._repeats = Repeats(processes) if processes is not None and dealt_out else None
        self._in_step = in_step and processes is not None
        self._block_size = block_size
        self._readers = list(readers)
        self._accumulators = list(accumulators)
        self._speaking = self._accumulators if speaking is None else list(speaking)
        self._minimum = minimum
        self._ahead = block_size in ("batch", "auto")  # where a small last batch may be joined
        self._roll = SampleRoll() if keeps_samples or processes is not None else None
        self._intake = Intake(
            readers,
            accumulators,
            block_size,
            minimum,
            needs,
            common_layers=common_layers,
            memory_budget=memory_budget,
            drops=drops,
            leaves_out=self._repeats is not None,
            copies_all=processes is not None,
        )

    def execute(
        self,
        loader: Iterable[Any],
        *,
        max_samples: int | None = None,
        on_batch: Callable[[int], None] | None = None,
        on_rows: OnRows | None = None,
        on_end: Callable[[], None] | None = None,
        whole: _Whole = nullcontext,
    ) -> None:
        """Read the loader once, to its end.

        Args:
            loader: Any iterable of batches.
            max_samples: Loader items to read; None for all.
            on_batch: Called after each batch with its number of items.
            on_rows: Called with the rows of a block that are taken, and with all it has.
            on_end: Called when the data have ended, where what follows takes long or cannot be
                saved.
            whole: Gives a context for each batch that is taken: broken off inside it, the state
                would not be whole.

        Raises:
            HooksimError: Whatever the parts refuse; models and hooks are as before then too.
        """
        self._number = 0
        start = self.position.batches
        with ExitStack() as stack:
            for reader in self._readers:
                stack.enter_context(reader)

            def passed(items: int) -> None:
                with self._taking(whole):
                    self._count(items)
                self._tell(items, on_batch)

            batches = stream(
                self._readers,
                self._watched(loader),
                self._intake.reducer,
                max_samples=max_samples,
                reads=lambda number: not number or self._in_step or self._takes(number, start),
                passed=passed,
                smallest=max(4, self._minimum),
                ahead=self._ahead,
            )
            for slices in batches:
                items = slices[0].items
                with self._taking(whole):
                    self._read(slices, start, on_rows)
                    self._count(items)
                del slices  # or its Gram matrices would stay while the next batch makes its own
                self._tell(items, on_batch)
            self._end(max_samples)
        self._finish(on_rows, on_end, whole)

    @property
    def is_whole(self) -> bool:
        """Whether the state can be saved now: not while a batch is taken, nor after it failed."""
        return self._is_whole

    @property
    def memory(self) -> RunMemory:
        """What the run holds, for a message."""
        return self._intake.memory

    @property
    def position(self) -> Position:
        """How far it has come in the data, and what it has seen there."""
        return self._intake.position

    def state_dict(self) -> dict[str, Tensor]:
        """The accumulators, the tail, and the position; copies on the CPU, to be saved.

        Whole between two batches, such as where `execute` calls `on_batch`.

        Returns:
            Tensors by name; what is none is in the bytes of JSON.
        """
        state = self._intake.state_dict()
        if self._roll is not None:
            state[_SEEN] = self._roll.seen(self.position.n_samples)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Take over the state of a run of the same sides, so that `execute` goes on from there.

        Args:
            state: What `state_dict()` gave; copied.

        Returns:
            Itself.

        Raises:
            ConfigError: It is of a run with other blocks or measures, or some of it is missing.
        """
        self._intake.load_state_dict(state)
        if self._roll is not None and _SEEN in state:
            self._roll.expect(state[_SEEN])
        return self

    @property
    def names(self) -> list[SideNames]:
        """What messages call the sides and their layers; complete after the first batch."""
        return self._intake.names

    @property
    def warnings(self) -> list[Note]:
        """What should make a user doubt the values."""
        found = [*self._intake.doubts, *self.position.notes]
        for accumulator in self._speaking:
            found += accumulator.notes(self.names)
        return list(dict.fromkeys(found))

    @property
    def notes(self) -> list[Note]:
        """What the readers left out or chose."""
        return self._intake.notes

    @contextmanager
    def _taking(self, whole: _Whole) -> Iterator[None]:
        """Take something that must be taken as a whole."""
        with whole():
            self._is_whole = False
            yield
            self._is_whole = True

    def _finish(
        self, on_rows: OnRows | None, on_end: Callable[[], None] | None, whole: _Whole
    ) -> None:
        """Put the last rows into blocks, and join what the processes have."""
        is_one_block = self._block_size == "all"
        if on_end is not None and (is_one_block or self._processes is not None):
            on_end()
        if self._processes is not None:
            self._is_whole = False
            self._join(self._processes, on_rows)
        elif is_one_block and not self.position.closed:
            self._intake.close(on_rows)  # may take hours; the state is whole all the time
        elif not self.position.closed:
            with self._taking(whole):
                self._intake.close(on_rows)

    def _watched(self, loader: Iterable[Any]) -> Iterable[Any]:
        """The loader, its samples taken note of."""
        if self._roll is not None:
            loader = self._roll.watch(loader)
        if self._in_step and self._processes is not None:
            loader = in_step(loader, self._processes, self._refuse_alone)
        return loader if self._repeats is None else self._repeats.watch(loader)

    def _refuse_alone(self, number: int) -> None:
        """Refuse a batch that only some processes have, where all must run it."""
        if self._repeats is None and self._roll is not None and self._processes is not None:
            self._roll.check(self._processes)
        raise ConfigError(
            f"loader: only some processes are given a batch {number}, but all must run it: each "
            "holds a part of a model. Deal out shares of as many batches, as a DistributedSampler "
            "does, and accelerate with even_batches=True."
        )

    def _read(self, slices: list[Slice], start: int, on_rows: OnRows | None) -> None:
        """Take the rows of a batch; of the first, where an earlier run has them, only the layers.

        The first batch settles what a model's layers are, and so is read by every run.
        """
        number = self._number
        is_ours = self._takes(number, start)
        fresh = None if self._repeats is None else self._repeats.fresh(number)
        self._intake.take(slices, number, on_rows, is_ours=is_ours, fresh=fresh)

    def _takes(self, number: int, start: int) -> bool:
        """Whether the rows of a batch are for this run."""
        if number < start:
            return False
        return self._processes is None or self._repeats is not None or self._processes.reads(number)

    def _count(self, items: int) -> None:
        """Be done with a batch, unless an earlier run was."""
        if self._repeats is not None:
            self._repeats.forget(self._number)
        self._number += 1
        if self._number > self.position.batches:
            self._intake.count(items)

    def _tell(self, items: int, on_batch: Callable[[int], None] | None) -> None:
        """Say that a batch is done with, and hear whether another process has failed."""
        if self._processes is not None:
            self._processes.batch = self._number
            self._processes.look()
        if on_batch is not None:
            on_batch(items)

    def _end(self, max_samples: int | None) -> None:
        """Check that the data have not ended too early."""
        if self._roll is not None:
            self._roll.check_end()
        if max_samples is None or self.position.n_samples < max_samples:
            for reader in self._readers:
                reader.finish(self.position.n_samples)

    def _join(self, processes: Processes, on_rows: OnRows | None) -> None:
        """Make one run of those of all processes, on every one of them."""
        intake = self._intake
        if self._roll is not None and self._repeats is None:
            self._roll.check(processes)
        check_same_layers(processes, {side.title: list(side.layers) for side in self.names})
        is_one_block = self._block_size == "all"
        if self._repeats is not None and not is_one_block:
            intake.close_own(max(4, self._minimum), on_rows)
        pieces = [] if is_one_block else intake.tail.release()
        origins = [piece.origin for piece in pieces]
        share = Share(self.position, origins, self.notes, intake.doubts, intake.places.held)
        shares = processes.exchange(share)
        if not processes.rank:
            intake.add_shares(shares[1:], of_own_samples=self._repeats is not None)
        if is_one_block:
            intake.close_together(processes, on_rows)
        elif processes.rank:
            give_share(processes, self._accumulators, pieces)
        else:
            tails = [each.origins for each in shares]
            take = partial(intake.take_piece, on_rows=on_rows)
            take_shares(processes, self._accumulators, pieces, tails, take)
            intake.close(on_rows)
        processes.exchange(None)  # before what comes, hear whether it comes
        state = processes.broadcast(None if processes.rank else intake.state_dict())
        if processes.rank:
            intake.load_state_dict(state)
