"""Distances, neighbours and mid-ranks: strip by strip, and the same ones as the reference."""

import numpy as np
import pytest
import torch

from hooksim.functional.gram import centre
from hooksim.functional.ranks import (
    Distances,
    all_mid_ranks,
    mid_ranks,
    minkowski_distances,
    neighbours,
    order_rows,
    reach,
    sort_rows,
    squared_distances,
    twice_mid_ranks,
)
from tests import reference
from tests.datasets import CASES


def distances_of(x: torch.Tensor, start: int = 0, stop: int | None = None) -> Distances:
    rows = centre(x).rows
    return squared_distances(
        rows[..., start:stop, :] @ rows.mT, torch.linalg.vecdot(rows, rows), slice(start, stop)
    )


def dense_weights(distances: Distances, k: int) -> torch.Tensor:
    """The weights as a matrix, found with lists as long as the counts ask for."""
    ordered = sort_rows(distances.values)
    near, counts = neighbours(distances, ordered, k)
    width = int(counts.max())
    if width > k:
        near, _ = neighbours(distances, ordered, k, width)
    dense = torch.zeros_like(distances.values)
    return dense.scatter_add_(-1, near.columns, near.weights)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("name", CASES)
def test_nearest_neighbours_of_hard_cases(name, k):
    """The same neighbours, or some of the tied ones, for 99.9 % of the rows: here for all."""
    for x in CASES[name]():
        got = dense_weights(distances_of(x), k).numpy()
        np.testing.assert_allclose(got, reference.neighbour_weights(x, k=k), atol=1e-12)


@pytest.mark.parametrize("name", ["three-valued", "duplicated rows", "offset 1000"])
def test_mid_ranks_of_every_pair(name):
    for x in CASES[name]():
        distances = distances_of(x)
        columns = torch.arange(len(x)).expand(len(x), len(x))
        got = mid_ranks(distances, sort_rows(distances.values), columns).numpy()
        np.fill_diagonal(got, 0)
        np.testing.assert_allclose(got, reference.mid_ranks(x), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_one_sort_ranks_all_samples_alike(name):
    for x in CASES[name]():
        distances = distances_of(x)
        columns = torch.arange(len(x)).expand(len(x), len(x))
        expected = mid_ranks(distances, sort_rows(distances.values), columns)
        assert torch.equal(all_mid_ranks(distances), expected)
        assert torch.equal(all_mid_ranks(distances).diagonal(), torch.full((len(x),), 1.0 * len(x)))


def test_twice_a_mid_rank_is_a_whole_number():
    distances = distances_of(torch.tensor([[0.0], [1.0], [-1.0], [3.0]]))
    columns = torch.arange(4).expand(4, 4)
    ranks = twice_mid_ranks(distances, sort_rows(distances.values), columns)
    assert ranks.dtype == torch.int64
    assert ranks[0].tolist() == [8, 3, 3, 6]


@pytest.mark.parametrize("k", [1, 5, 150])
@pytest.mark.parametrize("name", ["three-valued", "duplicated rows", "offset 1000"])
def test_shares_of_all_samples(name, k):
    """Weights without lists, from the side of the source and from that of the neighbour."""
    for x in CASES[name]():
        distances = distances_of(x)
        order = order_rows(distances.values)
        ordered = distances.values.gather(-1, order)
        extent = reach(distances, ordered, order[:, k - 1 : k], k)
        shares = extent.shares(distances.values)
        assert torch.equal(shares, shares.round())
        expected = reference.neighbour_weights(x, k=k)
        weights = (shares / extent.tied[:, None]).numpy()
        np.testing.assert_allclose(weights, expected, atol=1e-12)
        # Row j of the distances as column j of a symmetric matrix: the reach of j counts.
        back = extent.shares(distances.values, axis=-2) / extent.tied
        np.testing.assert_allclose(back.numpy(), expected.T, atol=1e-12)


def test_rows_and_layers_of_distances():
    x = torch.randn(3, 9, 2, dtype=torch.float64)
    whole = distances_of(x)
    for plain in (False, True):
        distances = Distances(whole.values, None, None) if plain else whole
        part = distances.of_layers(slice(1, 3)).of_rows(slice(2, 5))
        columns = torch.arange(9).expand(2, 3, 9)
        every = torch.arange(9).expand(3, 9, 9)
        assert torch.equal(part.values, whole.values[1:3, 2:5])
        assert torch.equal(part.tolerance(columns), distances.tolerance(every)[1:3, 2:5])


def test_strips_are_rows_of_the_whole():
    x = CASES["three-valued"]()[0]
    whole = distances_of(x)
    weights = dense_weights(whole, 3)
    for start, stop in ((0, 50), (50, 51), (51, len(x))):
        strip = distances_of(x, start, stop)
        torch.testing.assert_close(strip.values, whole.values[start:stop])
        torch.testing.assert_close(dense_weights(strip, 3), weights[start:stop])


def test_a_sample_is_infinitely_far_from_itself():
    x = torch.randn(9, 2, dtype=torch.float64)
    for distances in (distances_of(x, 3, 7), minkowski_distances(x[3:7], x, 1.0, 3)):
        assert distances.values.isinf().nonzero().tolist() == [[i, i + 3] for i in range(4)]


def test_squared_distances_of_scaled_rows():
    x = torch.randn(9, 2, dtype=torch.float64) + 100
    scale = centre(x).scale
    expected = torch.cdist(x, x) ** 2 / scale**2
    got = distances_of(x).values.fill_diagonal_(0)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("p", [1.0, 3.0, float("inf")])
def test_minkowski_distances(p):
    x = torch.randn(9, 2, dtype=torch.float64)
    expected = [[np.linalg.norm(a - b, ord=p) for b in x.numpy()] for a in x.numpy()]
    got = minkowski_distances(x, x, p).values.fill_diagonal_(0)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_counts_say_when_the_list_is_too_short():
    x = torch.tensor([[0.0], [1.0], [-1.0], [10.0], [11.5]])
    distances = distances_of(x)
    _, counts = neighbours(distances, sort_rows(distances.values), 1)
    assert counts.tolist() == [2, 1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (2, 3, 11), (0, 4)])
def test_sort_rows(shape):
    values = torch.randn(shape, dtype=torch.float64)
    before = values.clone()
    assert torch.equal(sort_rows(values), values.sort(-1).values)
    assert torch.equal(values, before)
    assert torch.equal(sort_rows(values.mT.contiguous().mT), values.sort(-1).values)
