"""HSIC and the centrings, whole and by strips, against the reference."""

import numpy as np
import pytest
import torch

from hooksim.functional import hsic
from hooksim.functional.hsic import double_centred, hsic_factor, minimum_samples, u_centred
from tests import reference


@pytest.fixture
def kernel() -> torch.Tensor:
    """Symmetric, with rows that do not sum to zero."""
    rows = torch.randn(11, 3, dtype=torch.float64) + 2
    return rows @ rows.T


def test_u_centred_by_strips(kernel):
    expected = reference.u_centred(kernel.numpy())
    sums = kernel.sum(-1) - kernel.diagonal()
    for start, stop in ((0, 11), (0, 4), (4, 5), (5, 11)):
        got = u_centred(kernel[start:stop], sums, start)
        np.testing.assert_allclose(got, expected[start:stop], atol=1e-12)


def test_double_centred_by_strips(kernel):
    expected = reference.double_centred(kernel.numpy())
    for start, stop in ((0, 11), (0, 4), (4, 5), (5, 11)):
        got = double_centred(kernel[start:stop], kernel.sum(-1), start)
        np.testing.assert_allclose(got, expected[start:stop], atol=1e-12)


def test_the_kernel_is_left_alone(kernel):
    before = kernel.clone()
    u_centred(kernel, kernel.sum(-1) - kernel.diagonal())
    double_centred(kernel, kernel.sum(-1))
    hsic(kernel, kernel)
    assert torch.equal(kernel, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_against_the_reference(kernel, dtype):
    other = (kernel / 10).sin().to(dtype)
    other = (other + other.T) / 2
    kernel = kernel.to(dtype)
    pair = kernel.double().numpy(), other.double().numpy()
    unbiased, biased = hsic(kernel, other), hsic(kernel, other, debiased=False)
    assert unbiased.dtype == biased.dtype == torch.float64
    assert unbiased.item() == pytest.approx(reference.hsic_song(*pair), rel=1e-9)
    assert biased.item() == pytest.approx(reference.hsic_biased(*pair), rel=1e-9)


def test_batches(kernel):
    stack = torch.stack([kernel, kernel.sin(), kernel.cos()])
    got = hsic(stack, kernel.expand(3, 11, 11))
    assert got.tolist() == pytest.approx([hsic(k, kernel).item() for k in stack])


def test_it_may_be_negative():
    values = [hsic(*(z @ z.mT for z in torch.randn(2, 10, 4))).item() for _ in range(30)]
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize(("debiased", "fewest"), [(True, 4), (False, 2)])
def test_fewest_samples(debiased, fewest):
    assert minimum_samples(debiased) == fewest
    for n in (1, 2, 3, 4, 5):
        value = hsic(torch.eye(n), torch.eye(n), debiased=debiased)
        assert value.isnan() == (n < fewest)
        assert np.isnan(hsic_factor(n, debiased)) == (n < fewest)
