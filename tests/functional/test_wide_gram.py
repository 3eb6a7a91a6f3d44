"""Gram matrices without a centred copy: float32 products, held against float64."""

import pytest
import torch

from hooksim.functional import wide_gram as module
from hooksim.functional.wide_gram import (
    has_wide_gram,
    row_signatures,
    wide_gram,
    workspace_elements,
)
from tests import datasets
from tests.reference import hsic_unbiased

EPS = torch.finfo(torch.float32).eps


def exact(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gram matrix of centred rows in float64, and the root of the mean of its diagonal."""
    centred = rows.double() - rows.double().mean(0)
    kernel = centred @ centred.T
    return kernel, kernel.diagonal().mean().sqrt()


def assert_close(rows: torch.Tensor, units: float = 32.0) -> None:
    """Every entry is off by no more than some float32 units of its two norms' product.

    The means of rows and columns that are taken out are those of rounded entries: they are off by
    as many units of one norm and the root mean square of all, over the root of their number.
    """
    kernel, scale = exact(rows)
    found = wide_gram(rows)
    norms = kernel.diagonal().sqrt() / scale
    error = (found.kernel - kernel / scale**2).abs()
    of_means = (norms[:, None] + norms) / len(rows) ** 0.5
    assert (error <= units * EPS * (torch.outer(norms, norms) + of_means)).all()
    assert abs(found.scale / scale - 1) <= units * EPS
    deviation = (rows.double() - rows.double().mean(0)).abs().amax(0)
    assert ((found.mean - rows.double().mean(0)).abs() <= 4 * EPS * deviation).all()
    assert found.finite.all()


def debiased_cka(a: torch.Tensor, b: torch.Tensor) -> float:
    one, other = a.numpy(), b.numpy()
    own = hsic_unbiased(one, one) * hsic_unbiased(other, other)
    return hsic_unbiased(one, other) / own**0.5


@pytest.fixture(params=["ordinary", "scaled"])
def way(request, monkeypatch):
    """Both ways to multiply; the second one is that of accelerators, and of extreme numbers."""
    if request.param == "scaled":
        monkeypatch.setattr(module, "_multiply_ordinary", lambda *_: False)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", datasets.CASES)
def test_it_is_as_exact_as_a_float32_product(name):
    for rows in datasets.CASES[name]():
        if has_wide_gram(rows.dtype):
            assert_close(rows)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("n", [4, 255, 300])
@pytest.mark.parametrize("elements", [1, 1000, 1 << 19])
def test_offsets_cost_nothing_however_columns_are_cut(offset, n, elements, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", elements)
    generator = torch.Generator().manual_seed(n)
    assert_close(torch.randn(n, 67, generator=generator) + offset)


@pytest.mark.parametrize("offset", [0.5, 1.9, 30.0])
def test_offsets_cost_nothing_among_many_rows(offset):
    assert_close(torch.randn(2000, 3000, generator=torch.Generator().manual_seed(7)) + offset)


@pytest.mark.parametrize("offset", [0.0, 1.0, 1.9])
@pytest.mark.parametrize("n", [8, 16])
def test_cka_of_few_wide_rows_is_that_of_float64(n, offset):
    generator = torch.Generator().manual_seed(n)
    first = torch.randn(n, 1 << 16, generator=generator) + offset
    second = first[:, ::2] + torch.randn(n, 1 << 15, generator=generator)
    kernels = [wide_gram(rows).kernel.double() for rows in (first, second)]
    right = [exact(rows)[0] for rows in (first, second)]
    assert abs(debiased_cka(*kernels) - debiased_cka(*right)) <= 1e-4


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1e20, 1e36])
@pytest.mark.parametrize("place", [0, 7, slice(None)])
def test_extreme_columns_neither_over_nor_underflow(scale, place, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 100)
    rows = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    rows[:, place] *= scale
    assert_close(rows)


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e8, 1e25])
def test_only_extreme_numbers_are_scaled(scale, monkeypatch):
    asked = []
    scaled = module._multiply_scaled
    monkeypatch.setattr(
        module, "_multiply_scaled", lambda *given: asked.append(1) or scaled(*given)
    )
    assert_close(torch.randn(40, 90, generator=torch.Generator().manual_seed(6)) * scale)
    assert bool(asked) == (scale in (1e-30, 1e25))


def test_the_largest_numbers():
    rows = torch.tensor([[3e38, 0.0], [-3e38, 1.0], [3e38, 1.0], [-3e38, 0.0]])
    assert_close(rows)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("value", [0.0, 0.1, -1e30, 1e-40])
@pytest.mark.parametrize("n", [3, 30, 1000])
def test_constant_rows_are_zero(value, n):
    found = wide_gram(torch.full((n, 40), value))
    assert (found.kernel == 0).all() and found.scale == 0
    assert (found.mean == torch.tensor(value).double()).all()


@pytest.mark.usefixtures("way")
def test_a_constant_column_weighs_nothing_beside_small_ones():
    rows = torch.randn(100, 5, generator=torch.Generator().manual_seed(2)) * 1e-3
    rows[:, 0] = 1e30
    assert_close(rows)


@pytest.mark.usefixtures("way")
def test_rows_that_hardly_vary_are_not_constant():
    rows = torch.ones(10, 6)
    rows[3, 2] += EPS
    found = wide_gram(rows)
    assert found.scale > 0
    torch.testing.assert_close(found.kernel.double(), exact(rows)[0] / exact(rows)[1] ** 2)


@pytest.mark.usefixtures("way")
def test_finite_rows_are_told_apart():
    rows = torch.randn(9, 700) * 1e30
    rows[2, 5], rows[4, 699], rows[7, 0] = float("nan"), float("inf"), -float("inf")
    assert wide_gram(rows).finite.tolist() == [i not in (2, 4, 7) for i in range(9)]


@pytest.mark.parametrize("n", [5, 256, 301])
def test_it_is_symmetric_and_written_where_it_is_told(n):
    rows = torch.randn(n, 600, generator=torch.Generator().manual_seed(3))
    out = torch.full((n, n), float("nan"))
    found = wide_gram(rows, out)
    assert found.kernel.data_ptr() == out.data_ptr()
    torch.testing.assert_close(out, out.T, rtol=0, atol=4 * EPS * out.diagonal().max().item())
    assert out.sum(1).abs().max() < 1e-3


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_layout_changes_no_bit(dtype):
    rows = (torch.randn(300, 5, 40) + 3).to(dtype)[:, 1]
    for other in (rows.T.contiguous().T, rows.clone()):
        for a, b in zip(wide_gram(rows), wide_gram(other), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("width", [3, 20_000])
@pytest.mark.parametrize("n", [7, 300])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_equal_rows_have_equal_signatures_and_others_have_others(width, n, offset):
    rows = torch.randn(n, width, generator=torch.Generator().manual_seed(4)) + offset
    rows[n - 1] = rows[0]
    rows[2] = rows[1]
    rows[2, 0] = torch.nextafter(rows[1, 0], torch.tensor(torch.inf))
    signature = wide_gram(rows).signature
    assert signature[n - 1] == signature[0]
    assert len(signature.unique()) == n - 1


def test_signatures_are_read_for_only_where_rows_may_be_equal(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "row_signatures", lambda rows: asked.append(rows) or rows[:, 0])
    rows = torch.randn(20, 50, generator=torch.Generator().manual_seed(5))
    wide_gram(rows)
    assert not asked
    wide_gram(rows[[0, 1, 2, 0]])
    assert len(asked) == 1


def test_signatures_in_pieces_are_no_others():
    rows = torch.randn(7, 50_000)
    assert len(row_signatures(rows[[0, 1, 2, 3, 0]]).unique()) == 4


def test_it_asks_an_accelerator_for_nothing():
    found = wide_gram(torch.empty(20, 3000, device="meta"))
    assert all(part.device.type == "meta" for part in found)


@pytest.mark.parametrize("d", [1, 30, 3000])
def test_what_is_in_the_workspace_does_not_matter(d, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 40 * 100)
    rows = torch.randn(40, d)
    workspace = torch.full((workspace_elements(40, d, rows.device),), torch.nan)
    for a, b in zip(wide_gram(rows), wide_gram(rows, workspace=workspace), strict=True):
        assert torch.equal(a, b)


def test_no_rows_and_no_columns():
    assert wide_gram(torch.empty(0, 3)).kernel.shape == (0, 0)
    assert (wide_gram(torch.empty(3, 0)).kernel == 0).all()
