import pytest
import torch

from hooksim.capture.batches import PairedBatch
from hooksim.capture.lookahead import SizedBatch, as_they_come, cut_batches, look_ahead


def joined(sizes, smallest=4):
    """For each batch whether it is joined to the next."""
    batches = [(None, size) for size in sizes]
    ahead = list(look_ahead(batches, smallest))
    assert [each.size for each in ahead] == sizes
    return [each.joins_next for each in ahead]


def test_no_batches():
    assert joined([]) == []


def test_one_batch():
    assert joined([5]) == [False]


def test_a_large_last_batch_stands_for_itself():
    assert joined([8, 8, 8]) == [False, False, False]


@pytest.mark.parametrize("last", [1, 3])
def test_a_small_last_batch_is_joined(last):
    assert joined([8, 8, last]) == [False, True, False]


def test_a_small_batch_in_between_is_not_joined():
    assert joined([8, 3, 8]) == [False, False, False]


def test_small_is_less_than_half_or_less_than_the_smallest():
    assert joined([12, 6]) == [False, False]
    assert joined([13, 6]) == [True, False]
    assert joined([12, 6], smallest=7) == [True, False]
    assert joined([4, 3]) == [True, False]


def test_reads_no_further_than_needed():
    drawn = []

    def source(sizes):
        for size in sizes:
            drawn.append(size)
            yield None, size

    ahead = look_ahead(source([8, 8, 1, 8]))
    assert not drawn
    next(ahead)
    assert drawn == [8, 8]
    next(ahead)
    assert drawn == [8, 8, 1, 8]


def test_as_they_come_nothing_is_read_ahead_and_nothing_joined():
    source = iter([("a", 8), ("b", 1)])
    batches = as_they_come(source)
    assert next(batches) == SizedBatch("a", 8, False)
    assert next(source) == ("b", 1)
    assert list(batches) == []


def test_cutting():
    loader = [torch.zeros(4, 2), torch.zeros(4, 2), torch.zeros(4, 2)]
    assert [size for _, size in cut_batches(loader, None)] == [4, 4, 4]
    assert [size for _, size in cut_batches(loader, 8)] == [4, 4]
    assert [item.shape[0] for item, _ in cut_batches(loader, 6)] == [4, 2]
    assert list(cut_batches(loader, 0)) == []


def test_cutting_reads_no_further_than_needed():
    source = iter([torch.zeros(4), torch.zeros(4), torch.zeros(4)])
    assert len(list(cut_batches(source, 8))) == 2
    assert len(list(source)) == 1


def test_cutting_a_pair_cuts_both_halves():
    pair = PairedBatch(torch.zeros(4, 2), {"x": torch.zeros(4, 3)}, ids=list("abcd"))
    [(cut, size)] = cut_batches([pair], 3)
    assert (size, cut.a.shape[0], cut.b["x"].shape[0], cut.ids) == (3, 3, 3, list("abc"))


def test_empty_batches_are_passed_over():
    assert [size for _, size in cut_batches([torch.zeros(0, 2), torch.zeros(2, 2)], None)] == [2]
