"""Which neighbours of which layers have their ranks looked up in which others."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from hooksim.blocks.block import Block

__all__ = ["Direction", "LookUp", "by_source", "restricted", "whole"]


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

    @property
    def shape(self) -> tuple[int, int]:
        """The pairs: rows, and for each of them the targets; if aligned, one."""
        return len(self.rows), 1 if self.direction.aligned else len(self.targets)

    def of_row(self, index: int) -> Sequence[int]:
        """The targets of one row."""
        return [self.targets[index]] if self.direction.aligned else self.targets

    def columns(self) -> slice:
        """Which columns of the direction's sums each row fills."""
        return slice(self.first, self.first + self.shape[1])


def whole(block: Block, direction: Direction) -> LookUp:
    """All ranks of a direction; if aligned, a row for each layer, else for each stored one."""
    if direction.aligned:
        sources, targets = block.stored(direction.source), block.stored(direction.target)
    else:
        sources = list(block.sides[direction.source])
        targets = list(block.sides[direction.target])
    return LookUp(direction, range(len(sources)), sources, targets)


def by_source(lookups: Sequence[LookUp]) -> dict[int, list[LookUp]]:
    """For each source its rows, each a look-up of its own."""
    found: dict[int, list[LookUp]] = defaultdict(list)
    for lookup in lookups:
        for index, (row, source) in enumerate(zip(lookup.rows, lookup.sources, strict=True)):
            targets = lookup.of_row(index)
            found[source].append(LookUp(lookup.direction, [row], [source], targets, lookup.first))
    return dict(found)


def restricted(
    lookups: Sequence[LookUp], sources: Collection[int], targets: Collection[int] | None = None
) -> list[LookUp]:
    """The part of look-ups that some sources and some targets have in them.

    Args:
        lookups: Whole ones.
        sources: Stored layers.
        targets: Stored layers, next to each other in each look-up that is not aligned; None for
            all.
    """
    chosen = set(sources)
    found = []
    for lookup in lookups:
        aligned = lookup.direction.aligned
        columns = [
            i for i, target in enumerate(lookup.targets) if targets is None or target in targets
        ]
        kept = set(columns) if aligned else range(len(lookup.rows))
        rows = [i for i, source in enumerate(lookup.sources) if source in chosen and i in kept]
        if rows and columns:
            found.append(
                LookUp(
                    lookup.direction,
                    [lookup.rows[i] for i in rows],
                    [lookup.sources[i] for i in rows],
                    [lookup.targets[i] for i in (rows if aligned else columns)],
                    0 if aligned else lookup.first + columns[0],
                )
            )
    return found
