"""Sums of neighbour edges, with lists and without: the same numbers, in bounded memory."""

import subprocess
import sys

import pytest
import torch

from hooksim.accumulators import rank_walks, streamed_edges
from hooksim.accumulators.base import SideNames, SidePair, accumulate
from hooksim.accumulators.ranks import RankAccumulator
from hooksim.blocks.block import Block, Origin
from hooksim.blocks.pieces import Piece, block_of
from hooksim.functional import ranks as functional_ranks
from tests import datasets, reference
from tests.accumulator_laws import AccumulatorLaws


def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No list is short enough."""
    monkeypatch.setattr(rank_walks, "_LIST_BYTES", 0)


def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list is short enough."""
    monkeypatch.setattr(rank_walks, "_LOOK_UP_COST", 0)
    monkeypatch.setattr(rank_walks, "_LONGEST", 0)
    monkeypatch.setattr(functional_ranks, "_LONG_FROM", 0)


def rows_of(seed: int, n: int) -> list[torch.Tensor]:
    """An ordinary layer, a binary, a constant and a three-valued one, and one with duplicates."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, 3, generator=generator)
    few = rows[: n - n // 10]
    return [
        rows,
        (rows[:, :1] > 0).float(),
        torch.ones(n, 2),
        rows.clamp(-1, 1).round(),
        torch.cat([few, few[: n // 10]]),
    ]


def assert_same(left: RankAccumulator, right: RankAccumulator) -> None:
    for pair in range(len(left.pairs)):
        for got, expected in zip(left.compute(pair), right.compute(pair), strict=True):
            torch.testing.assert_close(
                got.values, expected.values, rtol=0, atol=1e-12, equal_nan=True
            )
            torch.testing.assert_close(
                got.stderr, expected.stderr, rtol=0, atol=1e-7, equal_nan=True
            )


class TestStreamed(AccumulatorLaws):
    @pytest.fixture(autouse=True)
    def without_lists(self, monkeypatch):
        streamed(monkeypatch)

    def make(self):
        return RankAccumulator()

    def make_other(self):
        return RankAccumulator(k=2)

    def cell(self, blocks):
        return reference.block_information_imbalance(blocks)


class TestMostNeighbours(AccumulatorLaws):
    """All but one of the other samples of the smallest block."""

    def make(self):
        return RankAccumulator(k=10)

    def make_other(self):
        return RankAccumulator(k=9)

    def cell(self, blocks):
        return reference.block_information_imbalance(blocks, k=10)


@pytest.mark.parametrize("name", datasets.CASES)
@pytest.mark.parametrize("k", [1, 3, "half", "most"])
def test_lists_and_streams_give_the_same(name, k, monkeypatch):
    x, y = datasets.CASES[name]()
    n = len(x)
    k = {"half": n // 2, "most": n - 2}.get(k, k)
    a, b = [x, *rows_of(1, n)[1:3]], [y, *rows_of(2, n)[1:]]
    with monkeypatch.context() as patch:
        lists(patch)
        expected = RankAccumulator(k).update(a, b)
    with monkeypatch.context() as patch:
        streamed(patch)
        without = RankAccumulator(k).update(a, b)
    assert_same(without, expected)
    assert_same(RankAccumulator(k).update(a, b), expected)  # whichever is chosen


@pytest.mark.parametrize("k", [1, 3, 60, 118])
def test_layers_with_ties_give_what_the_reference_gives(k):
    a, b = rows_of(3, 120), rows_of(4, 120)
    ways = RankAccumulator(k).update(a, b).compute()
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            expected = reference.block_information_imbalance([(x, y)], k=k)
            for (values, stderr), truth in zip(ways, expected, strict=True):
                assert values[i, j].item() == pytest.approx(truth.value, abs=1e-9)
                assert stderr[i, j].item() == pytest.approx(truth.stderr, abs=1e-6)


@pytest.mark.parametrize("n", [11, 50, 57, 300, 301])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_a_constant_layer_gives_exactly_one(n, k):
    constant, binary = torch.ones(n, 2), (torch.arange(n) % 3 == 0).double()[:, None]
    a_to_b, b_to_a = (
        RankAccumulator(k).update([constant], [constant, binary, torch.randn(n, 2)]).compute()
    )
    assert torch.equal(a_to_b.values, torch.ones_like(a_to_b.values))
    assert torch.equal(b_to_a.values[:, [0, 2]], torch.ones_like(b_to_a.values[:, [0, 2]]))
    assert b_to_a.values[0, 1].item() == pytest.approx(1, abs=1e-15)


def fed(accumulator: RankAccumulator, a, b, groups) -> RankAccumulator:
    """One block of token rows."""
    n = len(groups)
    piece = Piece([a, b], groups, int(groups.max()) + 1, Origin(0, 0, n))
    names = [SideNames(label, [str(index) for index in range(9)]) for label in "ab"]
    accumulate([accumulator], block_of([piece], torch.float64), names)
    return accumulator


@pytest.mark.parametrize("k", [2, 70])
def test_rows_of_one_sequence_are_summed_before_squaring(k, monkeypatch):
    a, b = rows_of(5, 140), rows_of(6, 140)
    groups = torch.arange(140) // 4
    with monkeypatch.context() as patch:
        lists(patch)
        expected = fed(RankAccumulator(k), a, b, groups)
    streamed(monkeypatch)
    got = fed(RankAccumulator(k), a, b, groups)
    assert_same(got, expected)
    truth = reference.block_information_imbalance([(a[0], b[1])], k=k, groups=[groups])
    for (values, stderr), each in zip(got.compute(), truth, strict=True):
        assert (values[0, 1].item(), stderr[0, 1].item()) == pytest.approx(tuple(each), abs=1e-6)


PAIRS = [
    SidePair(0, 1, aligned=True),
    SidePair(1, 1),
    SidePair(0, 0, aligned=True),
]


@pytest.mark.parametrize("k", [1, 40])
@pytest.mark.parametrize("held", [1, 30_000, 1 << 28])
def test_pairs_of_all_kinds_with_any_budget(k, held, monkeypatch):
    """Layers stored once and given twice, aligned pairs, many walks or one: the same numbers."""
    a, b = rows_of(7, 80), rows_of(8, 80)
    a[4], b[2] = a[3], b[1]
    with monkeypatch.context() as patch:
        lists(patch)
        expected = RankAccumulator(k, pairs=PAIRS).update(a, b)
    streamed(monkeypatch)
    monkeypatch.setattr(rank_walks, "_STREAM_BYTES", held)
    monkeypatch.setattr(streamed_edges, "_PIECE_ELEMENTS", 7 * 80 * 9)
    assert_same(RankAccumulator(k, pairs=PAIRS).update(a, b), expected)


@pytest.fixture
def walks(monkeypatch) -> list[list[int] | None]:
    """The layers of each walk over the strips of a block."""
    seen: list[list[int] | None] = []
    walk = Block.walk

    def counted(self, look, take, layers=None):
        seen.append(layers)
        return walk(self, look, take, layers)

    monkeypatch.setattr(Block, "walk", counted)
    return seen


def test_many_neighbours_cost_one_walk(walks):
    RankAccumulator(30).update(rows_of(1, 60), rows_of(2, 60))
    assert walks == [None]


def test_ties_of_all_lengths_cost_one_more_walk(walks):
    """Duplicates get lists, the constant layer none: both on the same walk."""
    n = 400
    a = [torch.randn(n, 2), torch.ones(n, 2), torch.randn(n, 3)[torch.arange(n) % (n - 9)]]
    RankAccumulator().update(a, [torch.randn(n, 3)])
    assert walks == [None, [1, 2, 3]]


@pytest.mark.parametrize("k", [1, 4])
def test_lists_that_do_not_fit_cost_more_walks(k, walks, monkeypatch):
    """Three sources at a time; the ties of later ones are known after the first walk too."""
    a, b = rows_of(1, 200), rows_of(2, 200)
    b[2:] = [torch.randn(200, 3, generator=torch.Generator().manual_seed(3)) for _ in range(3)]
    with monkeypatch.context() as patch:
        lists(patch)
        expected = RankAccumulator(k).update(a, b)
    walks.clear()
    monkeypatch.setattr(rank_walks, "_LIST_BYTES", 3 * 200 * k * (16 + 5 * 4))
    got = RankAccumulator(k).update(a, b)
    assert walks[0] is None and len(walks) == 3
    assert_same(got, expected)


def test_what_does_not_fit_costs_more_walks(walks, monkeypatch):
    """Two of the ten targets at a time, those of the first walk included."""
    monkeypatch.setattr(rank_walks, "_STREAM_BYTES", 2 * streamed_edges.bytes_of_target(60, 5))
    RankAccumulator(30).update(rows_of(1, 60), rows_of(2, 60))
    assert walks == [
        None,
        [2, 3, 5, 6, 7, 8, 9],
        list(range(10)),
        [*range(5), 6, 7],
        [*range(5), 8, 9],
    ]


MEASURE = """
import resource
import torch
from hooksim import RankAccumulator

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

torch.manual_seed(0)
n, k = {n}, {k}
sides = [{layers} for _ in range(2)]
RankAccumulator().update(*([rows[:300] for rows in side] for side in sides))
before = peak()
RankAccumulator(k).update(*sides)
print(peak() - before)
"""
TIED = "[torch.ones(n, 2), (torch.randn(n, 1) > 0).float(), torch.randn(n, 5), torch.randn(n, 5)]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "k", "layers", "grams"),
    [(8200, 1, TIED, 0), (2000, 1000, "[torch.randn(n, 5) for _ in range(6)]", 12 * 2000**2 * 8)],
)
def test_memory_is_bounded(n, k, layers, grams):
    """What is held from strip to strip, a dozen strips of 32 MiB, and the Gram matrices, in MiB.

    With lists it took 4220 (of 6,000 samples) and 3960 MiB. Of 8,200 not even one half of the
    matrices fits the budget, so none is kept.
    """
    script = MEASURE.format(n=n, k=k, layers=layers)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 256 + 12 * 32 + (grams >> 20)
