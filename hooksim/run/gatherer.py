"""Every sample of all sides in one block: live sides are recorded until the data end."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker
from hooksim.blocks.tail import tensor_text, text_tensor
from hooksim.capture.reader import View
from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition, Slice
from hooksim.distributed import Processes
from hooksim.errors import ConfigError, Note
from hooksim.recording import Recorder, Recording, RecordingReader
from hooksim.recording.format import document, parse
from hooksim.run.layout import HeldBatch
from hooksim.run.ring import Ring
from hooksim.run.ring_block import ring_block

__all__ = ["Gatherer"]

_COUNTS = "gatherer"  # what is no tensor, beside the recordings
_DESCRIPTION, _ROWS = "description", "rows"


class Gatherer:
    """Takes the rows of all sides batch by batch and hands out one block of them at the end.

    Stands where a `Blocker` does. What a recording holds already is not copied.

    State: a recording of each live side, and how many samples there are.

    Args:
        readers: What gives the rows; the sides that they serve, one after the other.
        make_blocker: Makes a blocker for blocks of so many rows.
        budget: Bytes of rows to hold in memory; beyond, they go to temporary files.
        copies_all: Copy what a recording holds too, since not all of it counts.

    Attributes:
        notes: None: there is nothing to warn of.
        at: Where the batch that is pushed stands in the data, for messages.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        make_blocker: Callable[[int], Blocker],
        budget: int,
        *,
        copies_all: bool = False,
    ) -> None:
        self.notes: list[Note] = []
        self.at: BatchPosition | None = None
        self._readers = list(readers)
        self._make_blocker = make_blocker
        live = [each for each in self._readers if copies_all or each.whole(0) is None]
        share = budget // max(1, sum(len(reader.titles) for reader in live))
        self._budget = budget
        self._recorders = {
            index: [Recorder(reader, view, budget=share) for view in range(len(reader.titles))]
            for index, reader in enumerate(self._readers)
            if reader in live
        }
        self._finished: dict[int, list[Recording]] = {}
        self._loaded: dict[tuple[int, int], Recording] = {}  # of a state, until names are known
        self._batches: list[HeldBatch] = []
        self._n_samples = 0
        self._n_rows = 0
        self._device: torch.device | None = None  # of the first live side's rows

    @property
    def held(self) -> int:
        """Number of rows so far."""
        return self._n_rows

    @property
    def held_bytes(self) -> int:
        """Memory of what was recorded, in temporary files too."""
        recorders = (each for own in self._recorders.values() for each in own)
        recordings = (each for own in self._finished.values() for each in own)
        finished = (rows.nbytes for recording in recordings for rows in recording.tensors)
        return sum(each.n_bytes for each in recorders) + sum(finished)

    def reducer(self, joins_next: bool) -> None:
        """What the hooks shall make of the rows of the coming batch: they are kept."""

    def push(self, sides: Sequence[Slice], batch: int | None = None) -> Iterator[Block]:
        """Take one batch of all sides; no block is full before the end.

        Raises:
            NonFiniteError: A row of a live side holds NaN or infinity.
        """
        self._n_samples += sides[0].items
        self._n_rows += sides[0].n
        lengths = None if sides[0].lengths is None else list(sides[0].lengths)
        number = len(self._batches) if batch is None else batch
        self._batches.append(HeldBatch(number, sides[0].n, lengths))
        rest = iter(sides)
        for index, reader in enumerate(self._readers):
            parts = [next(rest) for _ in reader.titles]
            for recorder, part in zip(self._recorders.get(index, ()), parts, strict=False):
                if self._device is None:
                    self._device = part.values[0].device
                recorder.put(part, self.at)
        yield from ()

    def settle(self, sides: Sequence[Slice]) -> None:
        """Look at the first batch, where its rows are for somebody else.

        Args:
            sides: What each side gave.
        """
        rest = iter(sides)
        for index, reader in enumerate(self._readers):
            parts = [next(rest) for _ in reader.titles]
            for view, (recorder, part) in enumerate(
                zip(self._recorders.get(index, ()), parts, strict=False)
            ):
                if self._device is None:
                    self._device = part.values[0].device
                loaded = self._loaded.pop((index, view), None)
                if loaded is not None:
                    _replay(loaded, recorder)

    def state_dict(self) -> dict[str, Tensor]:
        """What was recorded up to now, at any time; not copied."""
        counts = [self._n_samples, self._n_rows, self._batches]
        state = {_COUNTS: text_tensor(json.dumps(counts))}
        for (index, view), recording in self._recordings().items():
            name = f"{index}.{view}"
            state[f"{name}.{_DESCRIPTION}"] = text_tensor(document(recording.description).decode())
            for stored, rows in enumerate(recording.tensors):
                state[f"{name}.{_ROWS}.{stored}"] = rows
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Take over what was recorded, once the first batch has shown what the layers are.

        Args:
            state: What `state_dict()` gave.

        Returns:
            Itself.

        Raises:
            ConfigError: Some of it is missing.
        """
        try:
            self._n_samples, self._n_rows, batches = json.loads(tensor_text(state[_COUNTS]))
            self._batches = [HeldBatch(*each) for each in batches]
            for name in [name for name in state if name.endswith(_DESCRIPTION)]:
                prefix = name.removesuffix(_DESCRIPTION)
                description = parse(Path(), "state", tensor_text(state[name]).encode())
                stored = range(len(description.widths))
                rows = [state[f"{prefix}{_ROWS}.{each}"] for each in stored]
                index, view = map(int, prefix.split(".")[:2])
                self._loaded[index, view] = Recording(description, rows)
        except KeyError as error:
            raise ConfigError(f"state: expected an entry {error}, which is missing.") from error
        return self

    def _recordings(self) -> dict[tuple[int, int], Recording]:
        """What there is of each side that is recorded."""
        found = dict(self._loaded)
        for index, recorders in self._recorders.items():
            for view, recorder in enumerate(recorders):
                so_far = recorder.so_far()
                if so_far is not None:
                    found[index, view] = so_far
        for index, recordings in self._finished.items():
            found |= {(index, view): each for view, each in enumerate(recordings)}
        return found

    def close(self) -> Iterator[Block]:
        """Hand out the block.

        Raises:
            NotEnoughSamplesError: There were too few rows.
        """
        blocker = self._make_blocker(max(1, self._n_rows))
        if self._n_samples:
            yield from blocker.push(self._placed(self._whole()))
        yield from blocker.close()

    def join(self, processes: Processes) -> tuple[Ring, Block | None]:
        """Make one block of the rows of all processes, each of which has copied all sides.

        Args:
            processes: All of them.

        Returns:
            What the others serve with, and in process 0 the block.

        Raises:
            NotEnoughSamplesError: There are too few rows.
        """
        recordings = []
        if self._n_rows:
            for index in range(len(self._readers)):
                recordings += [each.finish() for each in self._recorders.pop(index)]
        blocker = self._make_blocker(1)
        device = self._device or torch.device("cpu")
        return ring_block(processes, recordings, self._batches, blocker, device, self._budget)

    def _whole(self) -> list[Slice]:
        """All rows of each side, in one piece."""
        found = []
        for index, reader in enumerate(self._readers):
            if index in self._recorders:
                self._finished[index] = [each.finish() for each in self._recorders[index]]
                del self._recorders[index]
                for recording in self._finished[index]:
                    found += RecordingReader(recording, [View("")]).whole(self._n_samples)
            else:
                found += reader.whole(self._n_samples) or []
        return found

    def _placed(self, sides: list[Slice]) -> list[Slice]:
        """The rows on the device where the models gave them, if they fit the budget there."""
        device = self._device
        distinct = {id(value): value for side in sides for value in side.values}
        size = sum(value.nbytes for value in distinct.values())
        if device is None or device.type == "cpu" or size > self._budget:
            return sides
        moved: dict[int, Tensor] = {key: value.to(device) for key, value in distinct.items()}
        return [
            side._replace(
                values=[moved[id(value)] for value in side.values],
                groups=None if side.groups is None else side.groups.to(device),
            )
            for side in sides
        ]


def _replay(recording: Recording, recorder: Recorder) -> None:
    """Give a recorder what was recorded before, batch by batch."""
    reader = RecordingReader(recording, [View("")])
    first = 0
    for number, size in enumerate(recording.batch_lengths or ()):
        [part] = reader.read(range(size), None, BatchPosition(number, first))
        recorder.put(part)
        first += size
