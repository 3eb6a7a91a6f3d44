"""Whose neighbours are listed and whose are not, on which walk, so that memory is bounded."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from hooksim.accumulators.lookups import LookUp, by_source, restricted
from hooksim.accumulators.streamed_edges import bytes_of_target

__all__ = ["listed_walks", "streamed_walks"]

_LIST_BYTES = 256 << 20  # of all lists that are held at the same time
_LIST_EDGES = 1 << 22  # of one source: the work on its edges takes several times their memory
_LOOK_UP_COST = 4  # of one rank looked up, in ranks when whole rows are ranked: as measured
_LONGEST = 8  # longer lists than n / 8 gain nothing
_STREAM_COST = 4  # of a walk without lists, in walks with lists: as measured
_STREAM_BYTES = 256 << 20  # of all that is held of layers without lists at the same time
_EDGE_BYTES = 16  # column and weight
_RANK_BYTES = 4


def listed_walks(lookups: Sequence[LookUp], widths: Mapping[int, int], n: int) -> list[list[int]]:
    """The sources whose neighbours are worth listing, in parts that fit the memory: a walk each.

    Lists are not worth it where they ask for so many ranks in one target, of all sources
    together, that ranking all samples there is cheaper; nor where they take many walks.

    Args:
        lookups: Whole ones.
        widths: How long the lists of some sources would be; the shortest come first.
        n: Number of samples.
    """
    walks: list[list[int]] = [[]]
    asked = Counter[int]()  # by side: ranks that are looked up in each of its layers for a sample
    held = 0
    own = by_source(lookups)
    for source, width in sorted(widths.items(), key=lambda item: item[1]):
        sides = Counter(each.direction.target for each in own[source] if not each.direction.aligned)
        most = max((asked[side] + times * width for side, times in sides.items()), default=width)
        ranks = sum(len(each.targets) for each in own[source])
        size = n * width * (_EDGE_BYTES + ranks * _RANK_BYTES)
        if width * _LONGEST > n or width * n > _LIST_EDGES or size > _LIST_BYTES:
            continue
        if most * _LOOK_UP_COST > n:
            continue
        if held + size > _LIST_BYTES:
            walks.append([])
            held = 0
        walks[-1].append(source)
        asked.update({side: times * width for side, times in sides.items()})
        held += size
    sources = {source for walk in walks for source in walk}
    worth = _STREAM_COST * len(list(streamed_walks(lookups, sources, n)))
    return walks if len(walks) <= worth else []


def streamed_walks(
    lookups: Sequence[LookUp], sources: Collection[int], n: int
) -> Iterator[list[LookUp]]:
    """The look-ups of sources without lists, in parts that fit the memory: a walk each.

    Args:
        lookups: Whole ones.
        sources: Stored layers.
        n: Number of samples.
    """
    pairs = Counter[int]()  # how many each target is part of
    for lookup in lookups:
        times = sum(source in sources for source in lookup.sources)
        if lookup.direction.aligned:
            each = zip(lookup.sources, lookup.targets, strict=True)
            pairs.update(target for source, target in each if source in sources)
        elif times:
            pairs.update(dict.fromkeys(lookup.targets, times))
    walk: list[int] = []
    held = 0
    for target, times in sorted(pairs.items()):
        size = bytes_of_target(n, times)
        if walk and held + size > _STREAM_BYTES:
            yield restricted(lookups, sources, walk)
            walk, held = [], 0
        walk.append(target)
        held += size
    if walk:
        yield restricted(lookups, sources, walk)
