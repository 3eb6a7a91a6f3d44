"""Collects what a live side gives, batch by batch, into a recording."""

import copy
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from hooksim.capture.rows import Rows
from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition, Slice
from hooksim.errors import (
    HooksimError,
    NonFiniteError,
    Note,
    NotEnoughSamplesError,
)
from hooksim.recording.description import BatchEntry, Description
from hooksim.recording.folder import as_folder
from hooksim.recording.folder_store import FolderStore
from hooksim.recording.held_rows import HeldRows, RowStore
from hooksim.recording.recording import Recording

__all__ = ["Recorder"]


class Recorder:
    """Takes the slices of one side and makes a recording of them.

    A context: where it ends before `finish`, by an error or Ctrl-C, what is on disk becomes an
    incomplete recording, or nothing where no batch was whole; what is in memory is let go.

    State: the rows so far, and what is known of them.

    Args:
        reader: Who gives the slices.
        view: Position of the side among the reader's.
        rows: How activations become rows, to be written down.
        model: Class name of the model, to be written down.
        path: A folder to write to; None to keep the rows in memory.
        overwrite: Replace a recording that stands there.
        budget: Without a path: bytes of rows to keep in memory, beyond which they go to temporary
            files without a name; None for all.

    Raises:
        ConfigError: Something stands at the path that may not be replaced.

    Example:
        >>> from hooksim.capture.reader import ModelReader, View
        >>> from hooksim.capture.stream import stream
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2))
        >>> with ModelReader(model, [View("A")]) as reader, Recorder(reader) as recorder:
        ...     for slices in stream([reader], torch.ones(2, 4, 3), lambda _: None):
        ...         recorder.put(slices[0])
        ...     recorder.finish()["0"].shape
        torch.Size([8, 2])
    """

    def __init__(
        self,
        reader: Reader,
        view: int = 0,
        *,
        rows: Rows | None = None,
        model: str = "",
        path: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        budget: int | None = None,
    ) -> None:
        self._reader = reader
        self._view = view
        self._path = None if path is None else as_folder(path)
        self._store: RowStore = (
            HeldRows(budget) if path is None else FolderStore(path, overwrite=overwrite)
        )
        self._description = Description([], [], [], [], rows, model)
        self._noted: list[Note] = []
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._ended:
            self._description.close(complete=False)
            self._store.abandon(self._description)

    @property
    def n_samples(self) -> int:
        """Samples so far."""
        return self._description.n_samples

    @property
    def at(self) -> BatchPosition:
        """Where the next batch stands in the data, where all batches are put."""
        return BatchPosition(len(self._description.batch_lengths or ()), self.n_samples)

    @property
    def n_bytes(self) -> int:
        """Bytes of the rows so far."""
        return sum(map(self._description.row_bytes, range(len(self._description.widths))))

    def put(self, part: Slice, at: BatchPosition | None = None) -> None:
        """Take the rows of the next batch.

        Args:
            part: What the side gave; its rows are kept and not copied, unless they are on an
                accelerator or go to files.
            at: Where the batch stands in the data, for messages; None where all batches are put.

        Raises:
            NonFiniteError: A row holds NaN or infinity.
            HooksimError: Rows cannot be written, or have another type than in the first batch.
        """
        description = self._description
        at = at or self.at
        positions, given = _distinct(part.values, description.positions)
        rows, suspects = _on_host(given)
        for stored in suspects:
            self._refuse_non_finite(positions.index(stored), rows[stored], part, at)
        if not description.names:
            self._begin(positions, rows)
        self._check_types(positions, rows, at)
        for new in range(len(description.widths), len(rows)):
            self._store.split(description.positions[positions.index(new)])
        for stored, each in enumerate(rows):
            self._store.append(stored, each)
        entry = BatchEntry(
            part.items,
            part.n,
            part.ids,
            part.inputs,
            None if part.lengths is None else list(part.lengths),
            self._new_notes(),
            None if positions == description.positions else positions,
        )
        self._store.commit(entry)
        description.add(entry)

    def so_far(self) -> Recording | None:
        """Give what there is up to now; the recorder goes on.

        Returns:
            A recording of the rows in memory or in temporary files, incomplete; None before the
            first batch.

        Raises:
            HooksimError: The rows go to a folder, from where `Recording.load` reads them.
        """
        if not isinstance(self._store, HeldRows):
            raise HooksimError(f"'{self._path}': read what is recorded there by Recording.load.")
        if not self.n_samples:
            return None
        return Recording(copy.deepcopy(self._description), self._store.so_far(self._description))

    def finish(self) -> Recording:
        """End with a complete recording.

        Returns:
            The recording, in memory or over its files.

        Raises:
            NotEnoughSamplesError: There was no batch.
            HooksimError: It cannot be written.
        """
        if not self.n_samples:
            raise NotEnoughSamplesError(
                "the data has 0 samples. The loader gave no batches; a generator can be read only "
                "once."
            )
        self._description.close(complete=True)
        tensors = self._store.finish(self._description)
        self._ended = True
        return Recording(self._description, tensors, self._path)

    def _begin(self, positions: list[int], rows: Sequence[Tensor]) -> None:
        """Write down what the first batch shows."""
        description = self._description
        description.names = self._reader.names(self._view)
        description.positions = positions
        description.widths = [each.shape[1] for each in rows]
        description.dtypes = [
            "float64" if each.dtype == torch.float64 else "float32" for each in rows
        ]
        self._store.start(description)

    def _check_types(
        self, positions: Sequence[int], rows: Sequence[Tensor], at: BatchPosition
    ) -> None:
        places = zip(positions, self._description.positions, strict=True)
        for layer, (new, old) in enumerate(places):
            found, first = str(rows[new].dtype), f"torch.{self._description.dtypes[old]}"
            if found != first:
                raise HooksimError(
                    f"{self._where(layer, at)}: rows of {found}, {first} in the first batch. Run "
                    "all batches in one precision."
                )

    def _refuse_non_finite(self, layer: int, rows: Tensor, part: Slice, at: BatchPosition) -> None:
        """Name the first row with NaN or infinity; a sum may overflow without one."""
        bad = (~rows.isfinite()).any(dim=1).nonzero().flatten()
        if not len(bad):
            return
        row = int(bad[0])
        place = row if part.groups is None else int(part.groups[row])
        name = f", id {part.ids[place]!r}" if part.ids else ""
        raise NonFiniteError(
            f"{self._where(layer, at)}: {len(bad)} of {len(rows)} rows hold NaN or infinity, the "
            f"first of them row {row} (sample {at.first_sample + place}{name}). Leave those "
            "samples out, or run the model in a wider dtype."
        )

    def _where(self, layer: int, at: BatchPosition) -> str:
        name = self._reader.names(self._view)[layer]
        return f"layer {name!r} of {self._reader.titles[self._view]}, {at}"

    def _new_notes(self) -> list[Note]:
        """What the reader has noted of this side since the last batch."""
        told = [*self._reader.notes, *self._reader.warnings]
        notes = [note for note in told if note not in self._noted]
        self._noted += notes
        prefix = f"{self._reader.titles[self._view]}: "
        own = [note for note in notes if note.text.startswith(prefix)]
        return [Note(note.code, note.text.removeprefix(prefix)) for note in own]


def _distinct(values: Sequence[Tensor], known: Sequence[int]) -> tuple[list[int], list[Tensor]]:
    """For each layer its stored layer, and the rows of each stored layer.

    Layers stay together as long as every batch has given the very same tensor for them.
    """
    known = known or [0] * len(values)
    count = max(known) + 1
    given: dict[int, Tensor] = {}
    apart: dict[tuple[int, int], int] = {}
    positions = []
    for stored, value in zip(known, values, strict=True):
        place = stored
        if given.setdefault(stored, value) is not value:
            place = apart.setdefault((stored, id(value)), count + len(apart))
            given[place] = value
        positions.append(place)
    return positions, [given[place] for place in range(len(given))]


def _on_host(given: Sequence[Tensor]) -> tuple[list[Tensor], list[int]]:
    """Copy rows to the CPU, and tell which of them may hold NaN or infinity.

    All copies are under way before the one look at the sums, which waits for them.
    """
    rows = [each.to("cpu", non_blocking=True) for each in given]
    by_device: dict[torch.device, list[int]] = {}
    for place, each in enumerate(given):
        by_device.setdefault(each.device, []).append(place)
    suspects = []
    for places in by_device.values():
        finite = torch.stack([given[place].sum().isfinite() for place in places]).tolist()
        suspects += [place for place, good in zip(places, finite, strict=True) if not good]
    return rows, sorted(suspects)
