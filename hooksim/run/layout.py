"""Which rows of one block are in which process: as they came, and as they are dealt out anew."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.block import Origin

__all__ = ["HeldBatch", "RowLayout"]


class HeldBatch(NamedTuple):
    """A batch whose rows a process has.

    Attributes:
        batch: Its number in the data.
        n: Its rows.
        lengths: For token rows the number of tokens of each sample.
    """

    batch: int
    n: int
    lengths: list[int] | None = None


class RowLayout:
    """The places of rows in a block in the order of the data, and who has which.

    Anew they are dealt out in units of so many rows, one process after the other, so that all work
    on neighbouring strips at the same time.

    Args:
        held: For each process its batches, in its own order.
        unit: Rows to a unit.

    Attributes:
        n: Rows of the block.
        size: Number of processes.
        origins: Of the rows of the block, in order.

    Example:
        >>> layout = RowLayout([[HeldBatch(0, 2), HeldBatch(2, 1)], [HeldBatch(1, 3)]], unit=2)
        >>> [layout.places(rank).tolist() for rank in (0, 1)]
        [[0, 1, 4, 5], [2, 3]]
        >>> layout.moved(1, 0).tolist()
        [2]
    """

    def __init__(self, held: Sequence[Sequence[HeldBatch]], unit: int) -> None:
        self.size = len(held)
        self.unit = unit
        parts = sorted(
            (each.batch, rank, index)
            for rank, own in enumerate(held)
            for index, each in enumerate(own)
        )
        self._came: list[list[Tensor]] = [[] for _ in held]
        self._lengths: list[list[int]] = []
        self.origins = []
        self.n = 0
        for batch, rank, index in parts:
            each = held[rank][index]
            self._came[rank].append(torch.arange(self.n, self.n + each.n))
            self.origins.append(Origin(batch, 0, each.n))
            if each.lengths is not None:
                self._lengths.append(each.lengths)
            self.n += each.n

    @property
    def groups(self) -> Tensor | None:
        """The sequence of each row, counted from 0 without gaps, `(n,)`; None if rows are samples.

        Samples without a token have no number.
        """
        if not self._lengths:
            return None
        lengths = torch.tensor([length for each in self._lengths for length in each])
        return torch.arange(int((lengths > 0).sum())).repeat_interleave(lengths[lengths > 0])

    def places(self, rank: int) -> Tensor:
        """Which rows a process has once they are dealt out anew, ascending.

        Args:
            rank: Which process.
        """
        return (self._owners(torch.arange(self.n)) == rank).nonzero().flatten()

    def came(self, rank: int) -> Tensor:
        """The places of the rows that a process has had, in its own order.

        Args:
            rank: Which process.
        """
        return torch.cat([torch.empty(0, dtype=torch.int64), *self._came[rank]])

    def moved(self, source: int, to: int) -> Tensor:
        """Which of the rows that a process has had another one gets, by their place in its order.

        Args:
            source: Who has had them.
            to: Who gets them.
        """
        return (self._owners(self.came(source)) == to).nonzero().flatten()

    def units(self, rank: int, turn: int) -> range:
        """The rows of a process's next unit.

        Args:
            rank: Which process.
            turn: How many it has had before.

        Returns:
            Their places in the block; empty where there is none left.
        """
        start = (turn * self.size + rank) * self.unit
        return range(min(start, self.n), min(start + self.unit, self.n))

    @property
    def turns(self) -> int:
        """Units of the process that has the most."""
        return -(-self.n // (self.unit * self.size))

    def _owners(self, places: Tensor) -> Tensor:
        return places // self.unit % self.size
