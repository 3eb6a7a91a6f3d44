"""`block_size="all"` from outside: one block of every sample, wherever rows and Grams live."""

import numpy as np
import pytest
import torch
from torch import nn

import hooksim
from tests import datasets, reference


def batches(n: int, size: int = 64) -> list[torch.Tensor]:
    return list(torch.randn(n, 8, generator=torch.Generator().manual_seed(0)).split(size))


def stack(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6))


def compared(a, b, loader=None, **options):
    return hooksim.compare(a, b, loader, block_size="all", progress=False, **options)


def assert_close(result, expected, tolerance: float = 1e-12) -> None:
    for key in expected:
        for found, wanted in (
            (result[key].values, expected[key].values),
            (result[key].stderr, expected[key].stderr),
        ):
            torch.testing.assert_close(
                found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True
            )


def same() -> nn.Sequential:
    """A model whose layer gives its input, bit for bit."""
    return nn.Sequential(nn.Identity())


@pytest.mark.parametrize("memory_budget", [None, 0])
@pytest.mark.parametrize("name", datasets.CASES)
def test_the_hard_data_within_one_in_ten_thousand(name, memory_budget):
    x, y = datasets.CASES[name]()
    pairs = [
        hooksim.PairedBatch(part_x, part_y)
        for part_x, part_y in zip(x.split(50), y.split(50), strict=True)
    ]
    result = compared(same(), same(), pairs, memory_budget=memory_budget, layers_a="0")
    assert result.metadata["blocks"] == [len(x)]
    forth, back = reference.information_imbalance(x, y)
    for key, expected in (
        ("cka", reference.cka(x, y)),
        ("information_imbalance_a_to_b", forth),
        ("information_imbalance_b_to_a", back),
    ):
        assert abs(result[key].values.item() - expected) <= 1e-4


def test_it_is_one_block_as_an_integer_would_make_it():
    a, b = stack(0), stack(1)
    measures = ["cka", {"name": "information_imbalance", "k": 3}]
    whole = compared(a, b, batches(300), measures=measures)
    one = hooksim.compare(a, b, batches(300), measures=measures, block_size=300, progress=False)
    assert whole.metadata["blocks"] == [300]
    assert_close(whole, one, 0.0)


@pytest.mark.parametrize("memory_budget", [0, 20_000, 1 << 20])
def test_the_budget_decides_where_things_live_and_not_what_comes_out(memory_budget):
    a, b = stack(0), stack(1)
    measures = ["cka", {"name": "cka", "kernel": "rbf", "key": "rbf"}, "information_imbalance"]
    usual = compared(a, b, batches(700), measures=measures)
    assert_close(
        compared(a, b, batches(700), measures=measures, memory_budget=memory_budget), usual, 1e-9
    )


def test_exact_values_and_one_block_agree():
    a, b = stack(0), stack(1)
    measures = ["cka", hooksim.CKA(exact=True, key="exact")]
    result = compared(a, b, batches(500), measures=measures)
    torch.testing.assert_close(result["cka"].values, result["exact"].values, rtol=0, atol=1e-6)


def test_too_few_samples_are_refused():
    with pytest.raises(hooksim.NotEnoughSamplesError, match="the data has 3 rows"):
        compared(stack(0), stack(1), batches(3))
    with pytest.raises(hooksim.NotEnoughSamplesError, match="The loader gave no batches"):
        compared(stack(0), stack(1), [])


def test_a_row_that_is_not_finite_is_named_by_its_batch():
    loader = batches(200)
    loader[2][5] = float("nan")
    with pytest.raises(hooksim.NonFiniteError, match=r"layer '0' of model A .*, batch 2 .*row 5 "):
        compared(stack(0), stack(1), loader)


def test_sorted_samples_do_not_mislead_one_block():
    """Sorted data change blocks; one block of all of them is what shuffled data give."""
    rows = torch.cat(batches(600))
    ordered = rows[rows[:, 0].argsort()]
    a, b = stack(0), stack(1)
    shuffled = compared(a, b, list(rows.split(64)))
    in_order = compared(a, b, list(ordered.split(64)))
    torch.testing.assert_close(in_order["cka"].values, shuffled["cka"].values, rtol=0, atol=1e-6)
    assert not in_order.metadata["warnings"]


def dense_imbalance(x: torch.Tensor, y: torch.Tensor) -> float:
    """By whole matrices of distances, float64, for rows at different distances."""
    squares = []
    for rows in (x.double().numpy(), y.double().numpy()):
        centred = rows - rows.mean(0)
        norms = (centred**2).sum(1)
        distances = norms[:, None] + norms - 2 * centred @ centred.T
        np.fill_diagonal(distances, np.inf)
        squares.append(distances)
    nearest = squares[0].argmin(1)
    own = squares[1][np.arange(len(x)), nearest][:, None]
    return float((2 * (squares[1] <= own).sum(1) / len(x)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("memory_budget", [None, 100 << 20])
def test_three_thousand_samples_equal_the_dense_computation(memory_budget):
    generator = torch.Generator().manual_seed(5)
    signal = torch.randn(3000, 8, generator=generator)
    sides = [
        {
            name: signal @ torch.randn(8, width, generator=generator)
            + noise * torch.randn(3000, width, generator=generator)
            for name, width, noise in (("narrow", 16, 0.3), ("wide", 256, 3.0))
        }
        for _ in range(2)
    ]
    recordings = map(hooksim.Recording.from_tensors, sides)
    result = compared(*recordings, memory_budget=memory_budget)
    for i, x in enumerate(sides[0].values()):
        for j, y in enumerate(sides[1].values()):
            for key, expected in (
                ("cka", reference.cka(x, y)),
                ("information_imbalance_a_to_b", dense_imbalance(x, y)),
                ("information_imbalance_b_to_a", dense_imbalance(y, x)),
            ):
                assert result[key].values[i, j].item() == pytest.approx(expected, abs=1e-7)
