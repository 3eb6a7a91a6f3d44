"""What is known of a recording besides its rows; grows batch by batch, and is plain data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hooksim.capture.rows import Rows
from hooksim.errors import Note

__all__ = ["REPEATED", "BatchEntry", "Description"]

REPEATED = "repeated_sample_ids"
"""Code of the note that equal sample ids show nothing."""

_PARTIAL = {
    "sample_ids": "sample ids came with some batches only, so none are kept",
    "inputs": "the inputs of some batches could not be hashed, so no hashes are kept",
}


_HUGE = 1 << 48


@dataclass
class BatchEntry:
    """What one batch adds to a recording.

    Args:
        samples: Number of loader items.
        rows: Number of rows; differs from `samples` for token rows only.
        sample_ids: One a sample, where the data have ids.
        inputs: A fingerprint of each sample's input, where there is one.
        lengths: For token rows the number of tokens of each sample.
        notes: What the reader has noted since the batch before.
        positions: The positions from here on, where they have changed: layers that shared their
            rows so far no longer do.
    """

    samples: int
    rows: int
    sample_ids: list[str] | None = None
    inputs: list[str] | None = None
    lengths: list[int] | None = None
    notes: list[Note] = field(default_factory=list)
    positions: list[int] | None = None


@dataclass
class Description:
    """Names, sizes and provenance of a recording.

    Layers that gave the very same tensor are stored once, so there are at most as many stored
    layers as names.

    Args:
        names: Dotted names of the layers.
        positions: For each layer its stored layer.
        widths: d of each stored layer.
        dtypes: Type of each stored layer.
        rows: How activations became rows; None for tensors that somebody else made.
        model: Class name of the model, or what stands for it.
        n_samples: Loader items.
        n_rows: Rows; more than samples where these are tokens.
        sample_ids: One a sample; None where there are none.
        inputs: A fingerprint of each sample's input; None where there are none.
        lengths: For token rows the number of tokens of each sample; else None.
        batch_lengths: Samples of each batch; None where there were no batches.
        notes: What the reader left out or chose, and what else a user should read.
        complete: Whether the data were read to their end.
        checksums: CRC-32 of each stored layer's file; None where they are not known.
    """

    names: list[str]
    positions: list[int]
    widths: list[int]
    dtypes: list[Literal["float32", "float64"]]
    rows: Rows | None
    model: str
    n_samples: int = 0
    n_rows: int = 0
    sample_ids: list[str] | None = field(default_factory=list)
    inputs: list[str] | None = field(default_factory=list)
    lengths: list[int] | None = field(default_factory=list)
    batch_lengths: list[int] | None = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    complete: bool = False
    checksums: list[int] | None = None

    def add(self, entry: BatchEntry) -> None:
        """Take in what a batch adds.

        Args:
            entry: The batch.
        """
        for name in ("sample_ids", "inputs", "lengths"):
            self._extend(name, getattr(entry, name))
        if entry.positions is not None:
            self.split(entry.positions)
        if self.batch_lengths is not None:
            self.batch_lengths.append(entry.samples)
        self.notes += entry.notes
        self.n_samples += entry.samples
        self.n_rows += entry.rows

    def close(self, complete: bool) -> None:
        """End the recording, and say what makes its samples hard to tell apart.

        Args:
            complete: Whether the data were read to their end.
        """
        self.complete = complete
        ids = self.sample_ids or []
        if len(set(ids)) < len(ids):
            name, count = Counter(ids).most_common(1)[0]
            text = (
                f"sample ids occur more than once ({name!r} {count} times), so equal ids do not "
                "show that samples are in the same order"
            )
            self._note(REPEATED, text)

    def row_bytes(self, stored: int) -> int:
        """Count the bytes of a stored layer.

        Args:
            stored: Its position.

        Returns:
            Bytes of all its rows.
        """
        return self.n_rows * self.widths[stored] * (8 if self.dtypes[stored] == "float64" else 4)

    def split(self, positions: Sequence[int]) -> None:
        """Store layers of their own that shared their rows so far.

        Args:
            positions: The new positions; those beyond the stored layers are new ones.
        """
        for old, new in zip(self.positions, positions, strict=True):
            if new == len(self.widths):
                self.widths.append(self.widths[old])
                self.dtypes.append(self.dtypes[old])
        self.positions = list(positions)

    def fault(self) -> str | None:
        """Say what does not fit together, for a description that was read from a file.

        Returns:
            A clause, or None where all is well.
        """
        stored = len(self.widths)
        parts = {"sample_ids": self.n_samples, "inputs": self.n_samples, "lengths": self.n_samples}
        wrong_size = self._wrong_size()
        if wrong_size is not None:
            return wrong_size
        if not self.names or len(set(self.names)) < len(self.names):
            return "a layer is named twice, or there is none"
        if len(self.positions) != len(self.names) or len(self.dtypes) != stored:
            return "layers, positions, widths and dtypes are not as many as each other"
        if self.checksums is not None and len(self.checksums) != stored:
            return f"{len(self.checksums)} checksums for {stored} stored layers"
        if set(self.positions) != set(range(stored)):
            return f"the positions do not fit {stored} stored layers"
        for name, count in parts.items():
            listed = getattr(self, name)
            if listed is not None and len(listed) != count:
                return f"{len(listed)} {name} for {count} samples"
        if self.rows is not None and self.rows.policy == "token" and self.lengths is None:
            return "lengths: null, but token rows need the number of tokens of each sample"
        if self.batch_lengths is not None and sum(self.batch_lengths) != self.n_samples:
            return f"batches of {sum(self.batch_lengths)} samples in all, not {self.n_samples}"
        rows = self.n_samples if self.lengths is None else sum(self.lengths)
        return None if self.n_rows == rows else f"{self.n_rows} rows, {rows} expected"

    def _wrong_size(self) -> str | None:
        """The first number that is too small or too large, by its key."""
        least = {"n_samples": 0, "n_rows": 0, "positions": 0, "lengths": 0}
        for key, fewest in (least | {"widths": 1, "batch_lengths": 1}).items():
            held = getattr(self, key)
            for value in [held] if isinstance(held, int) else held or ():
                if not fewest <= value < _HUGE:
                    return f"{key} holds {value}, expected from {fewest} to {_HUGE - 1}"
        return None

    def _extend(self, name: str, more: list[Any] | None) -> None:
        """Keep a list over the samples as long as every batch adds to it."""
        held = getattr(self, name)
        if held is not None and more is not None:
            held.extend(more)
            return
        if (held or more) and name in _PARTIAL:
            self._note(f"partial_{name}", _PARTIAL[name])
        setattr(self, name, None)

    def _note(self, code: str, text: str) -> None:
        note = Note(code, text)
        if note not in self.notes:
            self.notes.append(note)
