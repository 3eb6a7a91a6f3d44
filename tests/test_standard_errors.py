"""Standard errors against the spread of fresh samples: 200 repetitions with fixed seeds."""

import pytest
import torch

from hooksim import GramAccumulator, RankAccumulator

N, REPETITIONS = 400, 200
CASES = ("related", "weak", "independent")


def draw(seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """One layer of A, and one of B for each case."""
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(N, 8, generator=generator)
    fixed = torch.Generator().manual_seed(12345)
    mix = torch.randn(8, 20, generator=fixed)
    others = [
        strength * signal @ mix + torch.randn(N, 20, generator=generator)
        for strength in (1.0, 0.2, 0.0)
    ]
    return [signal], others


@pytest.fixture(scope="module")
def repeated() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Values and standard errors, each (repetitions, cases), by measure."""
    found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for seed in range(REPETITIONS):
        rows_a, rows_b = draw(seed)
        cka = GramAccumulator().update(rows_a, rows_b).compute()
        a_to_b, b_to_a = RankAccumulator().update(rows_a, rows_b).compute()
        for name, (values, stderr) in (("cka", cka), ("a_to_b", a_to_b), ("b_to_a", b_to_a)):
            found.setdefault(name, []).append((values[0], stderr[0]))
    return {
        name: (torch.stack([v for v, _ in parts]), torch.stack([s for _, s in parts]))
        for name, parts in found.items()
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["cka", "a_to_b", "b_to_a"])
def test_mean_standard_error_is_the_true_deviation(repeated, name, case):
    values, stderr = (part[:, CASES.index(case)] for part in repeated[name])
    ratio = (stderr.mean() / values.std()).item()
    low, high = (0.75, 1.3) if name != "cka" else (0.75, 1.25)
    if name == "cka" and case == "independent":
        low, high = 0.9, 1.6
    assert low <= ratio <= high


def test_the_debiased_value_has_no_bias_where_nothing_is_shared(repeated):
    values, _ = repeated["cka"]
    independent = values[:, CASES.index("independent")]
    assert abs(independent.mean().item()) < 4 * independent.std().item() / REPETITIONS**0.5
