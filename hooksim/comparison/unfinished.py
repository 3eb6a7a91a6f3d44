"""The folder of a run that is not finished: its state, a file for each process, and its lock."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import torch
from torch import Tensor

from hooksim.errors import ConfigError, HooksimError
from hooksim.recording.log_lock import is_held, lock_log, remove_log
from hooksim.storage import SEAL, is_sealed, sealed

__all__ = ["UNFINISHED", "SavedState", "Unfinished"]

UNFINISHED = "unfinished"
"""Name of the folder, inside that of the result."""

_LOCK = "lock"
_ABOUT = "hooksim"  # what is no tensor: JSON in the head of a file of tensors
_CHECKSUMS = "checksums"  # there: CRC-32 of each tensor
_FILE = re.compile(r"process-(0|[1-9][0-9]{0,8})\.safetensors")


class SavedState(NamedTuple):
    """The state of one process.

    Attributes:
        about: Which run it is of, and how far that came; plain data.
        tensors: By name.
    """

    about: dict[str, Any]
    tensors: dict[str, Tensor]


class Unfinished:
    """Where the processes of a run keep its state, each in a file that is replaced as a whole.

    Args:
        out: The folder of the result, which need not be there.

    Attributes:
        out: The same.
        folder: Inside it.

    Example:
        >>> Unfinished(Path("runs/a")).folder.as_posix()
        'runs/a/unfinished'
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / UNFINISHED

    @property
    def is_there(self) -> bool:
        """Whether the state of any process was saved."""
        return bool(self._files())

    @property
    def is_busy(self) -> bool:
        """Whether a run is at work there now."""
        return is_held(self.folder / _LOCK)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all others away from the folder, and leave none behind that holds no state.

        Raises:
            ConfigError: Another run is at work there.
            HooksimError: Nothing can be written there.
        """
        new = [each for each in (self.out, *self.out.parents) if not each.exists()]
        file = self.folder / _LOCK
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = lock_log(file)
        except ConfigError as error:
            raise self._busy() from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            remove_log(lock, file)
            if not self.is_there:
                with suppress(OSError):  # where something has come into them
                    for each in (self.folder, *new):
                        each.rmdir()

    def make_ready(self) -> None:
        """Load all that writes a state, whose time is none that writing takes."""
        from safetensors.torch import save

        save({"": torch.zeros(1)})  # some of it is loaded where it is first used

    def refuse_if_busy(self) -> None:
        """Refuse to work where another run does.

        Raises:
            ConfigError: One is there.
        """
        if self.is_busy:
            raise self._busy()

    def read(self, rank: int) -> SavedState | None:
        """Read the state of a process.

        Args:
            rank: Which.

        Returns:
            The state; None where none was saved.

        Raises:
            HooksimError: It cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = self._files().get(rank)
        if file is None:
            return None
        try:
            return SavedState(self._about(file), load_file(file))
        except (SafetensorError, ValueError, OSError) as error:
            raise self._damaged(file, error) from error

    def about(self) -> dict[int, dict[str, Any]]:
        """What the saved states say of themselves, by process.

        Raises:
            HooksimError: One cannot be read.
        """
        return {rank: self._about(file) for rank, file in self._files().items()}

    def write(self, rank: int, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Replace the state of a process, as a whole.

        Args:
            rank: Which.
            about: Plain data.
            tensors: By name; memory that they share is written for each.

        Raises:
            HooksimError: It cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        file = self._file(rank)
        # One name, so that a process that was killed leaves one such file at most.
        temporary = file.with_suffix(".tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            parts = {name: _own(part) for name, part in tensors.items()}
            checksums = {name: _checksum(part) for name, part in parts.items()}
            whole = sealed({**about, _CHECKSUMS: checksums})
            save_file(parts, temporary, {_ABOUT: json.dumps(whole)})
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(file)
        except (OSError, SafetensorError) as error:
            raise self._unwritable(error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all that was saved."""
        for file in [*self._files().values(), *self.folder.glob("process-*.tmp")]:
            file.unlink(missing_ok=True)

    def _files(self) -> dict[int, Path]:
        """The files of the processes, by rank; all others are somebody else's."""
        found = ((_FILE.fullmatch(file.name), file) for file in self.folder.glob("process-*"))
        return dict(sorted((int(match[1]), file) for match, file in found if match))

    def _file(self, rank: int) -> Path:
        return self.folder / f"process-{rank}.safetensors"

    def _about(self, file: Path) -> dict[str, Any]:
        """Read the head of a state, and check all of it."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, "pt") as content:
                about = json.loads((content.metadata() or {})[_ABOUT])
                if not isinstance(about, dict):
                    raise ValueError("its head is of another kind")
                if SEAL not in about:  # an older form, which is refused for being one
                    return about
                if not is_sealed(about):
                    raise ValueError(f"its head is not what was written: its {SEAL} is another")
                found = {name: _checksum(content.get_tensor(name)) for name in content.keys()}  # noqa: SIM118
                if found != about.get(_CHECKSUMS):
                    raise ValueError("its checksums are others than those that were written")
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise self._damaged(file, error) from error
        return about

    def _busy(self) -> ConfigError:
        return ConfigError(
            f"'{self.out}': another run is at work there now. Wait for its end, or choose another "
            "folder."
        )

    def _unwritable(self, error: Exception) -> HooksimError:
        reason = getattr(error, "strerror", None) or error
        return HooksimError(f"'{self.folder}': the state of the run cannot be saved: {reason}.")

    def _damaged(self, file: Path, error: Exception) -> HooksimError:
        return HooksimError(
            f"'{file}': the saved state cannot be read ({error}). Give --overwrite to begin anew."
        )


def _own(part: Tensor) -> Tensor:
    """A tensor that shares its memory with none, as the files want it."""
    whole = part.is_contiguous() and part.untyped_storage().nbytes() == part.nbytes
    return part if whole else part.clone(memory_format=torch.contiguous_format)


def _checksum(part: Tensor) -> int:
    """CRC-32 of what a tensor holds."""
    content = part.reshape(-1).view(torch.uint8).numpy()
    return crc32(content.data) if content.size else 0
