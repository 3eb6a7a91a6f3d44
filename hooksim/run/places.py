"""Which samples the batches hold whose rows are in no block yet, to name one that is refused."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Self

from hooksim.blocks.block import Block
from hooksim.capture.slices import Slice
from hooksim.errors import NonFiniteError

__all__ = ["Place", "Places"]


class Place(NamedTuple):
    """The samples of one batch.

    Attributes:
        numbers: Of each sample, counted through the data.
        ids: Their ids, where the data have some.
        lengths: For token rows the number of tokens of each sample.
    """

    numbers: Sequence[int]
    ids: Sequence[str] | None = None
    lengths: Sequence[int] | None = None

    def name(self, row: int) -> str:
        """What a message calls the sample of a row."""
        stops = list(accumulate(self.lengths or [1] * len(self.numbers)))
        place = next(index for index, stop in enumerate(stops) if row < stop)
        known = f", id {self.ids[place]!r}" if self.ids else ""
        return f"sample {self.numbers[place]}{known}"


class Places:
    """The samples of some batches, by the number of the batch.

    State: `held`.

    Example:
        >>> places = Places()
        >>> places.add(7, Place([40, 41], ids=["x", "y"]))
        >>> places.placed(NonFiniteError("row 1 of batch 7", at=(7, 1)))
        NonFiniteError("row 1 of batch 7 (sample 41, id 'y')")
    """

    def __init__(self, held: Mapping[int, Place] | None = None) -> None:
        self.held = {} if held is None else dict(held)

    def add(self, batch: int, place: Place) -> None:
        """Remember the samples of a batch.

        Args:
            batch: Its number.
            place: They.
        """
        self.held[batch] = place

    def add_batch(self, batch: int, first: int, part: Slice, kept: Sequence[int] | None) -> None:
        """Remember the samples of a batch that was read.

        Args:
            batch: Its number.
            first: The number of its first sample.
            part: What a side gave, without the samples that are left out.
            kept: Which samples are not left out; None for all.
        """
        numbers: Sequence[int] = range(first, first + part.items)
        if kept is not None:
            numbers = [first + place for place in kept]
        self.add(batch, Place(numbers, part.ids, part.lengths))

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> Self:
        """Make them of what JSON has kept.

        Args:
            kept: What `plain` gave.
        """
        return cls({int(batch): Place(*each) for batch, each in kept.items()})

    def plain(self) -> dict[str, list[Any]]:
        """The same as JSON can keep."""
        return {
            str(batch): [list(each.numbers), each.ids, each.lengths]
            for batch, each in self.held.items()
        }

    def let_go(self, block: Block) -> None:
        """Forget the batches whose rows are all in blocks.

        Args:
            block: The last of these.
        """
        last = block.origins[-1].batch
        self.held = {batch: place for batch, place in self.held.items() if batch >= last}

    def placed(self, error: NonFiniteError) -> NonFiniteError:
        """The same error with the sample that it is about, where that is known.

        Args:
            error: About a row.
        """
        if error.at is None or error.at[0] not in self.held:
            return error
        batch, row = error.at
        words = f"row {row} of batch {batch}"
        text = str(error).replace(words, f"{words} ({self.held[batch].name(row)})")
        return NonFiniteError(text, at=error.at)
