"""Blocks over budget: the strips of the kernel matrices, made of rows that nothing copies."""

import sys

import numpy as np
import pytest
import torch

from hooksim.accumulators.base import SideNames, accumulate
from hooksim.accumulators.covariance import CovarianceAccumulator
from hooksim.accumulators.gram import GramAccumulator
from hooksim.accumulators.order import OrderAccumulator
from hooksim.accumulators.ranks import RankAccumulator
from hooksim.accumulators.rows import RowAccumulator
from hooksim.blocks.block import Block, Origin
from hooksim.blocks.blocker import Blocker
from hooksim.blocks.grams import layer_gram
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.pieces import Piece, block_of
from hooksim.blocks.slabs import slabs
from tests import datasets, reference
from tests.accumulator_laws import make_blocks, matrices
from tests.blocks.test_blocker import Side

NAMES = [SideNames(f"model {label}", [str(index) for index in range(9)]) for label in "AB"]
KINDS = {
    "CKA": GramAccumulator,
    "biased CKA": lambda: GramAccumulator(debiased=False),
    "RBF": lambda: GramAccumulator(kernel="rbf"),
    "imbalance": RankAccumulator,
    "imbalance of 3": lambda: RankAccumulator(3),
    "order": OrderAccumulator,
    "rows": RowAccumulator,
    "exact CKA": CovarianceAccumulator,
}


def accumulated(kind, sides, *, groups=None, gram_budget=0, parts=1, whole=None):
    """One block of whole sides, in one piece or several, through a `Blocker`.

    Its Gram matrices are `whole`: where None, if there is a budget at all.
    """
    accumulator = kind()
    n = len(sides[0][0])
    blocker = Blocker(
        n,
        accumulator.gram_dtype,
        1,
        "a test",
        with_rows=accumulator.needs_rows,
        gram_budget=gram_budget,
    )
    for rows in torch.arange(n).tensor_split(parts):
        cut = slice(int(rows[0]), int(rows[-1]) + 1)
        own = None if groups is None else groups[cut] - groups[cut][0]
        items = len(rows) if own is None else int(own[-1]) + 1
        assert not list(
            blocker.push(
                [Side([each[cut] for each in side], len(rows), items, own) for side in sides]
            )
        )
    [block] = blocker.close()
    assert (block.grams[0].kernel is not None) == (gram_budget > 0 if whole is None else whole)
    accumulate([accumulator], block, NAMES)
    return accumulator


def assert_close(got, expected, tolerance=1e-9):
    for left, right in zip(matrices(got), matrices(expected), strict=True):
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def rows_block(layers, n=50, width=6, dtype=torch.float64, gram_budget=0) -> Block:
    generator = torch.Generator().manual_seed(layers)
    values = [torch.randn(n, width, generator=generator) + 9 for _ in range(layers)]
    piece = Piece([values], None, n, Origin(0, 0, n))
    return block_of([piece], dtype, gram_budget=gram_budget)


def whole(block: Block, layers=None) -> torch.Tensor:
    return torch.cat([strip.kernel.clone() for strip in block.strips(layers)], 1)


@pytest.fixture
def small_slabs(monkeypatch):
    """Slabs of 900 numbers, strips of 300: several of each in a block of 50 samples."""
    monkeypatch.setattr("hooksim.blocks.slabs._SLAB_BYTES", 8 * 900)
    monkeypatch.setattr(sys.modules["hooksim.functional.gram"], "_STRIP_ELEMENTS", 300)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("tokens", [False, True])
def test_they_give_what_whole_matrices_give(kind, parts, tokens, small_slabs):
    (sides,) = make_blocks(60)
    sides[1].append(sides[1][0].round())  # ties ask for a second walk over the strips
    sides[1].append(torch.ones(60, 2))
    groups = torch.arange(60) // 4 if tokens else None
    parts = 3 if tokens and parts > 1 else parts  # sequences are not cut
    over = accumulated(KINDS[kind], sides, groups=groups, parts=parts).compute()
    within = accumulated(KINDS[kind], sides, groups=groups, gram_budget=1 << 30).compute()
    single = kind == "rows" or kind.endswith("CKA")  # whose Gram matrices are float32
    assert_close(over, within, 1e-6 if single else 1e-9)


@pytest.mark.parametrize("name", datasets.CASES)
def test_hard_data(name):
    x, y = datasets.CASES[name]()
    forth, back = reference.block_information_imbalance([(x, y)])
    for kind, expected in {
        "CKA": [reference.block_cka([(x, y)])],
        "biased CKA": [reference.block_cka([(x, y)], debiased=False)],
        "imbalance": [forth, back],
    }.items():
        got = matrices(accumulated(KINDS[kind], [[x], [y]]).compute())
        wanted = [number for estimate in expected for number in estimate]
        assert [cell.item() for cell in got] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("name", datasets.CASES)
def test_equal_rows_tie(name):
    """Far within the tolerance of ties, 256 eps; and rows as they came are all that is kept."""
    for rows in datasets.CASES[name]():
        n = len(rows)
        twice = torch.cat([rows, rows])
        block = block_of(
            [Piece([[twice]], None, 2 * n, Origin(0, 0, 2 * n))], torch.float64, gram_budget=0
        )
        assert block.grams[0].rows.data_ptr() == twice.data_ptr()
        kernel, [norms] = whole(block)[0], block.norms
        i, j = torch.arange(n), torch.arange(n, 2 * n)
        squares = norms[i] + norms[j] - 2 * kernel[i, j]
        eps = torch.finfo(torch.float64).eps
        assert (squares.abs() <= 64 * eps * (norms[i] + norms[j])).all()
        assert (kernel[i, i] - norms[i]).abs().max() <= 64 * eps * norms.max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_strips_are_in_order_and_complete(layers, dtype, small_slabs):
    block, usual = (rows_block(layers, dtype=dtype, gram_budget=size) for size in (0, 1 << 30))
    starts, at = [], 0
    for strip in block.strips():
        assert strip.start == at
        at = strip.stop
        starts.append(strip.start)
    assert at == 50 and starts == sorted(set(starts))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(whole(block), whole(usual), rtol=0, atol=tolerance)
    assert whole(block).dtype == dtype


@pytest.mark.parametrize("chosen", [[0], [3, 1], [4, 2, 0]])
def test_some_layers_in_the_order_asked_for(chosen, small_slabs):
    block = rows_block(5)
    torch.testing.assert_close(whole(block, chosen), whole(block)[chosen], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("layers", "strip", "heights"),
    [
        (1, 300, [18, 18, 14]),  # of 900 numbers, 18 rows of 50; strips of 6
        (1, 350, [14, 14, 14, 8]),  # strips of 7: two whole ones
        (3, 300, [6] * 8 + [2]),
        (30, 300, [1] * 50),  # one row of all layers is over the budget
        (1, 10**6, [18, 18, 14]),  # a strip holds more than a slab
    ],
)
def test_heights_of_slabs(layers, strip, heights, monkeypatch):
    monkeypatch.setattr("hooksim.blocks.slabs._SLAB_BYTES", 8 * 900)
    monkeypatch.setattr(sys.modules["hooksim.functional.gram"], "_STRIP_ELEMENTS", strip)
    block = rows_block(layers)
    found = [
        (start, len(slab[0])) for start, slab in slabs(block.grams, torch.float64, KernelMemory())
    ]
    assert [height for _, height in found] == heights
    assert [start for start, _ in found] == [sum(heights[:i]) for i in range(len(heights))]


def test_fewer_layers_get_higher_slabs_of_one_memory(small_slabs):
    block, memory = rows_block(6), KernelMemory()
    for count, height in ((6, 3), (2, 9), (1, 18)):
        found = [slab for _, slab in slabs(block.grams[:count], torch.float64, memory)]
        assert found[0].shape == (count, height, 50)
        assert len({slab.data_ptr() for slab in found}) == 1
        assert found[0].data_ptr() == memory.take((1,), torch.float64, block.device).data_ptr()


def test_two_walks_at_once_do_not_disturb_each_other(small_slabs):
    block = rows_block(2)
    expected = whole(block)
    for left, right in zip(block.strips(), block.strips([1, 0]), strict=False):
        rows = slice(left.start, left.stop)
        assert torch.equal(left.kernel, expected[:, rows])
        assert torch.equal(right.kernel.flip(0), expected[:, right.start : right.stop])


def test_a_walk_left_early_gives_its_memory_back(small_slabs):
    block = rows_block(2)
    walk = block.strips()
    address = next(walk).kernel.data_ptr()
    walk.close()
    assert next(block.strips()).kernel.data_ptr() == address


@pytest.mark.parametrize("width", [0, 1, 4, 5, 11, 12, 13])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wide_rows_are_multiplied_part_by_part(width, dtype, monkeypatch):
    monkeypatch.setattr("hooksim.blocks.slabs._WIDTH", 4)
    block, usual = (rows_block(2, 30, width, dtype, size) for size in (0, 1 << 30))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(whole(block), whole(usual), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_in_the_memory_does_not_matter(dtype):
    block, memory = rows_block(2, dtype=dtype), KernelMemory()
    [(_, clean)] = slabs(block.grams, dtype, memory)
    expected = clean.clone()
    clean.fill_(float("nan"))
    [(_, again)] = slabs(block.grams, dtype, memory)
    assert torch.equal(again, expected)


@pytest.mark.parametrize("offset", [0.0, 0.1, 1000 / 3])
def test_a_layer_of_which_one_sample_differs_has_no_cka(offset):
    """A mean rounded once would leave, far from 0, a variation that is none."""
    rows = torch.full((200, 5), offset, dtype=torch.float64)
    rows[7] += torch.randn(5, dtype=torch.float64)
    assert accumulated(GramAccumulator, [[rows], [torch.randn(200, 5)]]).compute().values.isnan()


def test_the_median_of_some_samples(monkeypatch):
    """Above so many samples the width of the RBF kernel is taken from spaced ones."""
    monkeypatch.setattr("hooksim.functional.rbf.MEDIAN_ROWS", 17)
    over, within = rows_block(3), rows_block(3, gram_budget=1 << 30)
    for got, expected in zip(over.rbf(0.7), within.rbf(0.7), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_matrices_from_hooks_and_rows_in_one_block(small_slabs):
    """On the first batch a hook does not know yet how many layers there will be."""
    rows = [torch.randn(50, 4) for _ in range(3)]
    grams = [
        layer_gram(each, dtype=torch.float64, with_kernel=made)
        for each, made in zip(rows, (True, False, True), strict=True)
    ]
    mixed = block_of([Piece([grams], None, 50, Origin(0, 0, 50))], torch.float64)
    usual = block_of([Piece([rows], None, 50, Origin(0, 0, 50))], torch.float64)
    torch.testing.assert_close(whole(mixed), whole(usual), rtol=0, atol=1e-12)


def test_layers_without_matrix_and_rows_are_refused():
    gram = layer_gram(torch.randn(9, 4), dtype=torch.float64)._replace(kernel=None)
    with pytest.raises(ValueError, match="neither the matrix nor the rows of this layer were kept"):
        list(slabs([gram], torch.float64, KernelMemory()))


def test_rows_mapped_from_a_file_change_no_bit(tmp_path):
    (sides,) = make_blocks(70)
    mapped = []
    for index, layer in enumerate((*sides[0], *sides[1])):
        file = np.memmap(tmp_path / f"{index}", np.float32, "w+", shape=tuple(layer.shape))
        file[:] = layer.numpy()
        file.flush()
        mapped.append(
            torch.from_numpy(
                np.memmap(tmp_path / f"{index}", np.float32, "r+", shape=tuple(layer.shape))
            )
        )
    split = [mapped[: len(sides[0])], mapped[len(sides[0]) :]]
    for kind in KINDS.values():
        got, expected = (accumulated(kind, each).state_dict() for each in (split, sides))
        assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_where_batches_were_cut_changes_no_bit():
    (sides,) = make_blocks(70)
    for kind in KINDS.values():
        expected = accumulated(kind, sides).state_dict()
        got = accumulated(kind, sides, parts=7).state_dict()
        assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_one_batch_item_runs_on_the_meta_device():
    rows = [torch.empty(600, width, device="meta") for width in (3, 5)]
    block = block_of([Piece([rows], None, 600, Origin(0, 0, 600))], torch.float64, gram_budget=0)
    assert sum(strip.kernel.shape[1] for strip in block.strips()) == 600
    assert block.rbf(1.0).sums.shape == (2, 600)


@pytest.mark.parametrize("layers", [[0, 1], [2, 0]])
@pytest.mark.parametrize("rows", [slice(3, 9), torch.tensor([8, 3, 5])])
def test_some_rows_of_some_layers_of_kept_matrices(layers, rows):
    generator = torch.Generator().manual_seed(0)
    sides = [[torch.randn(20, 4, generator=generator) for _ in range(3)]]
    block = block_of([Piece(sides, None, 20, Origin(0, 0, 20))], torch.float64)
    whole = torch.stack([block.grams[layer].kernel for layer in layers])
    assert torch.equal(block._kernel_rows(layers, rows), whole[:, rows])
