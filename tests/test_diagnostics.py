"""What is said of each layer beside the matrices."""

import csv
import math

import pytest
import torch
from torch import nn

import hooksim


def features(**layers: torch.Tensor) -> hooksim.Recording:
    return hooksim.Recording.from_tensors(layers)


def normal(n: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def diagnosed(recording, **options):
    options = {"block_size": 200, "progress": False} | options
    result = hooksim.compare(recording, recording, **options)
    return {each.layer: each for each in result.diagnostics("a")}


@pytest.mark.parametrize(
    "measures",
    [
        "cka",
        "information_imbalance",
        {"name": "cka", "kernel": "rbf"},
        {"name": "cka", "debiased": False},
    ],
)
def test_they_do_not_depend_on_the_measure(measures):
    found = diagnosed(features(x=normal(600, 20), y=normal(600, 3)), measures=measures)
    assert [each.width for each in found.values()] == [20, 3]
    assert [each.rows_per_dimension for each in found.values()] == [30, 200]
    assert found["x"].participation_ratio == pytest.approx(20, rel=0.05)
    assert found["y"].participation_ratio == pytest.approx(3, rel=0.05)
    assert found["x"].duplicate_rows == 0
    assert 0 < found["x"].largest_share < 0.02
    assert 0.5 < found["x"].order < 1.5


def test_the_participation_ratio_counts_directions_without_bias():
    """As many dimensions as samples: the ratio of the sample covariance would be half as large."""
    mean = torch.tensor(
        [
            diagnosed(features(x=normal(100, 100, seed)), block_size=100)["x"].participation_ratio
            for seed in range(20)
        ]
    ).mean()
    assert mean.item() == pytest.approx(100, rel=0.05)


def test_duplicates_are_counted_exactly():
    x = normal(200, 16)
    x[50:80] = x[:30]  # 60 of 200 rows have a twin
    near = x + 1e-3 * normal(200, 16, seed=1)
    found = diagnosed(features(x=x + 1000, near=near, constant=torch.ones(200, 4)))
    assert found["x"].duplicate_rows == pytest.approx(0.3)
    assert found["near"].duplicate_rows == 0
    assert found["constant"].duplicate_rows == 1


def test_a_layer_that_does_not_vary_has_no_ratio():
    found = diagnosed(features(constant=torch.ones(200, 4), x=normal(200, 4)))["constant"]
    assert math.isnan(found.participation_ratio) and math.isnan(found.largest_share)


def test_one_sample_that_rules_and_an_order_show():
    x = normal(600, 8)
    x[7] *= 100
    ordered = normal(600, 8, seed=1).sort(0).values
    found = diagnosed(features(x=x, ordered=ordered))
    assert found["x"].largest_share > 0.9
    assert found["x"].participation_ratio < 1.5
    assert found["ordered"].order > 10
    assert math.isnan(diagnosed(features(x=x), block_size="all")["x"].order)


def test_tokens_count_as_rows():
    model = nn.Embedding(50, 6)
    wrapped = nn.Sequential(model)
    loader = [torch.randint(0, 50, (20, 9), generator=torch.Generator().manual_seed(0))]
    result = hooksim.compare(wrapped, wrapped, loader, rows="token", progress=False)
    [layer] = result.diagnostics("a")
    assert layer.rows_per_dimension == 20 * 9 / 6
    assert layer.duplicate_rows > 0.9  # 180 tokens of 50 kinds


def test_they_are_saved_and_loaded(tmp_path):
    recording = features(x=normal(600, 20), constant=torch.ones(600, 2))
    result = hooksim.compare(recording, recording, block_size=200, progress=False)
    result.save(tmp_path / "result")
    loaded = hooksim.Comparison.load(tmp_path / "result")
    for side in ("a", "b"):
        for found, expected in zip(loaded.diagnostics(side), result.diagnostics(side), strict=True):
            assert found == pytest.approx(expected, nan_ok=True)
    with (tmp_path / "result" / "diagnostics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["side"], row["layer"]) for row in rows] == [
        ("a", "x"), ("a", "constant"), ("b", "x"), ("b", "constant")
    ]  # fmt: skip
    assert float(rows[0]["participation_ratio"]) == result.diagnostics("a")[0].participation_ratio


def test_another_side_is_refused():
    recording = features(x=normal(50, 3))
    result = hooksim.compare(recording, recording, progress=False)
    with pytest.raises(hooksim.ConfigError, match="expected 'a' or 'b', got 'c'"):
        result.diagnostics("c")


def test_they_do_not_warn_of_what_was_not_asked():
    """The accumulator that they read HSIC from speaks only for a measure that was asked for."""
    recording = features(constant=torch.ones(60, 3), x=normal(60, 3))
    imbalance = hooksim.compare(
        recording, recording, measures="information_imbalance", progress=False
    )
    assert imbalance.metadata["warnings"] == []
    few = features(x=normal(6, 3))
    few = hooksim.compare(few, few, measures="information_imbalance", progress=False)
    assert not any("CKA" in warning["text"] for warning in few.metadata["warnings"])
    ruled = features(x=normal(200, 8) * torch.ones(200, 1).index_fill(0, torch.tensor([3]), 50))
    biased = hooksim.compare(
        ruled, ruled, measures={"name": "cka", "debiased": False}, progress=False
    )
    codes = [warning["code"] for warning in biased.metadata["warnings"]]
    assert codes.count("ruling_sample") == 1


@pytest.mark.parametrize("damaged", [3, {"a": [{"layer": "x"}]}, {"a": 5}, {"a": [None]}])
def test_damaged_ones_are_said_to_be(damaged):
    recording = features(x=normal(50, 3))
    result = hooksim.compare(recording, recording, progress=False)
    result.metadata["diagnostics"] = damaged
    with pytest.raises(hooksim.HooksimError, match="damaged"):
        result.diagnostics("a")
