"""A recording on disk as it grows: how far it came can be read at any moment."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from torch import Tensor

from hooksim.errors import HooksimError
from hooksim.recording.description import BatchEntry, Description
from hooksim.recording.folder import (
    LOG,
    METADATA,
    as_folder,
    check_folder,
    open_rows,
    row_file,
    writing,
)
from hooksim.recording.format import END, document, entry_line, header_line
from hooksim.recording.log_lock import is_ours, lock_log, refuse_if_held, remove_log
from hooksim.recording.row_files import write_rows

__all__ = ["FolderStore"]


class FolderStore:
    """Appends rows to the files of a folder, and then a line to its log.

    Nothing is written twice, and nothing under another name than its own: where the process is
    killed, the log says which batches are whole. A recording that is overwritten is lost when the
    first batch comes.

    State: the log, open and held, so that nobody else records there; the folders that were made.

    Args:
        path: The folder.
        overwrite: Replace a recording that stands there.

    Raises:
        ConfigError: Something stands there that may not be replaced, or nothing can be written, or
            somebody else records there now.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = as_folder(path)
        check_folder(path, overwrite=overwrite)
        refuse_if_held(self.path / LOG)
        self._overwrite = overwrite
        self._log: IO[bytes] | None = None
        self._made: list[Path] = []
        self._stored = 0
        self._checksums: list[int] = []  # of the whole batches
        self._ahead: dict[int, int] = {}  # of the batch that is being written
        self._begun = False
        self._finished = False

    def start(self, description: Description) -> None:
        """Make the folder and begin the log.

        Args:
            description: What is known before the first batch.

        Raises:
            ConfigError: Somebody else has written there meanwhile, or records there now.
            HooksimError: The folder cannot be made.
        """
        check_folder(self.path, overwrite=self._overwrite)
        self._stored = len(description.widths)
        self._checksums = [0] * self._stored
        with writing(self.path):
            self._make_folder()
            self._log = lock_log(self.path / LOG)
            old = [file for file in self.path.iterdir() if file.name != LOG]
            if old or (self.path / LOG).stat().st_size:
                check_folder(self.path, overwrite=self._overwrite)
            self._begun = True
            for file in old:
                if file.name != METADATA:
                    file.unlink()
            self._log.truncate(0)
            self._write_log(header_line(description))
            # Last: until now it said whose files these are.
            (self.path / METADATA).unlink(missing_ok=True)

    def split(self, stored: int) -> None:
        """Begin a new stored layer with the rows that another has so far.

        Args:
            stored: Position of the other.

        Raises:
            HooksimError: It cannot be written.
        """
        self._refuse_if_taken()
        new = self.path / row_file(self._stored)
        self._stored += 1
        self._checksums.append(self._checksums[stored])
        with writing(self.path):
            shutil.copyfile(self.path / row_file(stored), new)

    def append(self, stored: int, rows: Tensor) -> None:
        """Add the rows that a batch has of one stored layer.

        Args:
            stored: Its position.
            rows: `(n, d)` on the CPU.

        Raises:
            HooksimError: They cannot be written.
        """
        self._refuse_if_taken()
        # Opened each time: hundreds of layers would use up the handles that a process may have.
        with writing(self.path), (self.path / row_file(stored)).open("ab") as file:
            self._ahead[stored] = write_rows(file, rows, self._checksums[stored])

    def commit(self, entry: BatchEntry) -> None:
        """Write that the rows of a batch are all there.

        Args:
            entry: The batch.

        Raises:
            HooksimError: It cannot be written.
        """
        with writing(self.path):
            self._write_log(entry_line(entry))
        for stored, checksum in self._ahead.items():
            self._checksums[stored] = checksum
        self._ahead.clear()

    def finish(self, description: Description) -> list[Tensor]:
        """Bring everything to the disk, write the description, and remove the log.

        Args:
            description: Of the whole recording.

        Returns:
            The rows of each stored layer, over their files.

        Raises:
            HooksimError: It cannot be written, or somebody else has changed the folder.
        """
        self._refuse_if_taken()
        with writing(self.path):
            for stored in range(len(description.widths)):
                self._cut(stored, description.row_bytes(stored))
            if description.complete:
                self._write_log(END)
            for stored in range(len(description.widths), self._stored):
                (self.path / row_file(stored)).unlink(missing_ok=True)
            description.checksums = self._checksums[: len(description.widths)]
            text = document(description)
            with (self.path / METADATA).open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._finished = True
            try:
                return open_rows(self.path, description)
            finally:
                self._let_go()  # not before: the next may wait to overwrite the rows

    def abandon(self, description: Description) -> None:
        """Leave what there is as an incomplete recording, or nothing at all.

        Args:
            description: Up to the last whole batch.
        """
        # The error that brought us here matters more than one now, and the log stays right.
        with suppress(OSError, HooksimError):
            if description.n_samples and not self._finished:
                self.finish(description)
            elif not self._finished:
                self._remove()
        if self._log is not None:
            self._log.close()

    def _make_folder(self) -> None:
        missing = [each for each in (self.path, *self.path.parents) if not each.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self._made = missing

    def _refuse_if_taken(self) -> None:
        """Refuse to touch a folder that is not the one that was begun."""
        if self._log is None or not is_ours(self._log, self.path / LOG):
            raise HooksimError(
                f"'{self.path}': its {LOG} is not the one that was begun. Somebody else has "
                "changed the folder, which is left as it is. Record again, to another one."
            )

    def _cut(self, stored: int, size: int) -> None:
        """Cut off what a batch that was not finished has left, and bring the rest to the disk."""
        with (self.path / row_file(stored)).open("rb+") as file:
            found = os.fstat(file.fileno()).st_size
            if found < size:
                raise HooksimError(
                    f"'{self.path}': the recording cannot be written: {row_file(stored)} holds "
                    f"{found} bytes, but {size} were written: somebody else has changed it. "
                    "Record again, to another folder."
                )
            file.truncate(size)
            os.fsync(file.fileno())

    def _write_log(self, line: bytes) -> None:
        if self._log is not None:
            self._log.write(line)
            self._log.flush()

    def _let_go(self) -> None:
        if self._log is not None:
            remove_log(self._log, self.path / LOG)

    def _remove(self) -> None:
        log = self._log
        if log is not None and is_ours(log, self.path / LOG):  # else the files are not ours
            for name in (METADATA, *map(row_file, range(self._stored))) if self._begun else ():
                (self.path / name).unlink(missing_ok=True)
            if self._begun or not os.fstat(log.fileno()).st_size:
                self._let_go()
        for folder in self._made:
            folder.rmdir()
