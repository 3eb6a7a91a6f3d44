"""The reference definitions against each other, against brute force and against known values."""

import itertools

import numpy as np
import pytest
import torch

from tests import reference
from tests.datasets import CASES


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.fixture
def kernels() -> tuple[np.ndarray, np.ndarray]:
    x = normal(9, 4)
    return reference.gram(x), reference.gram(x[:, :2] + 0.3 * normal(9, 2, seed=1))


def test_u_centring_entry_by_entry(kernels):
    k, n = kernels[0], 9
    bare = k - np.diag(np.diag(k))
    got = reference.u_centred(k)
    for i, j in itertools.product(range(n), repeat=2):
        expected = bare[i, j] - (bare[i].sum() + bare[j].sum()) / (n - 2)
        expected += bare.sum() / ((n - 1) * (n - 2))
        assert got[i, j] == pytest.approx(0 if i == j else expected, abs=1e-14)
    np.testing.assert_allclose(got.sum(axis=0), 0, atol=1e-13)


def test_unbiased_hsic_two_ways(kernels):
    assert reference.hsic_unbiased(*kernels) == pytest.approx(reference.hsic_song(*kernels))
    # Any kernel, not only one of centred rows.
    shifted = [k + np.add.outer(np.arange(9.0), np.arange(9.0)) + 7 for k in kernels]
    assert reference.hsic_unbiased(*shifted) == pytest.approx(reference.hsic_song(*shifted))
    assert reference.hsic_unbiased(*shifted) == pytest.approx(reference.hsic_unbiased(*kernels))


def test_unbiased_hsic_is_the_mean_over_quadruples():
    """Song et al.: the U-statistic over ordered quadruples of different samples."""
    x, y = normal(6, 2), normal(6, 3, seed=1)
    k, m = reference.gram(x), reference.gram(y)
    terms = [
        k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
        for i, j, q, r in itertools.permutations(range(6), 4)
    ]
    assert np.mean(terms) == pytest.approx(reference.hsic_song(k, m))


def test_leaving_one_sample_out(kernels):
    k, m = kernels
    n = len(k)
    h = reference.hsic_unbiased_per_sample(k, m)
    for i in range(n):
        left = np.delete(np.arange(n), i)
        expected = reference.hsic_song(k[np.ix_(left, left)], m[np.ix_(left, left)])
        got = (n * (n - 3) * h.mean() - 2 * (n - 2) * h[i]) / ((n - 1) * (n - 4))
        assert got == pytest.approx(expected)


def test_biased_hsic_two_ways(kernels):
    h = reference.hsic_biased_per_sample(*kernels)
    assert h.mean() == pytest.approx(reference.hsic_biased(*kernels))
    x = normal(7, 3)
    covariance = np.cov(x.T)
    k = reference.gram(x)
    assert reference.hsic_biased(k, k) == pytest.approx((covariance**2).sum())


def test_biased_cka_is_the_frobenius_form():
    x, y = normal(30, 4) + 5, normal(30, 3, seed=1) ** 2
    xc, yc = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(xc.T @ yc) ** 2
    expected /= np.linalg.norm(xc.T @ xc) * np.linalg.norm(yc.T @ yc)
    assert reference.cka(x, y, debiased=False) == pytest.approx(expected)


@pytest.mark.parametrize("debiased", [True, False])
def test_one_block_is_the_plain_value(debiased):
    x = normal(40, 5)
    y = x[:, :3] ** 2 + normal(40, 3, seed=1)
    got = reference.block_cka([(x, y)], debiased=debiased)
    assert got.value == pytest.approx(reference.cka(x, y, debiased=debiased))


def test_cka_over_blocks_is_a_ratio_of_sums():
    x, y = normal(24, 5), normal(24, 5)[:, :4] ** 2
    blocks = [(x[:9], y[:9]), (x[9:], y[9:])]
    parts = np.zeros(3)
    for a, b in blocks:
        k, m = reference.gram(a), reference.gram(b)
        parts += len(a) * np.array([reference.hsic_song(*p) for p in ((k, m), (k, k), (m, m))])
    expected = parts[0] / np.sqrt(parts[1] * parts[2])
    assert reference.block_cka(blocks).value == pytest.approx(expected)


def test_cka_standard_error_by_the_jackknife():
    """The influence function agrees with leaving samples out, within terms of higher order."""
    x = normal(120, 6)
    y = x[:, :4] + normal(120, 4, seed=1)
    n = len(x)
    values = [reference.cka(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(n)]
    jackknife = np.sqrt((n - 1) / n * ((values - np.mean(values)) ** 2).sum())
    assert reference.block_cka([(x, y)]).stderr == pytest.approx(jackknife, rel=0.1)


def test_groups_of_one_row_change_nothing_and_copies_in_a_group_do():
    x, y = normal(30, 4), normal(30, 4) ** 2
    alone = [np.arange(30)]
    pairs = [np.repeat(np.arange(15), 2)]
    assert reference.block_cka([(x, y)], groups=alone) == reference.block_cka([(x, y)])
    assert reference.block_information_imbalance(
        [(x, y)], groups=alone
    ) == reference.block_information_imbalance([(x, y)])
    for function in (reference.block_cka, lambda *a, **o: reference.directed_imbalance(*a, 1, **o)):
        options = {} if function is reference.block_cka else {"groups": None}
        by_row = function([(x, y)], **options)
        by_pair = function([(x, y)], groups=pairs)
        assert by_pair.value == by_row.value
        assert by_pair.stderr != by_row.stderr


def test_constant_side():
    x, constant = normal(20, 3), np.full((20, 4), 0.1)
    for debiased in (True, False):
        assert np.isnan(reference.cka(x, constant, debiased=debiased))
        assert np.isnan(reference.block_cka([(constant, x)], debiased=debiased)).all()
    assert reference.information_imbalance(x, constant) == pytest.approx((1.0, 1.0))


def test_debiased_cka_needs_four_samples():
    assert np.isnan(reference.cka(normal(3, 2), normal(3, 2)))
    assert np.isfinite(reference.cka(normal(4, 2), normal(4, 2)))


def orderings(distances: np.ndarray) -> list[np.ndarray]:
    """Ranks of the others under every way of breaking ties, all equally likely."""
    n = len(distances)
    return [
        np.lexsort((keys, distances)).argsort() + 1 for keys in itertools.permutations(range(n))
    ]


def enumerated(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """The imbalance averaged over all tie-breakings of every row of both sides."""
    n, total = len(x), 0.0
    for i in range(n):
        others = np.delete(np.arange(n), i)
        in_x = orderings(((x[others] - x[i]) ** 2).sum(axis=1))
        in_y = orderings(((y[others] - y[i]) ** 2).sum(axis=1))
        total += np.mean([b[a <= k].sum() for a, b in itertools.product(in_x, in_y)])
    return 2 * total / (n * n * k)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_ties_by_enumeration(k, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 3, size=(5, 1)).astype(float)
    y = generator.integers(0, 2, size=(5, 2)).astype(float)
    got = reference.information_imbalance(x, y, k=k)
    assert got == pytest.approx((enumerated(x, y, k), enumerated(y, x, k)))


def test_imbalance_without_ties_by_counting():
    x, y = normal(40, 3), normal(40, 2, seed=1)
    ranks = []
    for i in range(40):
        in_x, in_y = (np.linalg.norm(z - z[i], axis=1) for z in (x, y))
        in_x[i] = np.inf
        ranks.append((in_y < in_y[in_x.argmin()]).sum())  # i itself, at 0, makes ranks start at 1
    assert reference.information_imbalance(x, y)[0] == pytest.approx(2 / 40 * np.mean(ranks))


@pytest.mark.parametrize("k", [1, 3])
def test_imbalance_floor_and_independence(k):
    x = normal(200, 4)
    assert reference.information_imbalance(x, x, k=k) == pytest.approx([(k + 1) / 200] * 2)
    got = reference.information_imbalance(x, normal(200, 4, seed=1), k=k)
    assert got == pytest.approx((1.0, 1.0), abs=0.12)


def test_two_samples_give_one():
    assert reference.information_imbalance(normal(2, 3), normal(2, 3)) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("p", [1.0, 3.0, float("inf")])
def test_other_distances(p):
    x, y = normal(30, 3), normal(30, 3, seed=1)
    order = torch.from_numpy(x), torch.from_numpy(y)
    in_x, in_y = (torch.cdist(z, z, p=p).fill_diagonal_(torch.inf) for z in order)
    nearest = in_x.argmin(1)
    rank = (in_y <= in_y.gather(1, nearest[:, None])).sum(1).double().mean()
    assert reference.information_imbalance(x, y, p=p)[0] == pytest.approx(2 / 30 * float(rank))


def test_weights_and_ranks_add_up():
    x = np.random.default_rng(0).integers(0, 3, size=(30, 2)).astype(float)
    for k in (1, 4, 29):
        np.testing.assert_allclose(reference.neighbour_weights(x, k=k).sum(axis=1), k)
    np.testing.assert_allclose(reference.mid_ranks(x).sum(axis=1), 29 * 30 / 2)


@pytest.mark.parametrize("n", [40, 150])
def test_imbalance_standard_error_by_repetition(n):
    """Both branches of q: the mean standard error is near the spread of fresh samples."""
    values, errors = [], []
    for seed in range(60):
        x = normal(n, 3, seed)
        y = x + 0.7 * normal(n, 3, 1000 + seed)
        got = reference.block_information_imbalance([(x, y)])[0]
        values.append(got.value)
        errors.append(got.stderr)
    # The standard deviation of 60 values is itself off by 9 %.
    assert 0.7 < np.mean(errors) / np.std(values, ddof=1) < 1.35


@pytest.mark.parametrize("n", [60, 140])
def test_imbalance_standard_error_from_its_sums(n):
    """The sums that an accumulator keeps, put together as design section 7 writes it."""
    k = 2
    x, y = normal(n, 3), normal(n, 3, seed=1)
    w, r = reference.neighbour_weights(x, k=k), 2 * reference.mid_ranks(y) / n
    p = w * r
    a, c = p.sum(0) + p.sum(1), w.sum(0) + w.sum(1)
    rows = np.arange(n) if n <= 128 else np.arange(128) * n // 128
    seen = rows[:, None] != np.arange(n)
    q = k * ((r[rows] - 1) * seen).sum(0) / seen.sum(0)
    gg, gw, ww = (u * v + u * v.T for u, v in ((p, p), (p, w), (w, w)))
    value = p.sum() / (n * k)
    level = min(value, 1) ** 2
    dyadic = (a @ a - gg.sum()) - 2 * value * (a @ c - gw.sum()) + value**2 * (c @ c - ww.sum())
    dyadic += -2 * level * (a @ q) + 2 * level * value * (c @ q) + level**2 * (q @ q)
    plain = (p.sum(1) ** 2).sum() - n * (k * value) ** 2
    got = reference.block_information_imbalance([(x, y)], k=k)[0]
    assert got.value == pytest.approx(value)
    assert got.stderr == pytest.approx(np.sqrt(max(dyadic, plain, 0)) / (n * k))


def test_imbalance_standard_error_needs_ten_samples():
    x, y = normal(9, 2), normal(9, 2, seed=1)
    assert np.isnan(reference.block_information_imbalance([(x, y)])[0].stderr)
    x, y = normal(10, 2), normal(10, 2, seed=1)
    assert reference.block_information_imbalance([(x, y)])[0].stderr > 0


def test_imbalance_over_blocks_weighs_samples_once():
    x, y = normal(50, 3), normal(50, 3, seed=1)
    parts = [(x[:20], y[:20]), (x[20:], y[20:])]
    got = reference.block_information_imbalance(parts)[1].value
    expected = np.average(
        [reference.information_imbalance(a, b)[1] for a, b in parts], weights=[20, 30]
    )
    assert got == pytest.approx(expected)


def test_order_f():
    labels = np.repeat(np.arange(8), 32)
    rows = 3 * normal(8, 5)[labels] + normal(256, 5, seed=1)
    shuffled = rows[np.random.default_rng(0).permutation(256)]
    assert reference.order_f(np.split(rows, 4)) > 10
    assert reference.order_f(np.split(shuffled, 4)) < 2.5
    one = rows[:, :1]
    groups = np.split(one[:, 0], 4)
    means = np.array([g.mean() for g in groups])
    within = np.mean([g.var(ddof=1) for g in groups])
    assert reference.order_f(np.split(one, 4)) == pytest.approx(64 * means.var(ddof=1) / within)


@pytest.mark.parametrize("name", CASES)
def test_hard_cases_are_as_described(name):
    x, y = CASES[name]()
    again = CASES[name]()
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    assert x.isfinite().all()
    assert y.isfinite().all()
    assert len(x) == len(y) >= 24
    assert 1e-3 < abs(reference.cka(x, y)) < 0.999
