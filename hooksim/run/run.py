"""One run over sides and pairs of sides: from a loader to filled accumulators."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Any, Literal, Self

from torch import Tensor

from hooksim.accumulators.base import Accumulator, SideNames, accumulate
from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker
from hooksim.blocks.pieces import Piece
from hooksim.blocks.sizes import BlockSize
from hooksim.blocks.tail import tensor_text, text_tensor
from hooksim.capture.side import Reader
from hooksim.capture.slices import Slice
from hooksim.capture.stream import stream
from hooksim.distributed import Processes
from hooksim.errors import ConfigError, LayerNotFoundError, Note
from hooksim.run.gatherer import Gatherer
from hooksim.run.position import Position
from hooksim.run.together import SampleRoll, Share, check_agreed, give_share, take_shares

__all__ = ["Run"]

_BUDGET = 2 << 30  # bytes that rows, and as many that Gram matrices, may take in memory
_STATE = "run"  # what is no tensor
_TAIL = "tail."


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
        processes: Those that make the run together, each of them some batches of the same loader;
            None for a run of this process alone.

    Attributes:
        position: How far it has come in the data, and what it has seen there.
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
        processes: Processes | None = None,
    ) -> None:
        self.position = Position()
        self._number = 0  # of the batch that is read or passed over now
        self._told: dict[str, list[Note]] = {"notes": [], "warnings": []}  # by earlier runs
        self._layers: list[list[str]] = []  # those of an earlier run
        self._processes = processes
        self._block_size = block_size
        self._readers = list(readers)
        self._accumulators = list(accumulators)
        self._speaking = self._accumulators if speaking is None else list(speaking)
        self._minimum = minimum
        self._common_layers = common_layers
        self._ahead = block_size in ("batch", "auto")  # where a small last batch may be joined
        budget = _BUDGET if memory_budget is None else memory_budget
        dtype = max(
            (accumulator.gram_dtype for accumulator in accumulators), key=lambda kind: kind.itemsize
        )
        blocker = partial(
            Blocker,
            dtype=dtype,
            minimum=minimum,
            needs=needs,
            with_rows=any(accumulator.needs_rows for accumulator in accumulators),
            gram_budget=budget,
        )
        self._blocker = (
            Gatherer(self._readers, blocker, budget) if block_size == "all" else blocker(block_size)
        )

    def execute(
        self,
        loader: Iterable[Any],
        *,
        max_samples: int | None = None,
        on_batch: Callable[[int], None] | None = None,
        on_rows: Callable[[int, int], None] | None = None,
    ) -> None:
        """Read the loader once, to its end.

        Args:
            loader: Any iterable of batches.
            max_samples: Loader items to read; None for all.
            on_batch: Called after each batch with its number of items.
            on_rows: Called with the rows of a block that are taken, and with all it has.

        Raises:
            HooksimError: Whatever the parts refuse; models and hooks are as before then too.
        """
        start = self.position.batches
        self._number = 0
        roll = SampleRoll()
        if self._processes is not None:
            check_agreed(self._processes, {**self._settings(), "max_samples": max_samples})
            loader = roll.watch(loader)
        with ExitStack() as stack:
            for reader in self._readers:
                stack.enter_context(reader)

            def passed(items: int) -> None:
                self._count(items, on_batch)

            batches = stream(
                self._readers,
                loader,
                self._blocker.reducer,
                max_samples=max_samples,
                reads=lambda number: number == 0 or self._takes(number, start),
                passed=passed,
                smallest=max(4, self._minimum),
                ahead=self._ahead,
            )
            for slices in batches:
                self._read(slices, start, on_rows)
                passed(slices[0].items)
                del slices  # or its Gram matrices would stay while the next batch makes its own
            if max_samples is None or self.position.n_samples < max_samples:
                for reader in self._readers:
                    reader.finish(self.position.n_samples)
        if self._processes is not None:
            self._join(self._processes, roll, on_rows)
        elif not self.position.closed:
            self._close(on_rows)

    def state_dict(self) -> dict[str, Tensor]:
        """The accumulators, the tail, and the position; copies on the CPU, to be saved.

        Whole between two batches, such as where `execute` calls `on_batch`.

        Returns:
            Tensors by name; what is none is in the bytes of JSON.

        Raises:
            ConfigError: Every sample is in one block: such a run has recordings instead.
        """
        kept = {
            "position": asdict(self.position),
            "layers": [list(side.layers) for side in self.names],
            "notes": self.notes,
            "warnings": self._doubts,
        }
        state = {_STATE: text_tensor(json.dumps(kept))}
        state |= {_TAIL + name: part for name, part in self._stateful().state_dict().items()}
        for number, accumulator in enumerate(self._accumulators):
            for name, part in accumulator.state_dict().items():
                state[f"{number}.{name}"] = part.cpu()
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
        if _STATE not in state:
            raise ConfigError(f"state: expected an entry {_STATE!r}, which is missing.")
        kept = json.loads(tensor_text(state[_STATE]))
        self._stateful().load_state_dict(_part(state, _TAIL))
        for number, accumulator in enumerate(self._accumulators):
            accumulator.load_state_dict(_part(state, f"{number}."))
        self.position = Position(**kept["position"])
        self._layers = kept["layers"]
        self._told = {kind: [Note(*note) for note in kept[kind]] for kind in ("notes", "warnings")}
        return self

    @property
    def names(self) -> list[SideNames]:
        """What messages call the sides and their layers; complete after the first batch."""
        return [
            SideNames(title, reader.names(view))
            for reader in self._readers
            for view, title in enumerate(reader.titles)
        ]

    @property
    def warnings(self) -> list[Note]:
        """What should make a user doubt the values."""
        found = self._doubts
        for accumulator in self._speaking:
            found += accumulator.notes(self.names)
        return list(dict.fromkeys(found))

    @property
    def notes(self) -> list[Note]:
        """What the readers left out or chose."""
        own = (note for reader in self._readers for note in reader.notes)
        return list(dict.fromkeys([*self._told["notes"], *own]))

    @property
    def _doubts(self) -> list[Note]:
        """What the readers and the blocker warn of."""
        own = (note for reader in self._readers for note in reader.warnings)
        return list(dict.fromkeys([*self._told["warnings"], *own, *self._blocker.notes]))

    def _stateful(self) -> Blocker:
        """What holds the tail."""
        if isinstance(self._blocker, Gatherer):
            raise ConfigError(
                "state: a run with block_size='all' holds recordings, and no tail to be saved. Use "
                "an integer block_size."
            )
        return self._blocker

    def _read(
        self, slices: list[Slice], start: int, on_rows: Callable[[int, int], None] | None
    ) -> None:
        """Take the rows of a batch; of the first, where an earlier run has them, only the layers.

        The first batch settles what a model's layers are, and so is read by every run.
        """
        slices = self._compared(slices)
        if self._number == 0:
            self._check_layers()
        if self._takes(self._number, start):
            self.position.match(slices)
            self._take(self._blocker.push(slices, self._number), on_rows)
            self.position.n_rows += slices[0].n
        elif isinstance(self._blocker, Blocker):
            self._blocker.settle(slices)

    def _takes(self, number: int, start: int) -> bool:
        """Whether the rows of a batch are for this run."""
        return number >= start and (self._processes is None or self._processes.reads(number))

    def _count(self, items: int, on_batch: Callable[[int], None] | None) -> None:
        """Be done with a batch, unless an earlier run was."""
        self._number += 1
        if self._number > self.position.batches:
            self.position.batches = self._number
            self.position.n_samples += items
        if self._processes is not None:
            self._processes.batch = self._number
            self._processes.look()
        if on_batch is not None:
            on_batch(items)

    def _close(self, on_rows: Callable[[int, int], None] | None) -> None:
        """Put the last rows into blocks."""
        self._take(self._blocker.close(), on_rows)
        self.position.closed = True

    def _join(
        self,
        processes: Processes,
        roll: SampleRoll,
        on_rows: Callable[[int, int], None] | None,
    ) -> None:
        """Make one run of those of all processes, on every one of them."""
        blocker = self._stateful()
        check_agreed(processes, {side.title: list(side.layers) for side in self.names}, layers=True)
        pieces = blocker.release()
        origins = [piece.origin for piece in pieces]
        share = Share(self.position, origins, self.notes, self._doubts, roll.digest)
        shares = processes.exchange(share)
        roll.check(processes, [each.samples for each in shares])
        if processes.rank:
            give_share(processes, self._accumulators, pieces)
        else:
            for each in shares[1:]:
                self.position.add(each.position)
                self._told["notes"] += each.notes
                self._told["warnings"] += each.warnings

            def take(piece: Piece) -> None:
                self._take(blocker.take(piece), on_rows)

            tails = [each.origins for each in shares]
            take_shares(processes, self._accumulators, pieces, tails, take)
            self._close(on_rows)
        processes.exchange(None)  # before what comes, hear whether it comes
        state = processes.broadcast(None if processes.rank else self.state_dict())
        if processes.rank:
            self.load_state_dict(state)

    def _settings(self) -> dict[str, Any]:
        """What all processes must be asked for; plain data."""
        kinds = [[type(each).__name__, each.options()] for each in self._accumulators]
        return {"block_size": self._block_size, "measures": kinds}

    def _check_layers(self) -> None:
        """Refuse to go on with other layers than those of the state."""
        for names, before in zip(self.names, self._layers, strict=False):
            if list(names.layers) != before:
                raise ConfigError(
                    f"state: expected the {len(names.layers)} layers of {names.title}, "
                    f"{_few(names.layers)}, got {_few(before)}. Go on with the models and layers "
                    "that the run began with."
                )

    def _take(self, blocks: Iterator[Block], on_rows: Callable[[int, int], None] | None) -> None:
        for block in blocks:
            accumulate(self._accumulators, block, self.names, on_rows)
            self.position.blocks.append(block.n)

    def _compared(self, slices: list[Slice]) -> list[Slice]:
        """The slices with only the layers that are compared; after the first, they come so."""
        if self._number or not self._common_layers:
            return slices
        sides = self.names
        shared = _shared_names(sides)
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


def _few(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")


def _shared_names(sides: Sequence[SideNames]) -> list[str]:
    """The layers that every side has, by name, in the order of the first."""
    shared = [name for name in sides[0].layers if all(name in side.layers for side in sides)]
    if not shared:
        examples = " and ".join(f"{side.layers[0]!r} of {side.title}" for side in sides)
        raise LayerNotFoundError(
            f"pairs='same_name': no layer has the same name on both sides, for example "
            f"{examples}. Use pairs='all'."
        )
    return shared
