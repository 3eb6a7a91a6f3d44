"""Rows into blocks: every row once, in order, in blocks of the promised sizes."""

import weakref
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hooksim.blocks.block import Origin
from hooksim.blocks.blocker import Blocker
from hooksim.blocks.grams import LayerGram
from hooksim.blocks.pieces import Piece, block_of, gather
from hooksim.blocks.sizes import automatic_size
from hooksim.errors import NotEnoughSamplesError
from hooksim.functional.gram import centre, gram


class Side(NamedTuple):
    values: list
    n: int
    items: int
    groups: Tensor | None = None


def side(rows: Tensor, *, groups: Tensor | None = None) -> Side:
    items = len(rows) if groups is None else int(groups[-1]) + 1
    return Side([rows], len(rows), items, groups)


def blocks_of(blocker: Blocker, rows: Tensor, sizes: list[int]) -> list[tuple[int, Tensor]]:
    """Push rows batch by batch; the size and the Gram matrix of every block."""
    found = []
    batches = rows.split(sizes)
    for index, batch in enumerate(batches):
        small = index + 2 == len(batches) and is_small(len(batches[-1]), len(batch))
        reduce = blocker.reducer(small)
        given_side = (
            side(batch) if reduce is None else Side([reduce(batch, None)], len(batch), len(batch))
        )
        found += [
            (block.n, next(block.strips()).kernel[0].clone())
            for block in blocker.push([given_side])
        ]
    return found + [(block.n, next(block.strips()).kernel[0].clone()) for block in blocker.close()]


def is_small(last: int, before: int) -> bool:
    """What `hooksim.capture.lookahead` says of a last batch."""
    return 2 * last < before or last < 4


def expected_kernels(rows: Tensor, sizes: list[int]) -> list[Tensor]:
    return [gram(centre(part, torch.float32).rows) for part in rows.split(sizes)]


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    block_size=st.integers(4, 50),
)
def test_every_row_leaves_once_and_in_order(sizes, block_size):
    total = sum(sizes)
    rows = torch.randn(total, 3, generator=torch.Generator().manual_seed(total))
    blocker = Blocker(block_size, torch.float32, 4, "CKA")
    if total < 4:
        with pytest.raises(NotEnoughSamplesError):
            blocks_of(blocker, rows, sizes)
        return
    found = blocks_of(blocker, rows, sizes)
    assert sum(n for n, _ in found) == total
    for (_, kernel), expected in zip(
        found, expected_kernels(rows, [n for n, _ in found]), strict=True
    ):
        torch.testing.assert_close(kernel, expected)


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (3, None),
        (4, [4]),
        (10, [10]),
        (14, [14]),
        (15, [8, 7]),
        (19, [10, 9]),
        (20, [10, 10]),
        (24, [10, 14]),
        (25, [10, 8, 7]),
        (103, [10] * 9 + [13]),
    ],
)
def test_sizes(total, expected):
    rows = torch.randn(total, 2)
    blocker = Blocker(10, torch.float32, 4, "CKA")
    if expected is None:
        with pytest.raises(
            NotEnoughSamplesError, match="the data has 3 rows; CKA needs at least 4"
        ):
            blocks_of(blocker, rows, [total])
        return
    assert [n for n, _ in blocks_of(blocker, rows, [total])] == expected


def test_the_remainder_is_never_cut_below_what_a_measure_needs():
    rows = torch.randn(7, 2)
    blocker = Blocker(4, torch.float32, 4, "CKA")
    assert [n for n, _ in blocks_of(blocker, rows, [7])] == [7]


def test_no_samples_at_all():
    with pytest.raises(NotEnoughSamplesError, match="the data has 0 rows"):
        list(Blocker("auto", torch.float32, 4, "CKA").close())


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([20, 20, 20], [20, 20, 20]),
        ([20, 20, 10], [20, 20, 10]),
        ([20, 20, 9], [20, 29]),
        ([6, 6, 3], [6, 9]),
        ([20], [20]),
        ([20, 3], [23]),
    ],
)
def test_batch_blocks_join_a_small_last_batch(sizes, expected):
    rows = torch.randn(sum(sizes), 2)
    found = blocks_of(Blocker("batch", torch.float32, 4, "CKA"), rows, sizes)
    assert [n for n, _ in found] == expected
    for (_, kernel), reference in zip(found, expected_kernels(rows, expected), strict=True):
        torch.testing.assert_close(kernel, reference)


def test_a_small_batch_in_the_middle_is_refused():
    with pytest.raises(NotEnoughSamplesError, match=r"batch 1 has 3 rows.*larger batches"):
        blocks_of(Blocker("batch", torch.float32, 4, "CKA"), torch.randn(43, 2), [20, 3, 20])


def test_automatic_size_falls_back_to_batches_and_says_so():
    blocker = Blocker("auto", torch.float32, 4, "CKA")
    wide = torch.zeros(1, 1).expand(4, 3 << 20)  # one row: 12 MiB
    assert [block.n for block in blocker.push([side(wide)])] == [4]
    assert blocker.size == "batch"
    [note] = blocker.notes
    assert note.code == "batch_blocks" and "n = 4" in note.text


@pytest.mark.parametrize(
    ("row_bytes", "size"),
    [(1 << 20, 2048), ((1 << 20) + 1, 1024), (2 << 20, 1024), (8 << 20, 256), (9 << 20, "batch")],
)
def test_automatic_size(row_bytes, size):
    assert automatic_size(row_bytes) == size


def test_a_tensor_shared_by_layers_is_stored_once():
    first, second = torch.randn(6, 2), torch.randn(6, 2)
    blocker = Blocker(8, torch.float32, 4, "CKA")
    layers = [first, second, first]
    assert list(blocker.push([Side(layers, 6, 6), Side([first], 6, 6)])) == []
    more = torch.randn(6, 2)
    assert list(blocker.push([Side([more, second, more], 6, 6), Side([more], 6, 6)])) == []
    blocks = [(block.sides, block.stored(0), block.stored(1)) for block in blocker.close()]
    assert blocks == [([range(0, 2), range(2, 3)], [0, 1, 0], [2])] * 2


def test_layers_that_share_only_sometimes_are_stored_apart():
    first, second = torch.randn(6, 2), torch.randn(6, 2)
    blocker = Blocker(12, torch.float32, 4, "CKA")
    list(blocker.push([Side([first, first], 6, 6)]))
    list(blocker.push([Side([first, second], 6, 6)]))
    [stored] = [block.stored(0) for block in blocker.close()]
    assert stored == [0, 1]


def test_sequences_are_numbered_through_the_block_and_split_at_its_border():
    blocker = Blocker(8, torch.float32, 4, "CKA")
    groups = torch.tensor([0, 0, 0, 2, 2, 2])  # item 1 has no token
    found = []
    for _ in range(3):
        pushed = blocker.push([side(torch.randn(6, 2), groups=groups)])
        found += [block.groups.tolist() for block in pushed]
    found += [block.groups.tolist() for block in blocker.close()]
    assert found == [[0, 0, 0, 1, 1, 1, 2, 2], [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]]


def test_origins_lead_back_to_batch_and_row():
    blocker = Blocker(8, torch.float32, 4, "CKA")
    blocks = []
    for _ in range(4):
        blocks += list(blocker.push([side(torch.randn(6, 2))]))
    blocks += list(blocker.close())
    assert [tuple(origin) for origin in blocks[0].origins] == [(0, 0, 6), (1, 0, 2)]
    assert [[block.origin(row) for row in (0, 3, 4, 7)] for block in blocks[1:]] == [
        [(1, 2), (1, 5), (2, 0), (2, 3)],
        [(2, 4), (3, 1), (3, 2), (3, 5)],
    ]
    with pytest.raises(IndexError):
        blocks[0].origin(8)


def test_wide_layers_of_the_first_batch_are_not_held():
    blocker = Blocker("auto", torch.float32, 4, "CKA")
    reduce = blocker.reducer(False)
    wide = torch.zeros(1, 1).expand(5, 1 << 20)  # one row: 4 MiB
    made = [reduce(wide, None) for _ in range(4)]
    assert [isinstance(each, LayerGram) for each in made] == [False, False, True, True]
    assert [block.n for block in blocker.push([Side(made, 5, 5)])] == [5]
    assert blocker.size == "batch"


def test_grams_over_budget_stay_rows_in_the_hook():
    blocker = Blocker("batch", torch.float32, 4, "CKA", gram_budget=5 * 5 * 4)
    reduce = blocker.reducer(False)
    assert reduce(torch.randn(5, 3), None).kernel is not None
    assert reduce(torch.randn(6, 3), None).kernel is None


def test_rows_kept_in_the_hook_are_not_the_activation():
    """An in-place layer may overwrite it once the hook has returned."""
    blocker = Blocker("batch", torch.float32, 4, "CKA", gram_budget=0)
    activation = torch.randn(6, 5, 3)
    kept = blocker.reducer(False)(activation[:, 0], None)
    expected = kept.centred(0, 6)
    activation.zero_()
    assert torch.equal(kept.centred(0, 6), expected)


def test_batches_are_let_go_layer_by_layer():
    """So that of a block of many batches one layer at most is in memory twice."""
    layers = [[torch.randn(4, 2) for _ in range(3)] for _ in range(2)]
    alive = [[weakref.ref(part) for part in layer] for layer in layers]
    given = gather(
        [
            Piece([[layers[0][i]], [layers[1][i]]], None, 4, Origin(i, 0, 4))
            for i in range(len(layers[0]))
        ]
    )
    layers.clear()
    block = block_of(given, torch.float64, with_rows=True)
    assert block.n == 12 and block.grams[0].rows.shape == (12, 2)
    assert not any(part() is not None for layer in alive for part in layer)


def test_float64_rows_keep_their_precision():
    blocker = Blocker(8, torch.float32, 4, "CKA")
    list(blocker.push([side(torch.randn(6, 2, dtype=torch.float64))]))
    assert [next(block.strips()).kernel.dtype for block in blocker.close()] == [torch.float64]
