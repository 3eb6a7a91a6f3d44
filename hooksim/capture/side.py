"""What the loop over a loader asks of its sides: of a live model, or of anything like one."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from hooksim.capture.slices import BatchPosition, Reduce, Slice
from hooksim.capture.view import LayerInfo
from hooksim.errors import Note

__all__ = ["Reader"]


class Reader(Protocol):
    """Gives the rows of one side, or of several that have one source, batch by batch.

    A context, inside which it may be read. It knows no other reader.
    """

    @property
    def titles(self) -> Sequence[str]:
        """Each side that it serves, in messages: for example `model A (ResNetModel)`."""

    @property
    def notes(self) -> Sequence[Note]:
        """What it left out or chose, each once."""

    @property
    def warnings(self) -> Sequence[Note]:
        """What should make a user doubt the values, each once."""

    def names(self, view: int) -> list[str]:
        """Give the names of a side's layers.

        Args:
            view: Position of the side among the titles.

        Returns:
            Dotted names, in the order of a slice's values; empty before the first batch.
        """

    def layers(self, view: int) -> list[LayerInfo]:
        """Give what is known of a side's layers.

        Args:
            view: Position of the side among the titles.

        Returns:
            One entry a layer, in the order of the names; empty before the first batch.
        """

    def keep(self, view: int, names: Sequence[str]) -> None:
        """Read only some of a side's layers from the next batch on.

        Args:
            view: Position of the side among the titles.
            names: Some of its names, in the order that is wanted.
        """

    def read(self, item: Any, reduce: Reduce | None, at: BatchPosition) -> list[Slice]:
        """Give the rows of one batch.

        Args:
            item: The loader item, already cut.
            reduce: What to make of the rows of a layer; None keeps them.
            at: The batch's position in the data, for messages.

        Returns:
            One slice for each side.
        """

    def whole(self, n_samples: int) -> list[Slice] | None:
        """Give the rows of the first samples in one piece, if they are held.

        Args:
            n_samples: How many samples.

        Returns:
            One slice for each side; None for a live model, which holds none.
        """

    def finish(self, n_samples: int) -> None:
        """Take note that the data have ended, and not merely been cut.

        Args:
            n_samples: Loader items in all.

        Raises:
            AlignmentError: This side has more.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
