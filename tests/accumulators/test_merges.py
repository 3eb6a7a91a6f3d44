"""However samples are cut into blocks, dealt out and merged again: the sums are the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import hooksim

KINDS = {
    "gram": hooksim.GramAccumulator,
    "rbf": lambda: hooksim.GramAccumulator(kernel="rbf", bandwidth=0.7),
    "biased": lambda: hooksim.GramAccumulator(debiased=False),
    "rank": hooksim.RankAccumulator,
    "covariance": hooksim.CovarianceAccumulator,
}
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@st.composite
def dealt(draw: st.DrawFn) -> tuple[list[list[tuple[list[Tensor], list[Tensor]]]], list[int]]:
    """Blocks of the rows of some layers, dealt out, and the order in which they are merged."""
    layers = [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    widths = [[draw(st.sampled_from((1, 2, 5, 17))) for _ in range(count)] for count in layers]
    dtype = draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))

    def rows(size: int, side: int) -> list[Tensor]:
        offset = draw(st.sampled_from((0.0, 30.0)))
        return [
            (torch.randn(size, width, generator=generator) + offset).to(dtype)
            for width in widths[side]
        ]

    sizes = draw(st.lists(st.integers(4, 12), min_size=1, max_size=6))
    blocks = [(rows(size, 0), rows(size, 1)) for size in sizes]
    hands: list[list[tuple[list[Tensor], list[Tensor]]]] = [[] for _ in range(4)]
    for block in blocks:
        hands[draw(st.integers(0, 3))].append(block)
    return hands, draw(st.permutations(range(4)))


@pytest.mark.parametrize("kind", KINDS)
@given(made=dealt())
def test_any_deal_and_any_order_of_merges(kind, made):
    hands, order = made
    whole = KINDS[kind]()
    for place in order:
        for block in hands[place]:
            whole.update(*block)
    parts = [KINDS[kind]() for _ in hands]
    for part, hand in zip(parts, hands, strict=True):
        for block in hand:
            part.update(*block)
    kept = [{key: value.clone() for key, value in part.state_dict().items()} for part in parts]
    left = parts[order[0]].merge(parts[order[1]])
    merged = left.merge(parts[order[2]].merge(parts[order[3]]))
    for expected, found in zip(whole.compute(), merged.compute(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
    for place in (order[1], order[3]):  # who was added stays as it was
        for key, value in parts[place].state_dict().items():
            assert torch.equal(value.nan_to_num(7), kept[place][key].nan_to_num(7)), key
