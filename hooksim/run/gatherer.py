"""Every sample of all sides in one block: live sides are recorded until the data end."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker
from hooksim.capture.reader import View
from hooksim.capture.side import Reader
from hooksim.capture.slices import Slice
from hooksim.errors import Note
from hooksim.recording import Recorder, RecordingReader

__all__ = ["Gatherer"]


class Gatherer:
    """Takes the rows of all sides batch by batch and hands out one block of them at the end.

    Stands where a `Blocker` does. What a recording holds already is not copied.

    Args:
        readers: What gives the rows; the sides that they serve, one after the other.
        make_blocker: Makes a blocker for blocks of so many rows.
        budget: Bytes of rows to hold in memory; beyond, they go to temporary files.
    """

    def __init__(
        self, readers: Sequence[Reader], make_blocker: Callable[[int], Blocker], budget: int
    ) -> None:
        self.notes: list[Note] = []
        self._readers = list(readers)
        self._make_blocker = make_blocker
        live = [each for each in self._readers if each.whole(0) is None]
        share = budget // max(1, sum(len(reader.titles) for reader in live))
        self._budget = budget
        self._recorders = {
            index: [Recorder(reader, view, budget=share) for view in range(len(reader.titles))]
            for index, reader in enumerate(self._readers)
            if reader in live
        }
        self._n_samples = 0
        self._n_rows = 0
        self._device: torch.device | None = None  # of the first live side's rows

    def reducer(self, joins_next: bool) -> None:
        """What the hooks shall make of the rows of the coming batch: they are kept."""

    def push(self, sides: Sequence[Slice], batch: int | None = None) -> Iterator[Block]:
        """Take one batch of all sides; no block is full before the end.

        Raises:
            NonFiniteError: A row of a live side holds NaN or infinity.
        """
        self._n_samples += sides[0].items
        self._n_rows += sides[0].n
        rest = iter(sides)
        for index, reader in enumerate(self._readers):
            parts = [next(rest) for _ in reader.titles]
            for recorder, part in zip(self._recorders.get(index, ()), parts, strict=False):
                if self._device is None:
                    self._device = part.values[0].device
                recorder.put(part)
        yield from ()

    def close(self) -> Iterator[Block]:
        """Hand out the block.

        Raises:
            NotEnoughSamplesError: There were too few rows.
        """
        blocker = self._make_blocker(max(1, self._n_rows))
        if self._n_samples:
            yield from blocker.push(self._placed(self._whole()))
        yield from blocker.close()

    def _whole(self) -> list[Slice]:
        """All rows of each side, in one piece."""
        found = []
        for index, reader in enumerate(self._readers):
            for recorder in self._recorders.pop(index, ()):
                own = RecordingReader(recorder.finish(), [View("")])
                found += own.whole(self._n_samples)
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
