"""`functional.cka` from outside: the reference, the hard cases, and what may change nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hooksim.errors import ConfigError, ShapeError
from hooksim.functional import cka
from tests import reference
from tests.datasets import CASES, related


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_hard_cases(name, debiased):
    x, y = CASES[name]()
    for a, b in ((x, y), (y, x), (x, x)):
        expected = reference.cka(a, b, debiased=debiased)
        assert cka(a, b, debiased=debiased).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("debiased", [True, False])
@given(n=st.integers(4, 40), d_x=st.integers(1, 50), d_y=st.integers(1, 50))
def test_any_shape(n, d_x, d_y, debiased):
    generator = torch.Generator().manual_seed(n * 10_000 + d_x * 100 + d_y)
    x = torch.randn(n, d_x, generator=generator, dtype=torch.float64)
    y = torch.randn(n, d_y, generator=generator, dtype=torch.float64)
    expected = reference.cka(x, y, debiased=debiased)
    got = cka(x, y, debiased=debiased).item()
    # The ratio of small samples has a denominator that may come near zero.
    assert got == pytest.approx(expected, rel=1e-7, abs=1e-9, nan_ok=True)


def test_debiased_is_the_default():
    x, y = related(60, 100, seed=0)
    assert cka(x, y) == cka(x, y, debiased=True)
    assert cka(x, y) != cka(x, y, debiased=False)


@pytest.mark.parametrize("debiased", [True, False])
class TestChangesThatChangeNothing:
    def test_rotation_scale_and_shift(self, debiased):
        x, y = related(80, 24, seed=1)
        rotation = torch.linalg.qr(torch.randn(24, 24))[0]
        moved = 37.0 * x @ rotation + torch.randn(24)
        value = cka(x, y, debiased=debiased).item()
        assert cka(moved, y, debiased=debiased).item() == pytest.approx(value, abs=1e-6)
        assert cka(x, moved, debiased=debiased).item() == pytest.approx(1.0, abs=1e-6)

    def test_order_of_the_samples(self, debiased):
        x, y = related(80, 24, seed=2)
        order = torch.randperm(80)
        value = cka(x, y, debiased=debiased).item()
        assert cka(x[order], y[order], debiased=debiased).item() == pytest.approx(value, abs=1e-6)

    def test_sides(self, debiased):
        x, y = related(80, 24, seed=3)
        assert cka(y, x, debiased=debiased).item() == pytest.approx(
            cka(x, y, debiased=debiased).item(), abs=1e-7
        )

    def test_dimensions_that_are_constant(self, debiased):
        x, y = related(80, 24, seed=4)
        padded = torch.cat([x, torch.full((80, 3), -2e4)], 1)
        value = cka(x, y, debiased=debiased).item()
        assert cka(padded, y, debiased=debiased).item() == pytest.approx(value, abs=1e-6)


class TestChangesThatMustChangeIt:
    def test_order_of_one_side(self):
        x, y = related(80, 24, seed=5)
        assert cka(x, y[torch.randperm(80)]).item() < cka(x, y).item() - 0.1

    def test_linear_map_that_is_no_rotation(self):
        x, y = related(80, 24, seed=6)
        stretch = torch.logspace(-2, 2, 24)
        assert abs(cka(x * stretch, y).item() - cka(x, y).item()) > 0.05

    def test_independent_rows(self):
        """Biased values near 1 for d much larger than n; debiased ones about 0, either sign."""
        values = torch.tensor(
            [
                [cka(*torch.randn(2, 64, 512), debiased=debiased) for _ in range(8)]
                for debiased in (False, True)
            ]
        )
        assert values[0].mean() == pytest.approx(0.888, abs=0.01)
        assert values[1].mean().abs() < 0.02
        assert values[1].min() < 0


@pytest.mark.parametrize("batch", [(3,), (2, 3)])
@pytest.mark.parametrize("debiased", [True, False])
def test_batches(batch, debiased):
    x, y = torch.randn(*batch, 20, 7), torch.randn(*batch, 20, 5)
    y = y + x[..., :5]
    got = cka(x, y, debiased=debiased)
    assert got.shape == batch
    for index in torch.cartesian_prod(*map(torch.arange, batch)).reshape(-1, len(batch)).tolist():
        expected = reference.cka(x[tuple(index)], y[tuple(index)], debiased=debiased)
        assert got[tuple(index)].item() == pytest.approx(expected, abs=1e-5)


def test_large_batches_are_done_in_strips():
    x, y = related(64 * 300, 6, seed=7)
    x, y = x.reshape(64, 300, 6), y.reshape(64, 300, -1)
    got = cka(x, y)
    for i in (0, 63):
        assert got[i].item() == pytest.approx(reference.cka(x[i], y[i]), abs=1e-5)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((torch.float32, torch.float32), torch.float32),
        ((torch.float16, torch.bfloat16), torch.float32),
        ((torch.int64, torch.int64), torch.float32),
        ((torch.bool, torch.uint8), torch.float32),
        ((torch.float64, torch.float64), torch.float64),
        ((torch.float32, torch.float64), torch.float64),
    ],
)
def test_dtypes(dtypes, expected):
    x, y = related(30, 8, 8)
    x, y = (2 * x).relu().to(dtypes[0]), (2 * y).relu().to(dtypes[1])
    got = cka(x, y)
    assert got.dtype == expected
    assert got.item() == pytest.approx(reference.cka(x, y), abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3e-9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_side_without_variance_is_nan(value, dtype):
    x, constant = torch.randn(30, 5, dtype=dtype), torch.full((30, 4), value, dtype=dtype)
    for debiased in (True, False):
        assert cka(x, constant, debiased=debiased).isnan()
        assert cka(constant, x, debiased=debiased).isnan()


def test_nan_stays_in_its_batch_item():
    x, y = torch.randn(3, 20, 4), torch.randn(3, 20, 4)
    x[0, 3, 2] = float("nan")
    x[1] = 0.5
    got = cka(x, y)
    assert got.isnan().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("n", "debiased", "defined"),
    [
        (1, False, False),
        (2, False, True),
        (3, True, False),
        (4, True, True),
    ],
)
def test_fewest_samples(n, debiased, defined):
    x = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0]])[:n]
    assert cka(x, x, debiased=debiased).isfinite() == defined


def test_empty_batch():
    got = cka(torch.zeros(0, 5, 3), torch.zeros(0, 5, 2))
    assert got.shape == (0,)


def test_input_is_left_alone():
    x, y = related(30, 8, seed=9)
    before = x.clone(), y.clone()
    cka(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_rows_that_are_not_contiguous():
    x, y = related(30, 8, seed=10)
    assert cka(x.T.contiguous().T, y[:, ::2]) == cka(x, y[:, ::2].contiguous())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "cosine"}, "expected 'linear' or 'rbf', got 'cosine'"),
        ({"bandwidth": 0.0}, "bandwidth: expected a number above 0, got 0.0"),
    ],
)
def test_options_that_are_refused(options, message):
    x = torch.randn(8, 2)
    with pytest.raises(ConfigError, match=message):
        cka(x, x, **options)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((8, 2), (7, 2)), "matching sample counts, got 8 and 7"),
        (((2, 8, 2), (3, 8, 2)), r"matching batch shapes, got \(2,\) and \(3,\)"),
        (((8,), (8, 2)), r"x: expected shape \(N, D\) or \(\.\.\., N, D\), got \(8,\)"),
        (((8, 2), ()), r"y: expected shape \(N, D\) or \(\.\.\., N, D\), got \(\)"),
    ],
)
def test_shapes_that_are_refused(shapes, message):
    with pytest.raises(ShapeError, match=message):
        cka(*(torch.zeros(shape) for shape in shapes))


def test_complex_numbers_are_refused():
    x = torch.randn(8, 2)
    with pytest.raises(ConfigError, match=r"y: expected real numbers, got torch\.complex64"):
        cka(x, x.to(torch.complex64))
