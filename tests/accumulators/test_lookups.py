"""Parts of look-ups keep their places in the matrix."""

from hooksim.accumulators.lookups import Direction, LookUp, by_source, restricted

EVERY = LookUp(Direction(0, 1, False), [0, 1, 2], [3, 4, 5], [6, 7, 8, 9])
ALIGNED = LookUp(Direction(1, 0, True), [0, 1, 2], [6, 7, 7], [3, 3, 4])


def test_shape_and_columns():
    assert EVERY.shape == (3, 4) and EVERY.columns() == slice(0, 4)
    assert EVERY.of_row(1) == [6, 7, 8, 9]
    assert ALIGNED.shape == (3, 1) and ALIGNED.columns() == slice(0, 1)
    assert ALIGNED.of_row(2) == [4]


def test_the_part_of_some_sources_and_targets():
    part, aligned = restricted([EVERY, ALIGNED], {3, 5, 7}, {4, 7, 8})
    assert part == LookUp(EVERY.direction, [0, 2], [3, 5], [7, 8], 1)
    assert part.columns() == slice(1, 3)
    assert aligned == LookUp(ALIGNED.direction, [2], [7], [4])
    assert restricted([EVERY, ALIGNED], {3, 6}, {4, 5}) == []


def test_every_row_by_its_source():
    own = by_source([EVERY, ALIGNED])
    assert sorted(own) == [3, 4, 5, 6, 7]
    assert own[4] == [LookUp(EVERY.direction, [1], [4], EVERY.targets)]
    assert own[7] == [
        LookUp(ALIGNED.direction, [1], [7], [3]),
        LookUp(ALIGNED.direction, [2], [7], [4]),
    ]
