"""Statistics of rows that are read piece by piece, against those of the centred copy."""

import numpy as np
import pytest
import torch

from hooksim.blocks.tiles import centred_tiles, row_statistics, tiles
from hooksim.functional.gram import centre
from tests import datasets, reference

SHAPES = [(1, 1), (7, 3), (1, 20_000), (50, 20_000), (9000, 40)]


def joined(rows: torch.Tensor, found) -> torch.Tensor:
    whole = torch.full(rows.shape, float("nan"), dtype=torch.float64)
    for part, columns, tile in found:
        assert tile.is_contiguous() and tile.dtype == torch.float64
        whole[part, columns] = tile
    return whole


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tiles_cover_every_number_once(shape, dtype):
    rows = torch.randn(shape).to(dtype)
    assert torch.equal(joined(rows, tiles(rows)), rows.double())
    covered = sum(tile.numel() for _, _, tile in tiles(rows))
    assert covered == rows.numel()


def test_no_rows_no_tiles():
    assert list(tiles(torch.empty(0, 4))) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_they_are_those_of_centre(shape, offset, scale):
    rows = ((torch.randn(shape, dtype=torch.float64) + offset) * scale).float()
    found, expected = row_statistics(rows), centre(rows)
    largest = rows.abs().max().item()
    np.testing.assert_allclose(found.mean, reference.rows64(rows).mean(0), atol=1e-14 * largest)
    torch.testing.assert_close(found.scale, expected.scale, rtol=1e-9, atol=0)
    if found.scale > 0:
        got = joined(rows, centred_tiles(rows, found.mean, found.rest)) / found.scale
        torch.testing.assert_close(got, expected.rows, rtol=0, atol=1e-9)
        squares = torch.linalg.vecdot(got, got) * found.scale.square()
        torch.testing.assert_close(found.squares, squares, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", datasets.CASES)
def test_the_rows_are_centred_to_rounding(name):
    """Off by the rounding of deviations; one rounded mean alone would be off by that of offsets."""
    for rows in datasets.CASES[name]():
        found = row_statistics(rows)
        got = joined(rows, centred_tiles(rows, found.mean, found.rest)) / found.scale
        assert got.sum(0).abs().max() <= 1e-15 * len(rows) * got.abs().max()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30, -7e-30])
@pytest.mark.parametrize("n", [3, 5000])
def test_constant_rows_are_zero(value, n):
    rows = torch.full((n, 100), value)
    found = row_statistics(rows)
    assert found.scale == 0
    assert all((tile == 0).all() for _, _, tile in centred_tiles(rows, found.mean, found.rest))


@pytest.mark.parametrize("n", [3, 200, 5000])
def test_a_constant_column_becomes_exactly_zero(n):
    rows = torch.randn(n, 6, dtype=torch.float64)
    rows[:, 2] = 1000 / 3
    found = row_statistics(rows)
    got = joined(rows, centred_tiles(rows, found.mean, found.rest))
    assert (got[:, 2] == 0).all() and found.mean[2] == 1000 / 3


def test_rows_that_hardly_vary_are_not_constant():
    rows = torch.full((30, 5), 1.0, dtype=torch.float64)
    rows[3, 2] += 1e-10
    assert row_statistics(rows).scale > 0


def test_rows_constant_to_rounding_are_constant():
    rows = torch.full((30, 5), 1e6, dtype=torch.float64)
    rows[::2] += 1e-10
    assert row_statistics(rows).scale == 0 and centre(rows).scale == 0


def test_rows_that_are_not_finite_are_told_apart():
    rows = torch.randn(6000, 3)
    rows[1, 0], rows[4000, 2] = float("nan"), float("inf")
    finite = row_statistics(rows).signature.isfinite()
    assert (~finite).nonzero().flatten().tolist() == [1, 4000]


@pytest.mark.parametrize("of", [lambda rows: row_statistics(rows), lambda rows: centre(rows)])
class TestSignature:
    @pytest.mark.parametrize("n", [2, 3, 64, 3000])
    @pytest.mark.parametrize("d", [1, 2, 7, 8, 9, 17, 100, 769, 5000, 40_000])
    def test_equal_rows_have_equal_ones_wherever_they_stand(self, of, n, d):
        if n * d > 1 << 23:
            n = 40
        row = torch.randn(1, d, dtype=torch.float64)
        assert len(of(row.expand(n, d)).signature.unique()) == 1

    def test_other_rows_have_others(self, of):
        every = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 8)
        assert len(of(every).signature.unique()) == 3**8
        rows = torch.full((64, 64), 1000.0)
        rows.diagonal().add_(1e-4)
        assert len(of(rows).signature.unique()) == 64

    @pytest.mark.parametrize("d", [2, 3, 1000])
    def test_large_rows_stay_finite(self, of, d):
        rows = torch.full((4, d), torch.finfo(torch.float64).max, dtype=torch.float64)
        rows[::2, ::2] *= -1
        assert of(rows).signature.isfinite().all()

    def test_no_random_numbers_are_used_up(self, of):
        before = torch.get_rng_state()
        of(torch.zeros(4, 3))
        assert torch.equal(torch.get_rng_state(), before)
