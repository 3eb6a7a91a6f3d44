"""What a run takes of the batches, and all that it holds: sums, rows that wait, the position."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Literal, NamedTuple, Self, TypeAlias

from torch import Tensor

from hooksim.accumulators.base import Accumulator, SideNames, accumulate
from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker
from hooksim.blocks.pieces import Piece
from hooksim.blocks.sizes import BlockSize
from hooksim.blocks.tail import tensor_text, text_tensor
from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition, Reduce, Slice
from hooksim.distributed import Processes
from hooksim.errors import ConfigError, NonFiniteError, Note, NotEnoughSamplesError
from hooksim.run.common_layers import check_layers, shared_names
from hooksim.run.gatherer import Gatherer
from hooksim.run.left_out import first_bad_layer, only_samples, samples_with_bad_rows
from hooksim.run.places import Places
from hooksim.run.position import Position
from hooksim.run.together import Share

__all__ = ["Intake", "OnRows", "RunMemory"]

OnRows: TypeAlias = Callable[[int, int], None]
"""Called with the rows of a block that are taken, and with all it has."""

_BUDGET = 2 << 30  # bytes that rows, and as many that Gram matrices, may take in memory
_STATE = "run"  # what is no tensor
_TAIL = "tail."


class RunMemory(NamedTuple):
    """What a run holds in memory.

    Attributes:
        n: Rows that wait for their block.
        row_bytes: Memory of these.
        layers: Of all sides.
        gram_bytes: Memory of the Gram matrices of a block.
    """

    n: int
    row_bytes: int
    layers: int
    gram_bytes: int


class Intake:
    """Takes the rows of one batch after the other into blocks, and the blocks into accumulators.

    State: the accumulators, the blocker's tail of rows, and the position in the data. Whole between
    two batches.

    Args:
        readers: What gives the rows.
        accumulators: What to fill.
        block_size: Rows to a block, `"batch"`, `"auto"`, or `"all"`.
        minimum: The fewest rows that a block may have.
        needs: What asks for that many, for the error.
        common_layers: Keep only layers that every side has, by name.
        memory_budget: As of `Run`.
        drops: Leave samples with NaN or infinity out, and count them.
        leaves_out: Whether samples are left out for whatever reason, so that rows must be kept
            until it is known which.
        copies_all: For one block of every sample keep the rows of recorded sides too, since these
            are not all of this process.

    Attributes:
        position: How far it has come in the data, and what it has seen there.
        blocker: What holds the tail.
        places: Which samples the batches in the tail hold.
        told: The notes and warnings of earlier runs.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        accumulators: Sequence[Accumulator],
        block_size: BlockSize | Literal["all"],
        minimum: int,
        needs: str,
        *,
        common_layers: bool = False,
        memory_budget: int | None = None,
        drops: bool = False,
        leaves_out: bool = False,
        copies_all: bool = False,
    ) -> None:
        self.position = Position()
        self.places = Places()
        self.told: dict[str, list[Note]] = {"notes": [], "warnings": []}
        self._layers: list[list[str]] = []  # those of an earlier run
        self._settled = False
        self._readers = list(readers)
        self._accumulators = list(accumulators)
        self._common_layers = common_layers
        self._drops = drops
        self._leaves_out = leaves_out or drops
        self._budget = budget = _BUDGET if memory_budget is None else memory_budget
        dtype = max(
            (accumulator.gram_dtype for accumulator in accumulators), key=lambda kind: kind.itemsize
        )
        blocker = partial(
            Blocker,
            dtype=dtype,
            minimum=minimum,
            needs=needs,
            with_rows=any(accumulator.needs_rows for accumulator in accumulators),
            settles=all(
                accumulator.settles or accumulator.gram_dtype.itemsize < 8
                for accumulator in accumulators
            ),
            gram_budget=budget,
        )
        self.blocker: Blocker | Gatherer = (
            Gatherer(self._readers, blocker, budget, copies_all=copies_all or self._leaves_out)
            if block_size == "all"
            else blocker(block_size)
        )

    @property
    def names(self) -> list[SideNames]:
        """What messages call the sides and their layers; complete after the first batch."""
        return [
            SideNames(title, reader.names(view))
            for reader in self._readers
            for view, title in enumerate(reader.titles)
        ]

    @property
    def notes(self) -> list[Note]:
        """What the readers left out or chose."""
        own = (note for reader in self._readers for note in reader.notes)
        return list(dict.fromkeys([*self.told["notes"], *own]))

    @property
    def doubts(self) -> list[Note]:
        """What the readers and the blocker warn of."""
        own = (note for reader in self._readers for note in reader.warnings)
        return list(dict.fromkeys([*self.told["warnings"], *own, *self.blocker.notes]))

    @property
    def memory(self) -> RunMemory:
        """What the run holds, for a message."""
        layers = sum(len(side.layers) for side in self.names)
        if isinstance(self.blocker, Gatherer):
            n, row_bytes = self.blocker.held, self.blocker.held_bytes
            return RunMemory(n, row_bytes, layers, self._budget)
        size = self.blocker.size
        n = size if isinstance(size, int) else self.blocker.held
        gram_bytes = self.blocker.gram_bytes(n)
        return RunMemory(self.blocker.held, self.blocker.held_bytes, layers, gram_bytes)

    def reducer(self, joins_next: bool) -> Reduce | None:
        """Say what the hooks shall make of the rows of the coming batch.

        Args:
            joins_next: Whether the batch after it is joined to it.
        """
        reduce = self.blocker.reducer(joins_next)
        return None if self._leaves_out else reduce

    def take(
        self,
        slices: list[Slice],
        number: int,
        on_rows: OnRows | None,
        *,
        is_ours: bool,
        fresh: Sequence[int] | None = None,
    ) -> None:
        """Take the rows of a batch; of one that is not ours only the layers.

        Args:
            slices: What the sides gave.
            number: Of the batch.
            on_rows: Told of the progress in large blocks.
            is_ours: Whether its rows are for this run.
            fresh: The samples that count, where others have come before; None for all.
        """
        slices = self._compared(slices)
        if not self._settled:
            check_layers(self.names, self._layers)
            self._settled = True
        if not is_ours:
            self.blocker.settle(slices)
            return
        self.position.match(slices)
        kept = self._kept(slices, number, fresh)
        if kept is not None:
            self.blocker.settle(slices)
            slices = only_samples(slices, kept)
        if isinstance(self.blocker, Gatherer):
            self.blocker.at = BatchPosition(number, self.position.n_samples)
        else:
            self.places.add_batch(number, self.position.n_samples, slices[0], kept)
        if slices[0].items:
            self._accumulate(self.blocker.push(slices, number), on_rows)
        self.position.n_rows += slices[0].n

    def count(self, items: int) -> None:
        """Be done with a batch.

        Args:
            items: Its number of samples, those that are left out included.
        """
        self.position.batches += 1
        self.position.n_samples += items

    def take_piece(self, piece: Piece, on_rows: OnRows | None) -> None:
        """Take rows that waited in another process.

        Args:
            piece: Of a batch after those that are held.
            on_rows: Told of the progress in large blocks.
        """
        self._accumulate(self.tail.take(piece), on_rows)

    def close(self, on_rows: OnRows | None) -> None:
        """Put the last rows into blocks.

        Args:
            on_rows: Told of the progress in large blocks.

        Raises:
            NotEnoughSamplesError: There were too few rows.
        """
        self._refuse_if_all_dropped()
        if self.blocker.held or not self.position.blocks:  # else all rows are in blocks
            self._accumulate(self.blocker.close(), on_rows)
        self.position.closed = True

    def close_own(self, fewest: int, on_rows: OnRows | None) -> None:
        """Put the last batches of a share into a block, where each batch is one.

        Args:
            fewest: Below so many rows they wait for those of the other processes.
            on_rows: Told of the progress in large blocks.
        """
        if self.tail.size == "batch" and self.tail.held >= fewest:
            self._accumulate(self.tail.close(), on_rows)

    def close_together(self, processes: Processes, on_rows: OnRows | None) -> None:
        """Put the rows of all processes into one block; process 0 takes it.

        Args:
            processes: All of them.
            on_rows: Told of the progress.
        """
        if not isinstance(self.blocker, Gatherer):
            raise TypeError("a run with a tail joins that.")
        if not processes.rank:
            self._refuse_if_all_dropped()
        ring, block = self.blocker.join(processes)
        if block is None:
            ring.serve()
            return
        self._accumulate([block], on_rows)
        ring.end()
        self.position.closed = True

    def add_shares(self, shares: Sequence[Share], *, of_own_samples: bool) -> None:
        """Take over what other processes say of their parts.

        Args:
            shares: Of the others.
            of_own_samples: Whether each was given other samples.
        """
        for each in shares:
            self.position.add(each.position, of_own_samples=of_own_samples)
            self.told["notes"] += each.notes
            self.told["warnings"] += each.warnings
            if not of_own_samples:  # else batches of several have the same number
                self.places.held.update(each.places)

    @property
    def tail(self) -> Blocker:
        """What holds the tail, where that is no recording."""
        if isinstance(self.blocker, Gatherer):
            raise TypeError("a run with block_size='all' has recordings, and no tail.")
        return self.blocker

    def state_dict(self) -> dict[str, Tensor]:
        """The accumulators, the tail, and the position; copies on the CPU, to be saved."""
        kept = {
            "position": asdict(self.position),
            "layers": [list(side.layers) for side in self.names],
            "notes": self.notes,
            "warnings": self.doubts,
            "places": self.places.plain(),
        }
        state = {_STATE: text_tensor(json.dumps(kept))}
        is_one_block = isinstance(self.blocker, Gatherer)
        if not (is_one_block and self.position.closed):
            state |= {_TAIL + name: part for name, part in self.blocker.state_dict().items()}
        if is_one_block and not self.position.closed:
            return state  # its one block may be half taken, and is taken anew
        for number, accumulator in enumerate(self._accumulators):
            for name, part in accumulator.state_dict().items():
                state[f"{number}.{name}"] = part.cpu()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Take over the state of a run of the same sides.

        Args:
            state: What `state_dict()` gave; copied.

        Returns:
            Itself.

        Raises:
            ConfigError: It is of a run with other blocks or measures, or some of it is missing.
        """
        if _STATE not in state:
            raise ConfigError(f"state: expected an entry {_STATE!r}, which is missing.")
        kept = json.loads(tensor_text(state[_STATE]))
        position = Position.from_plain(kept["position"])
        if isinstance(self.blocker, Blocker) or not position.closed:
            self.blocker.load_state_dict(_part(state, _TAIL))
        if isinstance(self.blocker, Blocker) or position.closed:
            for number, accumulator in enumerate(self._accumulators):
                accumulator.load_state_dict(_part(state, f"{number}."))
        self.position = position
        self.places = Places.from_plain(kept["places"])
        self._layers = kept["layers"]
        self.told = {kind: [Note(*note) for note in kept[kind]] for kind in ("notes", "warnings")}
        return self

    def _kept(
        self, slices: Sequence[Slice], number: int, fresh: Sequence[int] | None
    ) -> list[int] | None:
        """The samples of a batch that count; None for all."""
        if fresh is None and not self._drops:
            return None
        items = slices[0].items
        kept = list(range(items)) if fresh is None else list(fresh)
        self.position.repeated += items - len(kept)
        if self._drops:
            bad = sorted(set(samples_with_bad_rows(slices)) & set(kept))
            if bad:
                self._drop(slices, number, bad)
                kept = [place for place in kept if place not in set(bad)]
        return None if len(kept) == items else kept

    def _drop(self, slices: Sequence[Slice], number: int, bad: Sequence[int]) -> None:
        """Count samples with NaN or infinity, and remember the first of all."""
        ids = slices[0].ids
        known = f", id {ids[bad[0]]!r}" if ids else ""
        sample = f"sample {self.position.n_samples + bad[0]}{known}"
        name = f"{sample}, in {first_bad_layer(slices, bad[0], self.names)}"
        self.position.drop((number, bad[0], name), len(bad))

    def _refuse_if_all_dropped(self) -> None:
        if self.position.first_dropped is not None and not self.position.n_rows:
            raise NotEnoughSamplesError(
                f"all {self.position.dropped:,} samples have NaN or infinity in some layer and are "
                f"left out, the first of them {self.position.first_dropped[2]}. Run the models in "
                "a wider dtype."
            )

    def _accumulate(self, blocks: Iterable[Block], on_rows: OnRows | None) -> None:
        for block in blocks:
            try:
                accumulate(self._accumulators, block, self.names, on_rows)
            except NonFiniteError as error:
                raise self.places.placed(error) from None
            self.position.blocks.append(block.n)
            self.places.let_go(block)

    def _compared(self, slices: list[Slice]) -> list[Slice]:
        """The slices with only the layers that are compared; after the first, they come so."""
        if self._settled or not self._common_layers:
            return slices
        sides = self.names
        shared = shared_names(sides)
        for reader in self._readers:
            for view in range(len(reader.titles)):
                reader.keep(view, shared)
        return [
            each._replace(values=[each.values[side.layers.index(name)] for name in shared])
            for each, side in zip(slices, sides, strict=True)
        ]


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of a part of a state, without the prefix of their names."""
    length = len(prefix)
    return {name[length:]: part for name, part in state.items() if name.startswith(prefix)}
