"""Exact CKA: one value for all samples, however they come and are merged."""

import random

import pytest
import torch

import hooksim
from hooksim.accumulators.base import SidePair
from hooksim.accumulators.covariance import CovarianceAccumulator
from tests import reference
from tests.accumulator_laws import AccumulatorLaws


class TestExact(AccumulatorLaws):
    def make(self):
        return CovarianceAccumulator()

    def make_other(self):
        return CovarianceAccumulator(debiased=False)

    def cell(self, blocks):
        x, y = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        return [(reference.cka(x, y), float("nan"))]


class TestExactBiased(AccumulatorLaws):
    def make(self):
        return CovarianceAccumulator(debiased=False)

    def make_other(self):
        return CovarianceAccumulator()

    def cell(self, blocks):
        x, y = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        return [(reference.cka(x, y, debiased=False), float("nan"))]


def layers(n: int, offset: float = 0.0) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, 6, dtype=torch.float64, generator=generator)
    noise = torch.randn(n, 4, dtype=torch.float64, generator=generator)
    return [x + offset, x[:, :2] ** 2], [x[:, :4] + noise - offset, noise, noise[:, :1]]


@pytest.mark.parametrize("debiased", [True, False])
def test_the_dense_formula_at_offset_1000(debiased):
    a, b = layers(300, 1000.0)
    accumulator = CovarianceAccumulator(debiased)
    for begin in range(0, 300, 7):
        part = slice(begin, begin + 7)
        accumulator.update([x[part] for x in a], [y[part] for y in b])
    values = accumulator.compute().values
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            expected = reference.cka(x, y, debiased=debiased)
            assert values[i, j].item() == pytest.approx(expected, abs=1e-10)


def test_ten_random_splits_merged_in_random_order_agree():
    a, b = layers(500, 100.0)
    whole = CovarianceAccumulator().update(a, b).compute().values
    draw = random.Random(0)
    for _ in range(10):
        cuts = sorted(draw.sample(range(1, 500), 9))
        order = torch.tensor(draw.sample(range(500), 500))
        parts = [
            CovarianceAccumulator().update([x[rows] for x in a], [y[rows] for y in b])
            for rows in order.tensor_split(cuts)
        ]
        draw.shuffle(parts)
        merged = CovarianceAccumulator()
        for part in parts:
            merged.merge(part)
        assert (merged.compute().values - whole).abs().max() <= 1e-9


def test_a_million_samples_in_constant_memory():
    accumulator = CovarianceAccumulator()
    generator = torch.Generator().manual_seed(0)
    sizes = set()
    for _ in range(50):
        x = torch.randn(20_000, 3, generator=generator)
        accumulator.update([x], [x + torch.randn(20_000, 3, generator=generator)])
        sizes.add(sum(value.numel() for value in accumulator.state_dict().values()))
    assert len(sizes) == 1
    # Independent noise of the signal's variance: CKA is 1 / 2 whatever the width.
    assert accumulator.compute().values.item() == pytest.approx(0.5, abs=0.01)


def test_aligned_pairs_and_a_model_with_itself():
    a, b = layers(60)
    b = b[:2]
    every = CovarianceAccumulator().update(a, b).compute().values
    aligned = CovarianceAccumulator(pairs=[SidePair(0, 1, aligned=True)])
    for part in (slice(0, 25), slice(25, 60)):
        aligned.update([x[part] for x in a], [y[part] for y in b])
    torch.testing.assert_close(aligned.compute().values.diagonal(), every.diagonal())
    itself = CovarianceAccumulator(pairs=[SidePair(0, 0)]).update(a, a).compute().values
    torch.testing.assert_close(itself.diagonal(), torch.ones(2, dtype=torch.float64))


def test_layers_that_do_not_vary_have_none():
    x = torch.zeros(50, 4)
    x[3] = 1.0  # unbiased HSIC of one sample that differs is 0
    y = torch.randn(50, 4)
    values = CovarianceAccumulator().update([x, torch.ones(50, 2), y], [y]).compute().values
    assert values.isnan().tolist() == [[True], [True], [False]]


def test_layers_too_wide(monkeypatch):
    monkeypatch.setattr("hooksim.accumulators.covariance._STATE_BUDGET", 1000)
    a, b = layers(20)
    with pytest.raises(hooksim.ConfigError, match="take 1,768 bytes, more than 1,000"):
        CovarianceAccumulator().update(a, b)


class TestCompare:
    @staticmethod
    def compare(**options):
        torch.manual_seed(0)
        a, b = (torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.ReLU()) for _ in range(2))
        data = torch.randn(120, 8)
        return hooksim.compare(a, b, data.split(16), layers_a="*", progress=False, **options)

    def test_the_value_does_not_depend_on_blocks(self):
        measures = [hooksim.CKA(exact=True), hooksim.CKA(key="blocks")]
        dense = self.compare(measures="cka", block_size=500)
        for size in (16, 40, "auto"):
            result = self.compare(measures=measures, block_size=size)
            torch.testing.assert_close(result["cka"].values, dense["cka"].values, rtol=0, atol=1e-6)
            torch.testing.assert_close(result["cka"].stderr, result["blocks"].stderr)
        assert result["cka"].meaning.label == "CKA (linear, debiased, exact)"

    def test_blocks_of_batches_keep_no_rows(self):
        with pytest.raises(hooksim.ConfigError, match="exact=True needs rows"):
            self.compare(measures=hooksim.CKA(exact=True), block_size="batch")
