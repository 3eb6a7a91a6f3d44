"""`functional.information_imbalance` from outside: the reference, ties, and what changes it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hooksim.errors import ConfigError, NotEnoughSamplesError, ShapeError
from hooksim.functional import information_imbalance
from tests import reference
from tests.datasets import CASES, related


def both(x: torch.Tensor, y: torch.Tensor, **options) -> list[float]:
    return [value.item() for value in information_imbalance(x, y, **options)]


@pytest.mark.parametrize("k", [1, 7])
@pytest.mark.parametrize("name", CASES)
def test_hard_cases(name, k):
    x, y = CASES[name]()
    expected = reference.information_imbalance(x, y, k=k)
    assert both(x, y, k=k) == pytest.approx(expected, abs=1e-4)


@given(
    values=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=12),
    k=st.integers(1, 11),
)
def test_tied_integers(values, k):
    x, y = torch.tensor(values).split(1, dim=1)
    k = min(k, len(values) - 1)
    expected = reference.information_imbalance(x, y, k=k)
    assert both(x, y, k=k) == pytest.approx(expected, abs=1e-6)


@given(n=st.integers(2, 40), d_x=st.integers(1, 30), d_y=st.integers(1, 30))
def test_any_shape(n, d_x, d_y):
    generator = torch.Generator().manual_seed(n * 10_000 + d_x * 100 + d_y)
    x = torch.randn(n, d_x, generator=generator, dtype=torch.float64)
    y = torch.randn(n, d_y, generator=generator, dtype=torch.float64)
    assert both(x, y) == pytest.approx(reference.information_imbalance(x, y))


def test_one_neighbour_and_euclid_are_the_defaults():
    x, y = related(60, 8, seed=0)
    assert both(x, y) == both(x, y, k=1, p=2.0)
    assert both(x, y) != both(x, y, k=2)
    assert both(x, y) != both(x, y, p=1.0)


class TestChangesThatChangeNothing:
    def test_rotation_scale_and_shift(self):
        x, y = related(80, 24, seed=1)
        x, y = x.double(), y.double()
        rotation = torch.linalg.qr(torch.randn(24, 24, dtype=torch.float64))[0]
        moved = 37.0 * x @ rotation + torch.randn(24, dtype=torch.float64)
        assert both(moved, y) == pytest.approx(both(x, y))

    def test_monotone_change_of_distance(self):
        """Points on a line, squeezed: the order of distances from each point stays."""
        x = torch.cumsum(torch.logspace(0, 3, 30, dtype=torch.float64), 0)[:, None]
        y = torch.randn(30, 4, dtype=torch.float64)
        doubling = 2.0 ** torch.arange(30, dtype=torch.float64)[:, None]
        assert both(x[:12], y[:12])[0] == pytest.approx(both(doubling[:12], y[:12])[0])

    def test_order_of_the_samples_with_ties(self):
        x, y = CASES["three-valued"]()
        expected = both(x, y, k=3)
        for _ in range(5):
            order = torch.randperm(len(x))
            assert both(x[order], y[order], k=3) == pytest.approx(expected, abs=1e-6)

    def test_exchanging_the_sides_exchanges_the_values(self):
        x, y = related(80, 24, seed=2)
        assert both(y, x) == both(x, y)[::-1]


class TestChangesThatMustChangeIt:
    def test_stretching_one_dimension(self):
        x, y = related(80, 24, seed=3)
        assert abs(both(x * torch.logspace(-2, 2, 24), y)[0] - both(x, y)[0]) > 0.05

    def test_order_of_one_side(self):
        x, y = related(80, 24, seed=4)
        assert both(x, y[torch.randperm(80)])[0] > both(x, y)[0] + 0.3

    def test_a_projection_loses_information_one_way(self):
        x = torch.randn(200, 3)
        to_part, to_whole = both(x, x[:, :1])
        assert to_part < 0.35
        assert to_whole > to_part + 0.2


@pytest.mark.parametrize("k", [1, 4, 29])
def test_identical_spaces_give_the_floor(k):
    x = torch.randn(30, 5)
    assert both(x, x, k=k) == pytest.approx([(k + 1) / 30] * 2)


def test_independent_spaces_have_mean_one_and_values_above():
    values = torch.stack(
        [torch.stack(information_imbalance(*torch.randn(2, 100, 6))) for _ in range(30)]
    )
    assert values.mean() == pytest.approx(1.0, abs=0.03)
    assert values.max() > 1.02


@pytest.mark.parametrize("n", [2, 3, 50])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_side_gives_exactly_one(n, value, dtype):
    x, constant = torch.randn(n, 5, dtype=dtype), torch.full((n, 4), value, dtype=dtype)
    assert both(x, constant) == pytest.approx([1.0, 1.0], abs=1e-12)
    assert both(constant, constant) == pytest.approx([1.0, 1.0], abs=1e-12)


def test_two_samples_give_one():
    assert both(torch.randn(2, 3), torch.randn(2, 4)) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.float64, (0.13769531, 0.15670573)), (torch.float32, (0.14343262, 0.15748814))],
)
def test_the_published_ties(dtype, expected):
    t = torch.linspace(-1, 1, 128, dtype=dtype)[:, None]
    stepped = (4 * t).round() / 4
    assert both(t, stepped) == pytest.approx(expected, abs=1e-6)
    for _ in range(5):
        order = torch.randperm(128)
        assert both(t[order], stepped[order]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 3.0, math.inf])
def test_other_distances(p):
    x, y = related(60, 8, seed=5)
    expected = reference.information_imbalance(x, y, k=2, p=p)
    assert both(x, y, k=2, p=p) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("offset", [0, 1000])
def test_other_distances_with_ties(p, offset):
    x, y = (side.double() + offset for side in CASES["three-valued"]())
    expected = reference.information_imbalance(x, y, k=3, p=p)
    assert both(x, y, k=3, p=p) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("batch", [(3,), (2, 3)])
def test_batches(batch):
    x, y = torch.randn(*batch, 20, 7), torch.randn(*batch, 20, 5)
    y[..., 2:] = x[..., 4:].round()
    got = information_imbalance(x, y, k=2)
    assert got[0].shape == got[1].shape == batch
    for index in torch.cartesian_prod(*map(torch.arange, batch)).reshape(-1, len(batch)).tolist():
        expected = reference.information_imbalance(x[tuple(index)], y[tuple(index)], k=2)
        assert [value[tuple(index)].item() for value in got] == pytest.approx(expected, abs=1e-6)


def test_batch_items_with_and_without_ties():
    """Lists of neighbours are longer where ties are: the items must not disturb each other."""
    x, y = torch.randn(3, 24, 2), torch.randn(3, 24, 2)
    x[1] = x[1].round()
    x[2] = 0.0
    got = information_imbalance(x, y)
    for i in range(3):
        expected = reference.information_imbalance(x[i], y[i])
        assert [value[i].item() for value in got] == pytest.approx(expected, abs=1e-6)


def test_large_batches_are_done_in_strips():
    x, y = related(64 * 200, 2, seed=6)
    x, y = x.reshape(64, 200, 2).round(), y.reshape(64, 200, -1)
    got = information_imbalance(x, y)
    for i in (0, 63):
        expected = reference.information_imbalance(x[i], y[i])
        assert [value[i].item() for value in got] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((torch.float32, torch.float32), torch.float32),
        ((torch.float16, torch.bfloat16), torch.float32),
        ((torch.int64, torch.int32), torch.float32),
        ((torch.float64, torch.float64), torch.float64),
        ((torch.float32, torch.float64), torch.float64),
    ],
)
def test_dtypes(dtypes, expected):
    x, y = ((2 * side).to(dtype) for side, dtype in zip(related(30, 8, 8), dtypes, strict=True))
    for p in (1.0, 2.0):
        got = information_imbalance(x, y, p=p)
        assert got[0].dtype == got[1].dtype == expected
        want = reference.information_imbalance(x, y, p=p)
        assert [value.item() for value in got] == pytest.approx(want, abs=1e-5)


def test_nan_stays_in_its_batch_item():
    x, y = torch.randn(3, 20, 4), torch.randn(3, 20, 4)
    x[0, 3, 2], y[2, 0, 0] = float("nan"), float("inf")
    for value in information_imbalance(x, y):
        assert value.isnan().tolist() == [True, False, True]


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_empty_batch(p):
    got = information_imbalance(torch.zeros(0, 5, 3), torch.zeros(0, 5, 2), p=p)
    assert [value.shape for value in got] == [(0,), (0,)]


def test_input_is_left_alone():
    x, y = related(30, 8, seed=9)
    before = x.clone(), y.clone()
    both(x, y)
    both(x, y, p=1.0)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize(
    ("n", "options", "error", "message"),
    [
        (1, {}, NotEnoughSamplesError, "at least 2 samples, got 1"),
        (0, {}, NotEnoughSamplesError, "at least 2 samples, got 0"),
        (8, {"k": 8}, ConfigError, "k: expected 1 to 7 for 8 samples, got 8"),
        (8, {"k": 0}, ConfigError, "k: expected a whole number from 1, got 0"),
        (8, {"k": 1.5}, ConfigError, "k: expected a whole number from 1, got 1.5"),
        (8, {"p": 0.0}, ConfigError, "p: expected a number above 0, got 0.0"),
        (8, {"p": math.nan}, ConfigError, "p: expected a number above 0, got nan"),
    ],
)
def test_options_that_are_refused(n, options, error, message):
    x = torch.randn(n, 2)
    with pytest.raises(error, match=message):
        information_imbalance(x, x, **options)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((8, 2), (7, 2)), "matching sample counts"),
        (((2, 8, 2), (8, 2)), "matching batch shapes"),
        (((8,), (8, 2)), r"shape \(N, D\) or \(\.\.\., N, D\)"),
    ],
)
def test_shapes_that_are_refused(shapes, message):
    with pytest.raises(ShapeError, match=message):
        information_imbalance(*(torch.zeros(shape) for shape in shapes))
