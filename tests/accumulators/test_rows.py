"""How many dimensions, how spread, and how many rows have an equal one in their block."""

import pytest
import torch

from hooksim.accumulators.base import SideNames, SidePair
from hooksim.accumulators.rows import RowAccumulator
from tests import datasets
from tests.accumulator_laws import AccumulatorLaws


def twins(rows: torch.Tensor) -> int:
    """Rows equal to another, each compared with each."""
    equal = (rows[:, None] == rows[None]).all(-1)
    return int((equal.sum(1) > 1).sum())


def traces(rows: torch.Tensor) -> tuple[float, float]:
    """Of the covariance and, by Srivastava's correction, of its square."""
    n = len(rows)
    covariance = torch.cov(rows.double().T).reshape(rows.shape[1], -1)
    trace, square = covariance.trace().item(), covariance.square().sum().item()
    return trace, (square - trace**2 / (n - 1)) * (n - 1) ** 2 / ((n - 2) * (n + 1))


def directions(blocks: list[torch.Tensor]) -> float:
    """The participation ratio over blocks."""
    n = sum(map(len, blocks))
    sums = [sum(len(rows) * traces(rows)[i] for rows in blocks) / n for i in (0, 1)]
    return sums[0] ** 2 / sums[1]


class TestRows(AccumulatorLaws):
    def make(self):
        return RowAccumulator()

    def make_other(self):
        return RowAccumulator(pairs=[SidePair(0, 1), SidePair(0, 0)])

    def truth(self, blocks):
        n = sum(len(rows[0]) for rows, _ in blocks)
        layers = [
            list(parts) for side in (0, 1) for parts in zip(*(b[side] for b in blocks), strict=True)
        ]
        columns = [
            [parts[0].shape[1] for parts in layers],
            [directions(parts) for parts in layers],
            [sum(twins(part) for part in parts) / n for parts in layers],
        ]
        return [torch.tensor(column, dtype=torch.float64) for column in columns]


def test_shares_of_blocks_add_up():
    x = torch.randn(20, 3)
    accumulator = RowAccumulator(pairs=[SidePair(0, 1), SidePair(1, 1)])
    accumulator.update([x, x[:, :1].round()], [torch.ones(20, 2)])
    accumulator.update([x[[0, 1, 0, 2, 0]], x[:5, :1]], [x[[3, 3, 4, 4, 5]]])
    rounded = twins(x[:, :1].round())
    expected = torch.tensor([3 / 25, rounded / 25, 24 / 25], dtype=torch.float64)
    torch.testing.assert_close(accumulator.compute().duplicates, expected)
    torch.testing.assert_close(accumulator.compute(1).duplicates, expected[2:])


@pytest.mark.parametrize("name", [name for name in datasets.CASES if "width" not in name])
def test_the_hard_data(name):
    x, y = datasets.CASES[name]()
    for rows in ([x, y], [x[torch.arange(300) % len(x)], y[torch.arange(300) // 2]]):
        expected = torch.tensor([twins(each) / len(each) for each in rows], dtype=torch.float64)
        got = RowAccumulator().update(rows[:1], rows[1:]).compute().duplicates
        torch.testing.assert_close(got, expected)


def test_rows_that_differ_in_one_digit_are_no_duplicates():
    rows = torch.full((2, 4096), 1000.0)
    rows[1, 7] = torch.nextafter(rows[1, 7], torch.tensor(2000.0))
    assert RowAccumulator().update([rows], [rows]).compute().duplicates.tolist() == [0.0, 0.0]


def test_zeros_of_both_signs_are_equal():
    rows = torch.tensor([[0.0, 1.0], [-0.0, 1.0]])
    assert RowAccumulator().update([rows], [rows]).compute().duplicates.tolist() == [1.0, 1.0]


def test_nothing_is_read_from_the_device(monkeypatch):
    monkeypatch.setattr(
        "hooksim.accumulators.base.read_counts", lambda counts: [[0] * len(counts[0])]
    )
    rows = [torch.empty(40, width, device="meta") for width in (3, 5)]
    state = RowAccumulator().update(rows, rows[:1]).state_dict()
    assert state["sides.0.twins"].shape == (2,) and state["sides.0.twins"].device.type == "meta"


class TestRepeatedSamples:
    NAMES = (SideNames("model A", ["one"]), SideNames("model B", ["two"]))

    def notes(self, a, b):
        return RowAccumulator().update([a], [b]).notes(self.NAMES)

    @pytest.fixture
    def rows(self):
        generator = torch.Generator().manual_seed(0)
        return torch.randn(2, 40, 5, generator=generator)

    def test_copies_of_samples_are_a_warning(self, rows):
        a, b = torch.cat([rows, rows[:, :3]], 1)
        [note] = self.notes(a, b)
        assert note.code == "repeated_rows"
        assert note.text.startswith("at least 14% of the samples equal another one")

    def test_few_are_none(self, rows):
        assert self.notes(*torch.cat([rows, rows[:, :1]], 1)) == []

    def test_nor_are_equal_rows_of_one_model(self, rows):
        a, b = rows
        assert self.notes(a.sign(), b) == []

    def test_nor_is_a_layer_that_does_not_vary(self, rows):
        a, b = rows
        assert self.notes(torch.ones_like(a), b) == []
        assert self.notes(torch.ones_like(a), torch.ones_like(b)) == []
        a, b = torch.cat([rows, rows], 1)
        assert len(self.notes(torch.ones_like(a), b)) == 1
