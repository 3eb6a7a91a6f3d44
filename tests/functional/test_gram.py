"""Centring, scaling, Gram matrices and strips."""

import numpy as np
import pytest
import torch

from hooksim.functional.gram import centre, gram, signature_weights, strip_bounds
from tests import reference


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centre(offset, scale, dtype):
    x = ((torch.randn(50, 6) + offset) * scale).to(dtype)
    got = centre(x)
    expected = reference.centred(x)
    size = np.sqrt((expected**2).sum(1).mean())
    np.testing.assert_allclose(got.rows, expected / size, atol=1e-9)
    np.testing.assert_allclose(got.mean, reference.rows64(x).mean(0), rtol=1e-13)
    assert got.scale.item() == pytest.approx(size, rel=1e-9)
    assert got.finite.all()


def test_centre_in_float32_loses_no_offset():
    x = torch.randn(50, 6, dtype=torch.float64) + 1e4
    got = centre(x, torch.float32)
    assert got.rows.dtype == torch.float32
    np.testing.assert_allclose(got.rows, centre(x).rows, atol=1e-6)


def test_wide_rows_are_worked_on_in_pieces():
    x = torch.randn(9, 40_000) + 3
    got = centre(x)
    np.testing.assert_allclose(got.mean, reference.rows64(x).mean(0), rtol=1e-12)
    assert (got.rows**2).sum(1).mean().item() == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30, -7e-30])
def test_constant_rows_are_zero(value):
    got = centre(torch.full((30, 5), value))
    assert (got.rows == 0).all()
    assert got.scale == 0


def test_rows_that_hardly_vary_are_not_constant():
    x = torch.full((30, 5), 1.0, dtype=torch.float64)
    x[3, 2] += 1e-10
    assert centre(x).scale > 0


def test_batch_items_do_not_touch_each_other():
    x = torch.randn(3, 20, 4)
    x[1] *= 1e6
    got = centre(x)
    for item, rows in zip(x, got.rows, strict=True):
        np.testing.assert_allclose(rows, centre(item).rows, rtol=1e-12, atol=1e-14)


def test_finite_rows_are_told_apart():
    x = torch.randn(6, 3)
    x[1, 0], x[4, 2] = float("nan"), float("inf")
    assert centre(x).finite.tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize("n", [1, 5, 511, 513])
def test_gram_is_the_inner_products(n):
    rows = torch.randn(n, 3, dtype=torch.float64)
    np.testing.assert_allclose(gram(rows), rows.numpy() @ rows.numpy().T, atol=1e-12)


def test_gram_writes_where_it_is_told():
    rows, out = torch.randn(2, 7, 3), torch.empty(2, 7, 7)
    assert gram(rows, out) is out
    torch.testing.assert_close(out, rows @ rows.mT)


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (10, 1 << 21), (7, 1 << 30), (5000, 5000)])
def test_strips_cover_every_row_once(n, columns):
    bounds = strip_bounds(n, columns)
    rows = [i for start, stop in bounds for i in range(start, stop)]
    assert rows == list(range(n))
    assert all((stop - start) * columns <= 1 << 22 or stop == start + 1 for start, stop in bounds)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layout_changes_no_bit(dtype):
    x = (torch.randn(300, 700) + 3).T
    for got, expected in zip(centre(x, dtype), centre(x.contiguous(), dtype), strict=True):
        assert torch.equal(got, expected) and got.is_contiguous()


@pytest.mark.parametrize("width", [0, 1, 2, 3, 64, 4096, 100_000])
def test_weights_of_signatures(width):
    weights = signature_weights(width, torch.device("cpu"))
    assert weights.shape == (width,) and len(weights.unique()) == width
    assert weights.sum() <= 1
    if width >= 4096:
        whole = weights * 2.0 ** (width - 1).bit_length()
        assert whole.min() >= 0.5 and whole.max() <= 1
        # Uniform on [1/2, 1], and no weight tells of the next one.
        assert whole.mean() == pytest.approx(0.75, abs=0.01)
        assert whole.std() == pytest.approx(0.5 / 12**0.5, rel=0.03)
        beside = torch.corrcoef(torch.stack([whole[1:], whole[:-1]]))[0, 1]
        assert abs(beside) < 4 / width**0.5
