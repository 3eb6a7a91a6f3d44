"""Blocks of whose kernel matrices one half fits: the strips, and what is summed over them."""

import sys

import pytest
import torch

from hooksim.blocks.block import Origin
from hooksim.blocks.grams import layer_gram
from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.packed import PackedKernels, packed_elements
from hooksim.blocks.pieces import Piece, block_of
from tests import datasets
from tests.accumulator_laws import make_blocks
from tests.blocks.test_slabs import KINDS, accumulated, assert_close, rows_block, whole


def half(layers: int, n: int, dtype: torch.dtype = torch.float64) -> int:
    """A budget that holds one half of the matrices, and not the whole."""
    return layers * packed_elements(n) * dtype.itemsize


@pytest.fixture
def small_strips(monkeypatch):
    """Several strips to a panel of 50 samples."""
    monkeypatch.setattr(sys.modules["hooksim.functional.gram"], "_STRIP_ELEMENTS", 100)


@pytest.mark.parametrize("n", [1, 5, 16, 17, 50, 4096])
def test_about_half_is_kept(n):
    elements = packed_elements(n)
    assert n * (n + 1) / 2 <= elements <= n * n / 2 + n * (n / 16 + 1) / 2 + n


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 5, 17, 50])
@pytest.mark.parametrize("layers", [1, 3])
def test_strips_are_those_of_whole_matrices(dtype, n, layers, small_strips):
    packed, usual = (
        rows_block(layers, n, dtype=dtype, gram_budget=size)
        for size in (half(layers, n, dtype), 1 << 30)
    )
    starts = [strip.start for strip in packed.strips()]
    assert starts == sorted(set(starts))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(whole(packed), whole(usual), rtol=0, atol=tolerance)
    assert whole(packed).dtype == dtype


def test_the_budget_decides(monkeypatch):
    """All of it, one half, or some rows at a time."""
    made = []
    monkeypatch.setattr(
        "hooksim.blocks.block.PackedKernels", lambda *given: made.append(1) or PackedKernels(*given)
    )
    for budget, kept, packed in (
        (3 * 50 * 50 * 8, True, 0),
        (half(3, 50), False, 1),
        (half(3, 50) - 1, False, 0),
    ):
        made.clear()
        block = rows_block(3, gram_budget=budget)
        assert (block.grams[0].kernel is not None) == kept
        whole(block), whole(block, [1])
        assert len(made) == packed


@pytest.mark.parametrize("chosen", [[0], [1, 2], [3, 1], [4, 2, 0]])
def test_some_layers_in_the_order_asked_for(chosen, small_strips):
    block = rows_block(5, gram_budget=half(5, 50))
    assert torch.equal(whole(block, chosen), whole(block)[chosen])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [False, True])
def test_they_give_what_whole_matrices_give(kind, tokens, small_strips):
    (sides,) = make_blocks(60)
    sides[1].append(sides[1][0].round())  # ties ask for a second walk over the strips
    sides[1].append(torch.ones(60, 2))
    groups = torch.arange(60) // 4 if tokens else None
    layers = sum(map(len, sides))
    budget = half(layers, 60, KINDS[kind]().gram_dtype)
    packed = accumulated(KINDS[kind], sides, groups=groups, gram_budget=budget, whole=False)
    within = accumulated(KINDS[kind], sides, groups=groups, gram_budget=1 << 30)
    single = kind == "rows" or kind.endswith("CKA")  # whose Gram matrices are float32
    assert_close(packed.compute(), within.compute(), 1e-6 if single else 1e-9)


@pytest.mark.parametrize("name", datasets.CASES)
def test_equal_rows_tie(name):
    """Far within the tolerance of ties, 256 eps."""
    for rows in datasets.CASES[name]():
        n = len(rows)
        twice = torch.cat([rows, rows])
        block = block_of(
            [Piece([[twice]], None, 2 * n, Origin(0, 0, 2 * n))],
            torch.float64,
            gram_budget=half(1, 2 * n),
        )
        kernel, [norms] = whole(block)[0], block.norms
        i, j = torch.arange(n), torch.arange(n, 2 * n)
        squares = norms[i] + norms[j] - 2 * kernel[i, j]
        eps = torch.finfo(torch.float64).eps
        assert (squares.abs() <= 64 * eps * (norms[i] + norms[j])).all()
        assert (kernel[i, i] - norms[i]).abs().max() <= 64 * eps * norms.max()


@pytest.mark.parametrize("width", [0, 1, 4, 5, 13])
def test_wide_rows_are_multiplied_part_by_part(width, monkeypatch):
    monkeypatch.setattr("hooksim.blocks.packed._WIDTH", 4)
    packed, usual = (rows_block(2, 30, width, gram_budget=size) for size in (half(2, 30), 1 << 30))
    torch.testing.assert_close(whole(packed), whole(usual), rtol=0, atol=1e-12)


def test_what_is_in_the_memory_does_not_matter():
    gram = layer_gram(torch.randn(40, 9), dtype=torch.float64, with_kernel=False)
    memory = KernelMemory()
    which = slice(0, 1)
    made = PackedKernels([gram], torch.float64, memory)
    expected = torch.cat([rows.clone() for _, rows in made.parts(which, 1)], 1)
    memory.take((packed_elements(40),), torch.float64, gram.norms.device).fill_(float("nan"))
    again = PackedKernels([gram], torch.float64, memory)
    assert torch.equal(torch.cat([rows.clone() for _, rows in again.parts(which, 1)], 1), expected)


def test_the_median_of_other_samples_leaves_the_matrices_alone(monkeypatch):
    """It needs kernel matrices of its own, for a second bandwidth after strips were made."""
    monkeypatch.setattr("hooksim.functional.rbf.MEDIAN_ROWS", 17)
    packed, within = rows_block(3, gram_budget=half(3, 50)), rows_block(3, gram_budget=1 << 30)
    expected = whole(packed)
    for bandwidth in (0.7, 2.0):
        for got, wanted in zip(packed.rbf(bandwidth), within.rbf(bandwidth), strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    assert torch.equal(whole(packed), expected)
