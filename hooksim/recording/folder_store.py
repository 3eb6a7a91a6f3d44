"""A recording on disk as it grows: how far it came can be read at any moment."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from torch import Tensor

from hooksim.errors import ConfigError, HooksimError
from hooksim.recording.description import BatchEntry, Description
from hooksim.recording.folder import (
    LOG,
    METADATA,
    check_folder,
    open_rows,
    row_file,
    writing,
)
from hooksim.recording.format import END, document, entry_line, header_line
from hooksim.recording.row_files import write_rows

__all__ = ["FolderStore"]


class FolderStore:
    """Appends rows to the files of a folder, and then a line to its log.

    Nothing is written twice, and nothing under another name than its own: where the process is
    killed, the log says which batches are whole. A recording that is overwritten is lost when the
    first batch comes.

    State: the log, open; the folders that were made.

    Args:
        path: The folder.
        overwrite: Replace a recording that stands there.

    Raises:
        ConfigError: Something stands there that may not be replaced, or nothing can be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        check_folder(path, overwrite=overwrite)
        self.path = Path(path).expanduser()
        self._overwrite = overwrite
        self._log: IO[bytes] | None = None
        self._made: list[Path] = []
        self._stored = 0

    def start(self, description: Description) -> None:
        """Make the folder and begin the log.

        Args:
            description: What is known before the first batch.

        Raises:
            ConfigError: Somebody else has written there meanwhile.
            HooksimError: The folder cannot be made.
        """
        check_folder(self.path, overwrite=self._overwrite)
        self._stored = len(description.widths)
        with writing(self.path):
            self._make_folder()
            old = [file for file in self.path.iterdir() if file.name != METADATA]
            for file in old:
                file.unlink()
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
        new = self.path / row_file(self._stored)
        self._stored += 1
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
        # Opened each time: hundreds of layers would use up the handles that a process may have.
        with writing(self.path), (self.path / row_file(stored)).open("ab") as file:
            write_rows(file, rows)

    def commit(self, entry: BatchEntry) -> None:
        """Write that the rows of a batch are all there.

        Args:
            entry: The batch.

        Raises:
            HooksimError: It cannot be written.
        """
        with writing(self.path):
            self._write_log(entry_line(entry))

    def finish(self, description: Description) -> list[Tensor]:
        """Bring everything to the disk, write the description, and remove the log.

        Args:
            description: Of the whole recording.

        Returns:
            The rows of each stored layer, over their files.

        Raises:
            HooksimError: It cannot be written.
        """
        with writing(self.path):
            if description.complete:
                self._write_log(END)
            for stored in range(len(description.widths)):
                with (self.path / row_file(stored)).open("rb+") as file:
                    # What a batch that was not finished has left is cut off.
                    file.truncate(description.row_bytes(stored))
                    os.fsync(file.fileno())
            for stored in range(len(description.widths), self._stored):
                (self.path / row_file(stored)).unlink(missing_ok=True)
            text = document(description)
            with (self.path / METADATA).open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._open_log().close()
            (self.path / LOG).unlink()
        return open_rows(self.path, description)

    def abandon(self, description: Description) -> None:
        """Leave what there is as an incomplete recording, or nothing at all.

        Args:
            description: Up to the last whole batch.
        """
        # The error that brought us here matters more than one now, and the log stays right.
        with suppress(OSError, HooksimError):
            if description.n_samples:
                self.finish(description)
            else:
                self._remove()
        if self._log is not None:
            self._log.close()

    def _make_folder(self) -> None:
        missing = [each for each in (self.path, *self.path.parents) if not each.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self._made = missing

    def _open_log(self) -> IO[bytes]:
        if self._log is None:
            try:
                self._log = (self.path / LOG).open("xb")
            except FileExistsError as error:
                raise ConfigError(
                    f"'{self.path}': somebody else records there now. Choose another folder."
                ) from error
        return self._log

    def _write_log(self, line: bytes) -> None:
        log = self._open_log()
        log.write(line)
        log.flush()

    def _remove(self) -> None:
        if self._log is not None:  # else the files are not ours
            for name in (LOG, METADATA, *map(row_file, range(self._stored))):
                (self.path / name).unlink(missing_ok=True)
        for folder in self._made:
            folder.rmdir()
