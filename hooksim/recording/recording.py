"""The rows of one model for a list of samples, kept in memory or on disk."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

from hooksim.errors import LayerNotFoundError, Note
from hooksim.recording.description import Description
from hooksim.recording.folder import as_folder, check_rows, load_folder, save_folder
from hooksim.recording.tensors import describe_tensors
from hooksim.spelling import close_names
from hooksim.storage import one_line

if TYPE_CHECKING:
    from tensordict import TensorDict

__all__ = ["INCOMPLETE", "Recording"]

INCOMPLETE = "incomplete_recording"
"""Code of the note that a recording was interrupted."""


class Recording:
    """The rows of one model for a list of samples, or rows that somebody else computed.

    It stands where a model does: `hooksim.compare` takes it for either side. `hooksim.record`,
    `Recording.load` and `Recording.from_tensors` make one.

    State: the description and the stored rows; neither changes.

    Args:
        description: Names, sizes and provenance.
        tensors: The rows of each stored layer. Layers that gave the very same tensor share one.
        path: The folder, where the rows are on disk.

    Attributes:
        layers: Names of the layers.
        n_samples: Number of samples.
        n_rows: Number of rows; more than samples where these are tokens.
        sample_ids: One a sample; None where the data had none.
        inputs: A fingerprint of what went into the model, one a sample; None where there is none.
        batch_lengths: Samples of each batch; None for tensors from elsewhere.
        lengths: For token rows the number of tokens of each sample; else None.
        rows: How activations became rows; None for tensors from elsewhere.
        model: Class name of the model; `features` for tensors from elsewhere.
        notes: What was left out or chosen, and what else to know.
        complete: False where it was interrupted before the data ended.
        path: The folder, or None where it is in memory.
        tensors: The rows of each stored layer.
        positions: For each layer its stored layer.

    Example:
        >>> import torch
        >>> recording = Recording.from_tensors({"a": torch.zeros(6, 2), "b.0": torch.ones(6, 3)})
        >>> recording
        Recording of features: 2 layers, 6 samples, 120 bytes, in memory
        >>> recording["b.0"].shape
        torch.Size([6, 3])
    """

    def __init__(
        self, description: Description, tensors: Sequence[Tensor], path: Path | None = None
    ) -> None:
        self._description = description
        self.tensors = list(tensors)
        self.path = path
        self.positions = list(description.positions)
        self.layers = list(description.names)
        self.n_samples = description.n_samples
        self.n_rows = description.n_rows
        self.sample_ids = description.sample_ids
        self.inputs = description.inputs
        self.batch_lengths = description.batch_lengths
        self.lengths = description.lengths
        self.rows = description.rows
        self.model = description.model
        self.complete = description.complete
        self.notes = list(description.notes)
        if not self.complete:
            text = f"incomplete: it was interrupted after {self.n_samples} samples"
            self.notes.append(Note(INCOMPLETE, text))

    @property
    def description(self) -> Description:
        """All that is known of it besides its rows; not to be changed."""
        return self._description

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Open a recording; its rows stay on the disk until they are looked at.

        They are mapped: if somebody else cuts a file of rows short while it is open, the system
        kills the process that looks at them. hooksim itself never does that to a recording.

        Args:
            path: The folder. It may belong to a recording that is still being made, or that was
                interrupted: then it says how far it came.

        Returns:
            The recording.

        Raises:
            ConfigError: There is no recording.
            HooksimError: It is damaged, or of a newer version, or cannot be read.

        Example:
            >>> Recording.load("no/such/folder")
            Traceback (most recent call last):
            ...
            hooksim.errors.ConfigError: 'no/such/folder' does not exist. Expected the folder of ...
        """
        return cls(*load_folder(path), as_folder(path))

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Any], sample_ids: Iterable[Any] | None = None
    ) -> Self:
        """Take rows that somebody else computed.

        Half precision, small integers and booleans are widened to float32; other integers become
        float32 where every one has an exact value there, else float64. Memory is shared with what
        was given where its type stays: do not change it afterwards.

        Args:
            tensors: For each layer `(n, d)`, a tensor or a numpy array, one row a sample.
            sample_ids: One a sample, so that both sides of a comparison are known to be of the
                same samples; None for none.

        Returns:
            The recording, in memory.

        Raises:
            ConfigError: Something else than real numbers by name.
            ShapeError: A tensor is not `(n, d)`, or has another n than the first.
            NotEnoughSamplesError: There are no samples.
            AlignmentError: There are more or fewer ids than samples.
            NonFiniteError: A row holds NaN or infinity.

        Example:
            >>> import numpy as np
            >>> Recording.from_tensors({"x": np.zeros((4, 2))}, sample_ids=range(4)).sample_ids
            ['0', '1', '2', '3']
        """
        return cls(*describe_tensors(tensors, sample_ids))

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write it whole or not at all.

        Args:
            path: The folder.
            overwrite: Replace a recording that stands there.

        Returns:
            The folder.

        Raises:
            ConfigError: Something stands there that may not be replaced.
            HooksimError: It cannot be written.

        Example:
            >>> import tempfile, torch
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = Recording.from_tensors({"x": torch.ones(3, 2)}).save(folder)
            ...     print(Recording.load(path)["x"].sum())
            tensor(6.)
        """
        return save_folder(path, self._description, self.tensors, overwrite=overwrite)

    def verify(self) -> None:
        """Read every row on the disk and tell whether it is what was written.

        `load` does so by itself for up to 256 MiB of rows. In memory, and in a recording that was
        killed or comes from an older version, there is nothing to hold them against.

        Raises:
            HooksimError: A file was changed.

        Example:
            >>> import torch
            >>> Recording.from_tensors({"x": torch.ones(3, 2)}).verify()
        """
        if self.path is not None:
            with one_line(self.path, "the recording cannot be read"):
                check_rows(self.path, self._description)

    @cached_property
    def tensordict(self) -> "TensorDict":
        """The rows of all layers, `(n_rows, d)` each, under their plain names."""
        from tensordict import TensorDict

        rows = {name: self[name] for name in self.layers}
        return TensorDict(rows, batch_size=[self.n_rows])

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take, in memory or on disk."""
        return sum(rows.nbytes for rows in self.tensors)

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self.tensors[self.positions[self.layers.index(name)]]
        except ValueError as error:
            raise LayerNotFoundError(
                f"no layer of {self!r} is called {name!r}. {close_names(str(name), self.layers)}"
                "recording.layers shows all."
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        layers = f"{len(self)} layer" + ("s" if len(self) > 1 else "")
        samples = f"{self.n_samples:,} samples"
        if self.n_rows != self.n_samples:
            samples += f" ({self.n_rows:,} rows)"
        if not self.complete:
            samples = f"incomplete: {samples}"
        where = "in memory" if self.path is None else f"in '{self.path}'"
        parts = f"{layers}, {samples}, {_size(self.nbytes)}, {where}"
        return f"Recording of {self.model}: {parts}"


def _size(n_bytes: int) -> str:
    """A number of bytes for people."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.0f} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
