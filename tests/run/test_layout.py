"""Rows are dealt out without a gap or a repeat, whoever has had them."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hooksim.run.layout import HeldBatch, RowLayout


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), max_size=8),
    size=st.integers(1, 4),
    unit=st.integers(1, 7),
)
def test_every_row_has_one_place(sizes, size, unit):
    held = [[] for _ in range(size)]
    for batch, n in enumerate(sizes):
        held[batch % size].append(HeldBatch(batch, n))
    layout = RowLayout(held, unit)
    assert layout.n == sum(sizes)
    places = [layout.places(rank) for rank in range(size)]
    assert sorted(torch.cat(places).tolist()) == list(range(layout.n))
    came = [layout.came(rank) for rank in range(size)]
    assert sorted(torch.cat(came).tolist()) == list(range(layout.n))
    for to in range(size):
        got = [came[source][layout.moved(source, to)] for source in range(size)]
        assert sorted(torch.cat(got).tolist()) == places[to].tolist()
        units = [place for turn in range(layout.turns) for place in layout.units(to, turn)]
        assert units == places[to].tolist()
    assert not any(layout.units(rank, layout.turns) for rank in range(size))


def test_the_order_is_that_of_the_data():
    held = [[HeldBatch(0, 2), HeldBatch(3, 1)], [], [HeldBatch(1, 2), HeldBatch(2, 1)]]
    layout = RowLayout(held, 2)
    assert [layout.came(rank).tolist() for rank in range(3)] == [[0, 1, 5], [], [2, 3, 4]]
    assert [origin.batch for origin in layout.origins] == [0, 1, 2, 3]
    assert layout.groups is None


def test_sequences_are_counted_without_gaps():
    held = [[HeldBatch(0, 3, [2, 0, 1])], [HeldBatch(1, 2, [2])]]
    assert RowLayout(held, 2).groups.tolist() == [0, 0, 1, 2, 2]
