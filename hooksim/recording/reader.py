"""A recording as a side: gives the rows of a batch as a live model would."""

from collections.abc import Sequence
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from hooksim.capture.alignment import RepeatedIds
from hooksim.capture.batches import batch_size
from hooksim.capture.doubts import DOUBTS
from hooksim.capture.reader import LayerInfo, View
from hooksim.capture.rows import Rows
from hooksim.capture.selectors import Selectors
from hooksim.capture.slices import BatchPosition, Reduce, Slice
from hooksim.errors import AlignmentError, ConfigError, Note
from hooksim.recording.description import REPEATED
from hooksim.recording.recording import INCOMPLETE, Recording
from hooksim.recording.selection import matches_all, select_recorded

__all__ = ["RecordingReader", "layers_for_other_recording"]

_DOUBTS = DOUBTS | {INCOMPLETE, REPEATED}


class RecordingReader:
    """Reads the layers of one recording, for one or several views of it.

    State: the names that each view reads; known at once.

    Args:
        recording: The recording.
        views: What is wanted of it: layers among the recorded ones, None for all; rows `auto` or
            as they were recorded.

    Attributes:
        titles: What each view is called in messages.
        notes: What the recording knows of itself, for each view.
        warnings: That it is incomplete, that its sample ids are repeated, or what makes the values
            of the recorded model doubtful, for each view.

    Raises:
        LayerNotFoundError: A selector matches nothing.
        ConfigError: Other rows are wanted than those that were recorded.

    Example:
        >>> recording = Recording.from_tensors({"x": torch.arange(8.0).view(4, 2)})
        >>> reader = RecordingReader(recording, [View("A")])
        >>> reader.read(range(2), None, BatchPosition(1, 2))[0].values
        [tensor([[4., 5.],
                [6., 7.]])]
    """

    def __init__(self, recording: Recording, views: Sequence[View]) -> None:
        self.recording = recording
        self.titles = [f"recording {view.label} ({recording.model})" for view in views]
        said = [
            Note(note.code, f"{title}: {note.text}")
            for title in self.titles
            for note in recording.notes
        ]
        self.warnings = [note for note in said if note.code in _DOUBTS]
        self.notes = [note for note in said if note.code not in _DOUBTS]
        self._repeated = any(note.code == REPEATED for note in recording.notes)
        self._names = []
        for title, view in zip(self.titles, views, strict=True):
            self._names.append(select_recorded(recording.layers, view.layers, title))
            _check_rows(recording, view.rows, title)
        self._starts = [0, *accumulate(recording.lengths or ())]  # of each sample, for token rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def names(self, view: int) -> list[str]:
        """Give the names of a view's layers, in axis order.

        Args:
            view: Position of the view.

        Returns:
            Dotted names.
        """
        return list(self._names[view])

    def layers(self, view: int) -> list[LayerInfo]:
        """Give what was recorded of a view's layers.

        Args:
            view: Position of the view.

        Returns:
            One entry a layer, in axis order; their shape is that of all rows.
        """
        return [
            LayerInfo(name, "recorded", tuple(rows.shape), rows.shape[1], rows.dtype)
            for name in self._names[view]
            for rows in [self.recording[name]]
        ]

    def keep(self, view: int, names: Sequence[str]) -> None:
        """Read only some layers of a view from now on.

        Args:
            view: Position of the view.
            names: Some of its names, in the order that is wanted.
        """
        self._names[view] = list(names)

    def read(self, item: Any, reduce: Reduce | None, at: BatchPosition) -> list[Slice]:
        """Give the rows of one batch, which share memory with the recording.

        Args:
            item: The loader item: only its number of samples counts.
            reduce: What to make of the rows of a layer; None keeps them.
            at: The batch's position in the data.

        Returns:
            One slice for each view.

        Raises:
            AlignmentError: The batch reaches beyond the recording.
        """
        end = at.first_sample + batch_size(item)
        if end > self.recording.n_samples:
            raise AlignmentError(
                f"{at}: it reaches to sample {end - 1}, but {self._holds()}. Both sides must be of "
                "the same samples in the same order; "
                f"max_samples={self.recording.n_samples} reads no more."
            )
        return self._slices(at.first_sample, end, reduce)

    def whole(self, n_samples: int) -> list[Slice]:
        """Give the first samples in one piece, which shares memory with the recording.

        Args:
            n_samples: How many; the recording holds as many.

        Returns:
            One slice for each view.
        """
        return self._slices(0, n_samples, None)

    def finish(self, n_samples: int) -> None:
        """Check that the data did not end before the recording.

        Args:
            n_samples: Loader items in all.

        Raises:
            AlignmentError: The recording holds more.
        """
        if n_samples < self.recording.n_samples:
            raise AlignmentError(
                f"the data end after {n_samples} samples, but {self._holds()}. Both sides must be "
                f"of the same samples in the same order; max_samples={n_samples} compares only the "
                "first of them."
            )

    def _holds(self) -> str:
        kind = "" if self.recording.complete else ", incomplete,"
        return f"{self.titles[0]}{kind} holds {self.recording.n_samples} samples"

    def _slices(self, start: int, end: int, reduce: Reduce | None) -> list[Slice]:
        recording = self.recording
        first, last, lengths, groups = start, end, None, None
        if recording.lengths is not None:
            first, last = self._starts[start], self._starts[end]
            lengths = tuple(recording.lengths[start:end])
            groups = torch.arange(end - start).repeat_interleave(
                torch.tensor(lengths, dtype=torch.int64)
            )
        made: dict[int, Any] = {}
        for stored in self._stored():
            rows: Tensor = recording.tensors[stored][first:last]
            made[stored] = rows if reduce is None else reduce(rows, groups)
        place = dict(zip(recording.layers, recording.positions, strict=True))
        common = Slice(
            values=[],
            n=last - first,
            items=end - start,
            groups=groups,
            ids=self._ids(start, end),
            lengths=lengths,
            inputs=None if recording.inputs is None else recording.inputs[start:end],
        )
        return [
            common._replace(values=[made[place[name]] for name in names]) for names in self._names
        ]

    def _ids(self, start: int, end: int) -> list[str] | None:
        if self.recording.sample_ids is None:
            return None
        ids = self.recording.sample_ids[start:end]
        return RepeatedIds(ids) if self._repeated else ids

    def _stored(self) -> list[int]:
        """The stored layers that are read, each once."""
        place = dict(zip(self.recording.layers, self.recording.positions, strict=True))
        return list(dict.fromkeys(place[name] for names in self._names for name in names))


def layers_for_other_recording(selectors: Selectors, other: Recording) -> Selectors:
    """Decide what to read of recording B where only the layers of A were named.

    Args:
        selectors: The selectors of A.
        other: Recording B.

    Returns:
        The same selectors where every one matches in `other`, else None: all of its layers.

    Raises:
        ConfigError: A selector is no string, or not a valid regular expression.

    Example:
        >>> recording = Recording.from_tensors({"x": torch.ones(4, 2)})
        >>> layers_for_other_recording("x", recording), layers_for_other_recording("y", recording)
        ('x', None)
    """
    return selectors if matches_all(other.layers, selectors) else None


def _check_rows(recording: Recording, wanted: Rows, title: str) -> None:
    if wanted in (Rows(), recording.rows):
        return
    if recording.rows is None:
        held = "rows as they were given"
    else:
        held = f"rows by {_described(recording.rows)}"
    raise ConfigError(
        f"rows: {title} holds {held}, which cannot become rows by {_described(wanted)}. Give "
        "'auto' for that side: rows=(A's, B's)."
    )


def _described(rows: Rows) -> str:
    """The policy alone where nothing else was set."""
    return repr(rows.policy) if rows == Rows(rows.policy) else repr(rows)
