"""Rows as they are collected in memory and, where these are too many, in files without a name."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, Protocol

import torch
from torch import Tensor

from hooksim.errors import HooksimError
from hooksim.recording.description import BatchEntry, Description
from hooksim.recording.row_files import map_open_file, write_rows

__all__ = ["HeldRows", "RowStore", "temporary_rows"]


class RowStore(Protocol):
    """Where the rows of a recording go: for each batch the rows of every stored layer, then it."""

    def start(self, description: Description) -> None:
        """Make ready for the first batch.

        Args:
            description: What is known before it.
        """

    def split(self, stored: int) -> None:
        """Begin a new stored layer with the rows that another has so far.

        Args:
            stored: Position of the other.
        """

    def append(self, stored: int, rows: Tensor) -> None:
        """Add the rows that a batch has of one stored layer.

        Args:
            stored: Its position.
            rows: `(n, d)` on the CPU; nobody else changes it.
        """

    def commit(self, entry: BatchEntry) -> None:
        """Take note that the rows of a batch are all there.

        Args:
            entry: The batch.
        """

    def finish(self, description: Description) -> list[Tensor]:
        """End with what is there.

        Args:
            description: Of the whole recording.

        Returns:
            The rows of each stored layer.
        """

    def abandon(self, description: Description) -> None:
        """End before the end of the data, after an error.

        Args:
            description: Up to the last whole batch.
        """


class HeldRows:
    """Keeps rows in memory; beyond a budget, in files without a name.

    Such files take no memory and leave nothing behind, even where the process is killed. They are
    in the folder for temporary files (the environment variable TMPDIR names it).

    State: by stored layer its rows batch by batch, or its file.

    Args:
        budget: Bytes of rows to keep in memory; None for all.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._budget = budget
        self._layers: list[list[Tensor]] = []
        self._files: list[IO[bytes]] = []
        self._bytes = 0
        weakref.finalize(self, _close, self._files)  # where neither end is ever called

    def start(self, description: Description) -> None:
        """Make ready for the first batch.

        Args:
            description: What is known before it.
        """
        self._layers = [[] for _ in description.widths]

    def split(self, stored: int) -> None:
        """Begin a new stored layer with the rows that another has so far.

        Args:
            stored: Position of the other.
        """
        self._layers.append(list(self._layers[stored]))
        if self._files:
            new, old = _nameless_file(), self._files[stored]
            self._files.append(new)
            with temporary_rows():
                old.seek(0)
                while part := old.read(1 << 20):
                    new.write(part)

    def append(self, stored: int, rows: Tensor) -> None:
        """Add the rows that a batch has of one stored layer.

        Args:
            stored: Its position.
            rows: `(n, d)` on the CPU; kept as it is.
        """
        if self._files:
            with temporary_rows():
                write_rows(self._files[stored], rows)
            return
        # Memory that an accelerator copies to is locked, and there is little of it.
        self._layers[stored].append(rows.clone() if rows.is_pinned() else rows)
        self._bytes += rows.nbytes

    def commit(self, entry: BatchEntry) -> None:
        """Move everything to files once there is more than the budget.

        Args:
            entry: The batch.
        """
        if self._budget is None or self._files or self._bytes <= self._budget:
            return
        for parts in self._layers:
            self._files.append(_nameless_file())
            with temporary_rows():
                for rows in parts:
                    write_rows(self._files[-1], rows)
            parts.clear()

    def so_far(self, description: Description) -> list[Tensor]:
        """Join the batches of each layer, one layer after the other, so that two are held at most.

        Args:
            description: Up to now.

        Returns:
            The rows of each stored layer, which are kept.
        """
        if not self._files:
            for parts in self._layers:
                parts[:] = [_joined(list(parts))] if len(parts) > 1 else parts
            return [parts[0] for parts in self._layers]
        layers = zip(self._files, description.dtypes, description.widths, strict=True)
        with temporary_rows():
            return [
                map_open_file(file, getattr(torch, dtype), (description.n_rows, width))
                for file, dtype, width in layers
            ]

    def finish(self, description: Description) -> list[Tensor]:
        """End with what there is.

        Args:
            description: Of the whole recording.

        Returns:
            The rows of each stored layer.
        """
        found = self.so_far(description)
        self._layers.clear()
        _close(self._files)
        return found

    def abandon(self, description: Description) -> None:
        """Keep nothing.

        Args:
            description: Up to the last whole batch.
        """
        self._layers.clear()
        _close(self._files)


def _close(files: list[IO[bytes]]) -> None:
    for file in files:
        with suppress(OSError):  # of what could not be written, which was said where it was needed
            file.close()
    files.clear()


@contextmanager
def temporary_rows() -> Iterator[None]:
    """Say in one line that the disk with the temporary files is full."""
    try:
        yield
    except OSError as error:
        raise HooksimError(
            f"the rows exceed memory_budget, and cannot be written to a temporary file: "
            f"{error.strerror or error}. Select fewer layers, make room, or name a larger disk by "
            "the environment variable TMPDIR."
        ) from error


def _joined(parts: list[Tensor]) -> Tensor:
    """One tensor of the parts, which are let go."""
    joined = torch.cat(parts) if len(parts) > 1 else parts[0]
    parts.clear()
    return joined


def _nameless_file() -> IO[bytes]:
    try:
        return TemporaryFile()
    except OSError as error:
        raise HooksimError(
            f"the rows exceed memory_budget, and there is no temporary file for them: "
            f"{error.strerror}. Select fewer layers, allow more open files (ulimit -n), or record "
            "to a path."
        ) from error
