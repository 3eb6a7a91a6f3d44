"""The neighbours of every sample in some layers of a block, and their ranks in others."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.accumulators.lookups import LookUp
from hooksim.blocks.block import layer_index
from hooksim.blocks.strip import Strip
from hooksim.functional.ranks import Neighbours, neighbours, twice_mid_ranks

__all__ = ["Found", "ListWidths", "NeighbourLists"]


class Found(NamedTuple):
    """What was looked up for one row.

    Attributes:
        lookup: What the row belongs to.
        row: Which of its rows.
        ranks: `(targets, n, width)` int32: twice the mid-ranks, which are whole numbers.
    """

    lookup: LookUp
    row: int
    ranks: Tensor


class NeighbourLists:
    """Filled strip by strip; knows nothing of what is summed.

    Args:
        layers: Stored layers of the strips that it will be given.
        sources: Those whose neighbours are taken.
        lookups: The ranks to look up of them.
        n: Number of samples.
        k: Number of neighbours.
        width: Length of the lists: k, or more where samples tie for the last place.
        device: Where the strips are.

    Attributes:
        sources: Stored layers.
        widest: `(sources,)` int64: the width that the strips taken so far would have needed.
        undecided: `(sources, n)` bool: samples for which that was more than k.
    """

    def __init__(
        self,
        layers: Sequence[int],
        sources: Sequence[int],
        lookups: Sequence[LookUp],
        *,
        n: int,
        k: int,
        width: int,
        device: torch.device,
    ) -> None:
        self.sources = list(sources)
        self.widest = torch.zeros(len(sources), dtype=torch.int64, device=device)
        self.undecided = torch.zeros((len(sources), n), dtype=torch.bool, device=device)
        self._k, self._width = k, width
        self._lookups = list(lookups)
        place = {layer: index for index, layer in enumerate(layers)}
        position = {source: index for index, source in enumerate(sources)}
        self._sources = layer_index([place[source] for source in sources], device)
        self._targets = [layer_index([place[t] for t in each.targets], device) for each in lookups]
        self._rows = [layer_index([position[s] for s in each.sources], device) for each in lookups]
        shape = (len(sources), n, width)
        self._columns = torch.empty(shape, dtype=torch.int64, device=device)
        self._weights = torch.empty(shape, dtype=torch.float64, device=device)
        self._ranks = [
            torch.empty((*each.shape, n, width), dtype=torch.int32, device=device)
            for each in lookups
        ]

    def look(self, strip: Strip) -> Tensor:
        """Find the neighbours of the strip's samples, and their ranks in all targets.

        Returns:
            What `add` wants to know.
        """
        distances = strip.distances.of_layers(self._sources)
        near, counts = neighbours(distances, strip.ordered[self._sources], self._k, self._width)
        rows = strip.rows
        self.undecided[:, rows] = counts > self._k
        self._columns[:, rows] = near.columns
        self._weights[:, rows] = near.weights
        for lookup, of_lookup, targets, ranks in zip(
            self._lookups, self._rows, self._targets, self._ranks, strict=True
        ):
            asked = near.columns[of_lookup]
            found = _look_up(strip, asked, targets, lookup.direction.aligned)
            ranks[:, :, rows] = found.to(ranks.dtype)
        return counts.amax(-1)

    def add(self, widest: Tensor) -> None:
        """Take to account how long the lists of a strip must be, `(sources,)`."""
        self.widest = torch.maximum(self.widest, widest)

    def forget_widths(self) -> None:
        """Go on as if nothing had tied, for strips of the samples where something did."""
        self.widest = torch.full_like(self.widest, self._k)

    def of_sources(self) -> Iterator[tuple[int, Neighbours, list[Found]]]:
        """Each source with its lists `(n, width)` and all that was looked up for it."""
        found: dict[int, list[Found]] = {source: [] for source in self.sources}
        for lookup, ranks in zip(self._lookups, self._ranks, strict=True):
            for row, source in enumerate(lookup.sources):
                found[source].append(Found(lookup, row, ranks[row]))
        for position, (source, each) in enumerate(found.items()):
            yield source, Neighbours(self._columns[position], self._weights[position]), each


class ListWidths:
    """Takes strips for the widths that some layers' lists would need, without any lists.

    Args:
        sources: Stored layers of the strips, by position.
        k: Number of neighbours.
        device: Where the strips are.

    Attributes:
        sources: Stored layers.
        widest: `(sources,)` int64, as of `NeighbourLists`.
    """

    def __init__(self, sources: Sequence[int], *, k: int, device: torch.device) -> None:
        self.sources = list(sources)
        self.widest = torch.zeros(len(sources), dtype=torch.int64, device=device)
        self._k = k
        self._sources = layer_index(self.sources, device)

    def look(self, strip: Strip) -> Tensor:
        """Count the samples that would be listed for each of the strip's.

        Returns:
            What `add` wants to know.
        """
        distances = strip.distances.of_layers(self._sources)
        _, counts = neighbours(distances, strip.ordered[self._sources], self._k)
        return counts.amax(-1)

    def add(self, widest: Tensor) -> None:
        """Take to account how long the lists of a strip must be, `(sources,)`."""
        self.widest = torch.maximum(self.widest, widest)


def _look_up(strip: Strip, columns: Tensor, targets: slice | Tensor, aligned: bool) -> Tensor:
    """Twice the mid-ranks of columns (rows, m, width) in the targets, (rows, targets, m, width)."""
    distances, ordered = strip.distances.of_layers(targets), strip.ordered[targets]
    if aligned:
        return twice_mid_ranks(distances, ordered, columns)[:, None]
    rows, m, width = columns.shape
    asked = columns.transpose(0, 1).reshape(m, rows * width).expand(len(ordered), -1, -1)
    ranks = twice_mid_ranks(distances, ordered, asked).view(len(ordered), m, rows, width)
    return ranks.permute(2, 0, 1, 3)
