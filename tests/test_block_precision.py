"""What blocks cost, over repetitions: nothing in the mean, and little in the deviation.

For related layers the terms of single samples rule the spread, and blocks lose next to nothing. For
unrelated ones the pairs do, of which B blocks see one in B: the deviation grows by sqrt(B).
"""

import pytest
import torch

from hooksim import GramAccumulator

N, REPETITIONS = 480, 150
CUTS = {"all": (N,), "3 blocks": (N // 3,) * 3, "one of 8": (N - 8, 8), "8 blocks": (N // 8,) * 8}
CASES = ("related", "weak", "independent")


def draw(seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Rows of one layer of A, and of one layer of B for each case."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(12, 32, generator=torch.Generator().manual_seed(99))
    signal = torch.randn(N, 12, generator=generator)
    x = signal @ mix + torch.randn(N, 32, generator=generator)
    noise = torch.randn(3, N, 32, generator=generator)
    return x, [strength * signal @ mix + noise[i] for i, strength in enumerate((0.26, 0.08, 0.0))]


def value(x: torch.Tensor, others: list[torch.Tensor], sizes: tuple[int, ...]) -> torch.Tensor:
    accumulator = GramAccumulator()
    for part, *rest in zip(x.split(sizes), *(y.split(sizes) for y in others), strict=True):
        accumulator.update([part], rest)
    return accumulator.compute().values[0]


@pytest.fixture(scope="module")
def repeated() -> dict[str, torch.Tensor]:
    """CKA by cut, each (repetitions, cases)."""
    drawn = [draw(seed) for seed in range(REPETITIONS)]
    return {
        name: torch.stack([value(*each, sizes) for each in drawn]) for name, sizes in CUTS.items()
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("cut", ["3 blocks", "one of 8", "8 blocks"])
def test_the_mean_is_that_of_one_block(repeated, cut, case):
    gap = (repeated[cut] - repeated["all"])[:, CASES.index(case)]
    assert abs(gap.mean().item()) < 4 * gap.std().item() / REPETITIONS**0.5


@pytest.mark.parametrize(
    ("case", "low", "high"),
    [("related", 0.97, 1.05), ("weak", 0.97, 1.12), ("independent", 1.4, 2.1)],
)
def test_three_blocks_lose_what_the_design_says(repeated, case, low, high):
    deviations = (repeated[cut][:, CASES.index(case)].std().item() for cut in ("3 blocks", "all"))
    ratio = next(deviations) / next(deviations)
    assert low <= ratio <= high


def test_a_small_block_beside_a_large_one_costs_more_than_two_halves():
    """104 samples as 100 + 4 and as 52 + 52, as the remainder of the data is cut."""
    found = {
        sizes: torch.stack([value(x[:104], [y[:104] for y in others], sizes) for x, others in rows])
        for rows in [[draw(seed) for seed in range(REPETITIONS)]]
        for sizes in ((100, 4), (52, 52), (104,))
    }
    deviations = {sizes: values[:, 0].std().item() for sizes, values in found.items()}
    assert deviations[52, 52] < 1.1 * deviations[(104,)]
    assert deviations[100, 4] > 1.1 * deviations[52, 52]
