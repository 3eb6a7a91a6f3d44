"""Ranks of float32 distances, where float64 settles what they leave undecided."""

import pytest
import torch

import hooksim
from hooksim import GramAccumulator, RankAccumulator
from hooksim.accumulators import settled_ranks
from hooksim.accumulators.rank_sums import RankSums
from hooksim.blocks import pieces
from hooksim.blocks.pieces import GRAM_BUDGET, single_does
from tests import datasets


def both(rows, k: int, monkeypatch) -> tuple[RankAccumulator, RankAccumulator]:
    """Of a block that is not exact, however small, and of an exact one."""
    found = []
    for least in (2, 1 << 30):
        with monkeypatch.context() as patch:
            patch.setattr(pieces, "_SINGLE_FROM", least)
            found.append(RankAccumulator(k).update(*rows))
    return found[0], found[1]


def errors(settled: RankAccumulator, exact: RankAccumulator) -> tuple[float, float]:
    """The largest error of a value, and of a standard error as a share of it."""
    pairs = list(zip(settled.compute(), exact.compute(), strict=True))
    values = max((a.values - b.values).abs().max().item() for a, b in pairs)
    return values, max((a.stderr / b.stderr - 1).abs().max().item() for a, b in pairs)


@pytest.fixture
def looked_again(monkeypatch) -> list[int]:
    """How many samples were settled, for each accumulator and block; -1 where all were."""
    seen: list[int] = []
    settle, anew = RankSums.settle, settled_ranks.SettledRanks._anew

    def counted(self, undecided):
        seen.append(int(undecided.any(0).sum()))
        settle(self, undecided)

    def all_anew(self):
        seen.append(-1)
        return anew(self)

    monkeypatch.setattr(RankSums, "settle", counted)
    monkeypatch.setattr(settled_ranks.SettledRanks, "_anew", all_anew)
    return seen


def several(n: int, seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(n, 12, generator=generator)
    layers = [
        signal @ torch.randn(12, 40, generator=generator)
        + share * torch.randn(n, 40, generator=generator)
        for share in (0.1, 1.0, 3.0, 0.5)
    ]
    return layers[:2], layers[2:]


def hard(name: str, n: int = 2100) -> datasets.Pair:
    """Such as `datasets.CASES`, in a block that is large enough."""
    x, y = datasets.related(n, 64, seed=8)
    generator = torch.Generator().manual_seed(9)
    if name == "offset":
        return x + 1000, y - 1000
    if name == "scales":
        return x * 1e-12, y * 1e12
    if name == "constant dimension":
        x[:, 5] = 3000
    if name == "bimodal dimension":
        x[:, 5] += torch.where(y[:, 0] > 0, 3000.0, -3000.0)
    if name.startswith("far rows"):
        directions = torch.randn(n // 50, 64, generator=generator)
        same = directions[:1].expand_as(directions)
        chosen = same if name.endswith("one direction") else directions
        x[: n // 50] += 3000 * chosen / chosen.norm(dim=1, keepdim=True)
    if name == "two clusters":
        x *= 0.01
        x[::2, 0] += 200
    if name == "near duplicates":
        x = x[::5].repeat_interleave(5, 0) + 1e-4 * x
    if name == "duplicates":
        x, y = x[: n // 3].repeat(3, 1), y[: n // 2].repeat_interleave(2, 0)
    if name == "three values":
        x = (x / 2).round().clamp(-1, 1)
    if name == "float16":
        x, y = x.half(), (100 * y + 5).half()
    if name == "wide":
        x, y = datasets.related(n, 4096, seed=8)
    return x, y


HARD = (
    "plain",
    "offset",
    "scales",
    "constant dimension",
    "bimodal dimension",
    "far rows, one direction",
    "far rows, random directions",
    "two clusters",
    "near duplicates",
    "duplicates",
    "three values",
    "float16",
    "wide",
)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("name", HARD)
def test_hard_cases(name, k):
    x, y = hard(name)
    settled = RankAccumulator(k).update([x], [y])
    exact = RankAccumulator(k).update([x.double()], [y.double()])
    value, stderr = errors(settled, exact)
    assert value <= 1e-5
    assert stderr <= 1e-3


@pytest.mark.parametrize("k", [1, 3])
def test_blocks_of_the_usual_size(k, looked_again):
    a, b = several(2100, 1)
    settled = RankAccumulator(k).update(a, b)
    assert looked_again in ([], [looked_again[0]]) and -1 not in looked_again
    wide = RankAccumulator(k).update([each.double() for each in a], [each.double() for each in b])
    value, stderr = errors(settled, wide)
    assert 0 < value <= 1e-5  # 0: it was the same path
    assert stderr <= 1e-3


def with_twins(rows, count: int):
    """In one layer the first samples are those that come after them, but for the seventh digit."""
    layer = rows[0][0]
    layer[:count] = layer[count : 2 * count] + 1e-7 * layer[2 * count : 3 * count]
    return rows


@pytest.mark.parametrize("settles", [True, False])
def test_few_undecided_samples_are_looked_at_again_as_sources_and_as_targets(
    settles, looked_again, monkeypatch
):
    """Each has a third sample near it, which float32 cannot tell from its twin."""
    rows = with_twins(several(2100, 2), 40)
    if not settles:
        monkeypatch.setattr(RankSums, "settle", lambda *_: None)
    value, _ = errors(*both(rows, 1, monkeypatch))
    assert value <= 1e-5 if settles else value > 1e-4
    if settles:
        assert len(looked_again) == 1 and 0 < looked_again[0] <= 525


def test_many_are_all_looked_at_again(looked_again, monkeypatch):
    rows = several(120, 3)
    layer = rows[0][0]
    rows[0][0] = layer[::3].repeat_interleave(3, 0) + 1e-7 * layer
    value, stderr = errors(*both(rows, 1, monkeypatch))
    assert looked_again == [-1]
    assert max(value, stderr) <= 1e-12


@pytest.mark.parametrize("k", [1, 4])
def test_equal_samples_have_longer_lists(k, looked_again, monkeypatch):
    """In one layer only: the other sources keep what they have."""
    a, b = several(400, 4)
    a[0][:30] = a[0][30]
    value, stderr = errors(*both((a, b), k, monkeypatch))
    assert len(looked_again) == 1 and looked_again[0] >= 30
    assert value <= 1e-5 and stderr <= 1e-3


def test_more_neighbours_than_lists_hold_are_summed_exactly(looked_again, monkeypatch):
    value, stderr = errors(*both(several(200, 5), 90, monkeypatch))
    assert looked_again == [-1]
    assert max(value, stderr) <= 1e-12


def test_through_the_front_door(monkeypatch):
    a, b = several(400, 6)
    sides = [
        hooksim.Recording.from_tensors({f"{i}": each for i, each in enumerate(side)})
        for side in (a, b)
    ]
    options = {"block_size": "all", "progress": False, "measures": "information_imbalance"}
    exact = hooksim.compare(*sides, **options)
    monkeypatch.setattr(pieces, "_SINGLE_FROM", 2)
    settled = hooksim.compare(*sides, **options)
    for direction in ("a_to_b", "b_to_a"):
        measure = f"information_imbalance_{direction}"
        gap = abs(settled[measure].values - exact[measure].values).max()
        assert 0 < gap <= 1e-4


def test_the_precision_of_cka_is_that_of_float32_as_where_it_is_alone():
    rows = several(2100, 7)
    alone = GramAccumulator().update(*rows).compute()
    exact = GramAccumulator().update(*[[each.double() for each in side] for side in rows])
    gap = (alone.values - exact.compute().values).abs().max()
    assert gap <= 1e-7


@pytest.mark.parametrize(
    ("n", "widths", "kinds", "budget", "does"),
    [
        (2048, [17, 768], [torch.float32, torch.bfloat16], GRAM_BUDGET, True),
        (2047, [17, 768], [torch.float32] * 2, GRAM_BUDGET, False),
        (2048, [16, 768], [torch.float32] * 2, GRAM_BUDGET, False),
        (2048, [17, 768], [torch.float32, torch.float64], GRAM_BUDGET, False),
        (2048, [17, 768], [torch.float32] * 2, 2 * 2048**2 * 4, True),
        (2048, [17, 768], [torch.float32] * 2, 2 * 2048**2 * 4 - 1, False),
    ],
)
def test_which_blocks_it_is_for(n, widths, kinds, budget, does):
    assert single_does(n, widths, kinds, 2, budget) == does
