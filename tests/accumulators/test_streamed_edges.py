"""Of mutual edges a sample is enough, if it is drawn: the standard error hardly changes."""

import pytest
import torch

from hooksim.accumulators import rank_walks, streamed_edges
from hooksim.accumulators.ranks import RankAccumulator


def with_and_without_sampling(
    monkeypatch: pytest.MonkeyPatch, k: int, a: list[torch.Tensor], b: list[torch.Tensor]
) -> list[RankAccumulator]:
    """The same block without lists: mutual edges among all samples, and among 256 of them."""
    monkeypatch.setattr(rank_walks, "_LIST_BYTES", 0)
    every = RankAccumulator(k).update(a, b)
    with monkeypatch.context() as patch:
        patch.setattr(streamed_edges, "_EXACT_UP_TO", 10)
        patch.setattr(streamed_edges, "_SAMPLED", 256)
        return [every, RankAccumulator(k).update(a, b)]


def rows_of(seed: int, n: int) -> list[torch.Tensor]:
    """An ordinary layer, a binary, a constant and a three-valued one."""
    rows = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return [rows, (rows[:, :1] > 0).float(), torch.ones(n, 2), rows.clamp(-1, 1).round()]


@pytest.mark.parametrize("k", [30, 300])
def test_sampling_leaves_the_value_and_hardly_changes_its_error(k, monkeypatch):
    """Errors are about 0.01, but from a constant layer, where only the sampled rows' noise is."""
    a, b = rows_of(1, 600), rows_of(2, 600)
    b[0] = a[0] + 0.5 * b[0]
    every, sampled = with_and_without_sampling(monkeypatch, k, a, b)
    for got, expected in zip(sampled.compute(), every.compute(), strict=True):
        assert torch.equal(got.values, expected.values)
        torch.testing.assert_close(got.stderr, expected.stderr, rtol=0.03, atol=1e-4)
        assert not torch.equal(got.stderr, expected.stderr)


def sequences() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Samples that come eight by eight: their neighbours stand beside them."""
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(100, 4, generator=generator).repeat_interleave(8, 0)
    return [first + 0.01 * torch.randn(800, 4, generator=generator)], [
        first[:, :1] + torch.randn(800, 1, generator=generator)
    ]


def test_neighbours_that_stand_together_are_sampled_too(monkeypatch):
    every, sampled = with_and_without_sampling(monkeypatch, 7, *sequences())
    monkeypatch.setattr(streamed_edges, "_sample", lambda n: list(range(0, n, 8)))
    spaced = RankAccumulator(7).update(*sequences())
    expected, drawn, even = (each.compute().a_to_b.stderr for each in (every, sampled, spaced))
    assert abs(drawn / expected - 1) < 0.03 < abs(even / expected - 1)


def test_the_sample_is_the_same_every_time():
    drawn = streamed_edges._sample(20_000)
    assert drawn == streamed_edges._sample(20_000) == sorted(set(drawn))
    assert len(drawn) == 1024 and drawn[0] >= 0 and drawn[-1] < 20_000
    assert streamed_edges._sample(2048) == list(range(2048))


@pytest.mark.parametrize(("n", "dtype"), [(16_383, torch.int16), (16_384, torch.int32)])
def test_ranks_fit_what_they_are_held_in(n, dtype):
    assert streamed_edges._rank_dtype(n) == dtype
    assert torch.tensor(2 * n).to(dtype) == 2 * n
