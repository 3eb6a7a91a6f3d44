"""Who gets lists, and what is walked over together: budgets decide, and nothing is left out."""

import pytest

from hooksim.accumulators import rank_walks
from hooksim.accumulators.lookups import Direction, LookUp
from hooksim.accumulators.rank_walks import listed_walks, streamed_walks
from hooksim.accumulators.streamed_edges import bytes_of_target

N = 1000
FORTH = LookUp(Direction(0, 1, False), range(3), [0, 1, 2], [3, 4, 5, 6])
BACK = LookUp(Direction(1, 0, False), range(4), [3, 4, 5, 6], [0, 1, 2])
ALIGNED = LookUp(Direction(0, 1, True), range(3), [0, 1, 2], [3, 4, 5])


def chosen(widths: dict[int, int], n: int = N) -> list[int]:
    (walk,) = listed_walks([FORTH, BACK], widths, n) or [[]]
    return sorted(walk)


def test_short_lists_are_kept():
    assert chosen(dict.fromkeys(range(7), 1)) == list(range(7))


def test_long_lists_are_not():
    assert chosen({0: 2, 1: N, 2: 3}) == [0, 2]
    assert chosen({0: N // 8}) == [0]
    assert chosen({0: N // 8 + 1}) == []
    assert chosen({0: 1 << 12}, 1 << 16) == []  # more edges than one source may have


def test_lists_that_look_up_more_than_ranking_would_cost_are_not():
    """A quarter of the samples, over all sources that are looked up in the same layers."""
    assert chosen({0: 125, 1: 125, 2: 1}) == [0, 2]
    assert chosen({0: 124, 1: 125, 2: 1, 3: 125, 4: 125}) == [0, 1, 2, 3, 4]
    assert listed_walks([ALIGNED], {0: 125, 1: 125, 2: 125}, N) == [[0, 1, 2]]


def test_lists_fit_the_budget_the_shortest_first(monkeypatch):
    monkeypatch.setattr(rank_walks, "_LIST_BYTES", N * 12 * (16 + 4 * 4))
    widths = {0: 9, 1: 8, 2: 4, 3: 40}
    assert listed_walks([FORTH, BACK], widths, N) == [[2, 1], [0]]


def test_many_walks_with_lists_cost_more_than_one_without(monkeypatch):
    widths = dict.fromkeys(range(3), 10)
    monkeypatch.setattr(rank_walks, "_LIST_BYTES", N * 10 * (16 + 4 * 4))
    assert listed_walks([FORTH], widths, N) == [[0], [1], [2]]
    monkeypatch.setattr(rank_walks, "_STREAM_COST", 2)
    assert listed_walks([FORTH], widths, N) == []
    monkeypatch.setattr(rank_walks, "_STREAM_BYTES", 0)  # a walk for each of four targets
    assert listed_walks([FORTH], widths, N) == [[0], [1], [2]]


def test_no_sources_cost_no_walk():
    assert listed_walks([FORTH, BACK], {}, N) == []


@pytest.mark.parametrize("budget", [0, 3, 4, 100])
def test_every_pair_is_walked_over_once(budget, monkeypatch):
    monkeypatch.setattr(rank_walks, "_STREAM_BYTES", budget * bytes_of_target(N, 4))
    sources = {0, 2, 4, 5}
    pairs = []
    for walk in streamed_walks([FORTH, BACK, ALIGNED], sources, N):
        for lookup in walk:
            for index, source in enumerate(lookup.sources):
                for column, target in enumerate(lookup.of_row(index), lookup.columns().start):
                    pairs.append((lookup.direction, lookup.rows[index], source, column, target))
    expected = [
        (lookup.direction, row, source, column, target)
        for lookup in (FORTH, BACK, ALIGNED)
        for row, source in zip(lookup.rows, lookup.sources, strict=True)
        for column, target in enumerate(lookup.of_row(row))
        if source in sources
    ]
    assert sorted(pairs) == sorted(expected)


def test_walks_are_few(monkeypatch):
    monkeypatch.setattr(rank_walks, "_STREAM_BYTES", 3 * bytes_of_target(N, 4))
    assert len(list(streamed_walks([FORTH, BACK], range(7), N))) == 3
    assert list(streamed_walks([FORTH, BACK], [], N)) == []


def test_what_a_target_holds():
    """Two bytes a pair of samples, four where 2n is large; of more than 2048 samples 1024."""
    assert bytes_of_target(2048, 12) == 2 * 2048**2 + 16 * 12 * 2048
    assert bytes_of_target(10_000, 1) == 2 * 1024**2 + 16 * 10_000
    assert bytes_of_target(20_000, 0) == 4 * 1024**2
