"""How far a run has come: plain counts, to be saved and added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from hooksim.capture.alignment import matched_by
from hooksim.capture.slices import Slice
from hooksim.errors import Note

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
        dropped: Samples left out for NaN or infinity.
        repeated: Samples left out that came before under the same id.
        first_dropped: Batch, sample and name of the first one left out for NaN or infinity.

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
    dropped: int = 0
    repeated: int = 0
    first_dropped: tuple[int, int, str] | None = None

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> Self:
        """Make one of what JSON has kept.

        Args:
            kept: Its fields.
        """
        position = cls(**kept)
        if position.first_dropped is not None:
            batch, sample, name = position.first_dropped
            position.first_dropped = (batch, sample, name)
        return position

    @property
    def n_counted(self) -> int:
        """Samples that are part of the result."""
        return self.n_samples - self.dropped - self.repeated

    @property
    def notes(self) -> list[Note]:
        """A warning where samples were left out for what the models made of them."""
        if self.first_dropped is None:
            return []
        text = (
            f"{self.dropped:,} of {self.n_samples - self.repeated:,} samples have NaN or infinity "
            f"in some layer and are left out, the first of them {self.first_dropped[2]}."
        )
        return [Note("dropped_samples", text)]

    def match(self, slices: Sequence[Slice]) -> None:
        """Remember the weakest proof that all sides have seen the same samples.

        Args:
            slices: What the sides gave for a batch.
        """
        self._weaken(*(matched_by(slices[0], other) for other in slices[1:]))

    def drop(self, at: tuple[int, int, str], count: int) -> None:
        """Count samples that are left out for NaN or infinity.

        Args:
            at: Batch, sample and name of the first of them.
            count: How many.
        """
        self.dropped += count
        self.first_dropped = min(self.first_dropped or at, at)

    def add(self, other: "Position", *, of_own_samples: bool = False) -> None:
        """Add what another run has taken of other batches of the same data.

        Args:
            other: Its position; it stays as it is.
            of_own_samples: Whether its loader gave it samples of its own, and not those that this
                one has counted too.
        """
        self.n_rows += other.n_rows
        self.n_samples += other.n_samples if of_own_samples else 0
        self.repeated += other.repeated
        if other.first_dropped is not None:
            self.drop(other.first_dropped, other.dropped)
        self.blocks = [*self.blocks, *other.blocks]
        self._weaken(other.matched_by)

    def _weaken(self, *found: str) -> None:
        self.matched_by = max([self.matched_by, *found], key=_MATCHES.index)
