"""The neighbours of every sample in some layers of a block, and their ranks in others."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.blocks.block import Strip, layer_index
from hooksim.functional.ranks import Neighbours, mid_ranks, neighbours

__all__ = ["Direction", "Found", "LookUp", "NeighbourLists"]


class Direction(NamedTuple):
    """From which side's neighbours to which side's ranks.

    Attributes:
        source: Side whose neighbours are taken.
        target: Side in which their ranks are looked up.
        aligned: Only from each layer to the one at the same position.
    """

    source: int
    target: int
    aligned: bool


class LookUp(NamedTuple):
    """Which ranks to look up for one direction.

    Attributes:
        direction: The direction.
        rows: Rows of the direction's sums.
        sources: For each row the stored layer whose neighbours are taken.
        targets: Stored layers in which they are looked up: all for each row or, if aligned, one
            for each row.
        first: Column of the direction's sums that the first target belongs to.
    """

    direction: Direction
    rows: Sequence[int]
    sources: Sequence[int]
    targets: Sequence[int]
    first: int = 0


class Found(NamedTuple):
    """What was looked up for one row.

    Attributes:
        direction: The direction.
        row: Row of the direction's sums.
        columns: Columns of the direction's sums.
        targets: Stored layers.
        ranks: `(targets, n, width)` float64.
    """

    direction: Direction
    row: int
    columns: slice
    targets: Sequence[int]
    ranks: Tensor


class NeighbourLists:
    """Filled strip by strip; knows nothing of what is summed.

    Args:
        layers: Stored layers of the strips that it will be given.
        sources: Those whose neighbours are taken.
        lookups: The ranks to look up of them.
        k: Number of neighbours.
        width: Length of the lists: k, or more where samples tie for the last place.
        device: Where the strips are.

    Attributes:
        sources: Stored layers.
        widest: `(sources,)` int64: the width that the strips taken so far would have needed.
    """

    def __init__(
        self,
        layers: Sequence[int],
        sources: Sequence[int],
        lookups: Sequence[LookUp],
        *,
        k: int,
        width: int,
        device: torch.device,
    ) -> None:
        self.sources = list(sources)
        self.widest = torch.zeros(len(sources), dtype=torch.int64, device=device)
        self._k, self._width = k, width
        self._lookups = list(lookups)
        place = {layer: index for index, layer in enumerate(layers)}
        position = {source: index for index, source in enumerate(sources)}
        self._sources = layer_index([place[source] for source in sources], device)
        self._targets = [layer_index([place[t] for t in each.targets], device) for each in lookups]
        self._rows = [layer_index([position[s] for s in each.sources], device) for each in lookups]
        self._lists: list[Neighbours] = []  # a strip each
        self._ranks: list[list[Tensor]] = [[] for _ in lookups]

    def take(self, strip: Strip) -> None:
        """Find the neighbours of the strip's samples, and their ranks in all targets."""
        distances = strip.distances.of_layers(self._sources)
        near, counts = neighbours(distances, strip.ordered[self._sources], self._k, self._width)
        self.widest = torch.maximum(self.widest, counts.amax(-1))
        self._lists.append(near)
        for lookup, rows, targets, found in zip(
            self._lookups, self._rows, self._targets, self._ranks, strict=True
        ):
            found.append(_look_up(strip, near.columns[rows], targets, lookup.direction.aligned))

    def of_sources(self) -> Iterator[tuple[int, Neighbours, list[Found]]]:
        """Each source with its lists `(n, width)` and all that was looked up for it."""
        columns = torch.cat([near.columns for near in self._lists], 1)
        weights = torch.cat([near.weights for near in self._lists], 1)
        ranks = [torch.cat(found, 2) for found in self._ranks]
        for position, source in enumerate(self.sources):
            found = [
                self._found(lookup, index, each[index])
                for lookup, each in zip(self._lookups, ranks, strict=True)
                for index, wanted in enumerate(lookup.sources)
                if wanted == source
            ]
            yield source, Neighbours(columns[position], weights[position]), found

    @staticmethod
    def _found(lookup: LookUp, index: int, ranks: Tensor) -> Found:
        targets = [lookup.targets[index]] if lookup.direction.aligned else lookup.targets
        columns = slice(lookup.first, lookup.first + len(targets))
        return Found(lookup.direction, lookup.rows[index], columns, targets, ranks)


def _look_up(strip: Strip, columns: Tensor, targets: slice | Tensor, aligned: bool) -> Tensor:
    """Mid-ranks of columns (rows, m, width) in the targets, (rows, targets, m, width)."""
    distances, ordered = strip.distances.of_layers(targets), strip.ordered[targets]
    if aligned:
        return mid_ranks(distances, ordered, columns)[:, None]
    rows, m, width = columns.shape
    asked = columns.transpose(0, 1).reshape(m, rows * width).expand(len(ordered), -1, -1)
    ranks = mid_ranks(distances, ordered, asked).view(len(ordered), m, rows, width)
    return ranks.permute(2, 0, 1, 3)
