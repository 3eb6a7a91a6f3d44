"""How far a run has come: plain counts, to be saved and added up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hooksim.capture.alignment import matched_by
from hooksim.capture.slices import Slice

__all__ = ["Position"]

_MATCHES = ("sample_ids", "inputs", "counts")  # from the strongest to the weakest


@dataclass
class Position:
    """How far a run has come in the data, and what it has seen there.

    Attributes:
        batches: Batches of the loader that are done with.
        n_samples: Loader items in them.
        n_rows: Rows taken; more than samples where these are tokens.
        blocks: The sizes of the blocks so far.
        matched_by: How the samples of the sides were found to be the same: the least that held
            for every batch, of `sample_ids`, `inputs` and `counts`.
        closed: Whether the last rows are in a block too.

    Example:
        >>> position = Position(n_rows=3)
        >>> position.add(Position(n_rows=4, blocks=[4], matched_by="counts"))
        >>> position.n_rows, position.blocks, position.matched_by
        (7, [4], 'counts')
    """

    batches: int = 0
    n_samples: int = 0
    n_rows: int = 0
    blocks: list[int] = field(default_factory=list)
    matched_by: str = _MATCHES[0]
    closed: bool = False

    def match(self, slices: Sequence[Slice]) -> None:
        """Remember the weakest proof that all sides have seen the same samples.

        Args:
            slices: What the sides gave for a batch.
        """
        self._weaken(*(matched_by(slices[0], other) for other in slices[1:]))

    def add(self, other: "Position") -> None:
        """Add what another run has taken of other batches of the same data.

        Args:
            other: Its position; it stays as it is.
        """
        self.n_rows += other.n_rows
        self.blocks = [*self.blocks, *other.blocks]
        self._weaken(other.matched_by)

    def _weaken(self, *found: str) -> None:
        self.matched_by = max([self.matched_by, *found], key=_MATCHES.index)
