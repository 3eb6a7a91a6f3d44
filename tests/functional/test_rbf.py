"""CKA with the RBF kernel, against kernels made by hand."""

import itertools

import numpy as np
import pytest
import torch
from tensordict import TensorDict

import hooksim
from hooksim.functional.rbf import median_distance, spaced_rows
from tests import reference


def distances(x: torch.Tensor) -> np.ndarray:
    return np.sqrt(np.maximum(reference.squared_distances(x), 0))


def kernel(x: torch.Tensor, bandwidth: float) -> np.ndarray:
    """exp(-d^2 / (2 s^2)), s a multiple of the median over pairs."""
    d = distances(x)
    width = bandwidth * np.median(d[np.triu_indices(len(d), 1)])
    return np.exp(-(d**2) / (2 * width**2))


def terms(x: torch.Tensor, y: torch.Tensor, bandwidth: float, debiased: bool) -> list[np.ndarray]:
    """The terms h_i of both together and of each with itself, each (n,)."""
    per_sample = (
        reference.hsic_unbiased_per_sample if debiased else reference.hsic_biased_per_sample
    )
    of_x, of_y = kernel(x, bandwidth), kernel(y, bandwidth)
    return [per_sample(*each) for each in ((of_x, of_y), (of_x, of_x), (of_y, of_y))]


def estimate(parts: list[list[np.ndarray]]) -> tuple[float, float]:
    """CKA over blocks and its standard error."""
    xy, xx, yy = (np.concatenate(each) for each in zip(*parts, strict=True))
    n, root = len(xy), np.sqrt(xx.mean() * yy.mean())
    value = xy.mean() / root
    u = 2 * (xy / root - value / 2 * (xx / xx.mean() + yy / yy.mean()))
    return float(value), float(np.sqrt((u**2).sum()) / n)


def pair(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=generator) + 100
    return x, (x[:, :3] - 100) ** 2 + 0.3 * torch.randn(n, 3, generator=generator)


CASES = list(itertools.product((True, False), (1.0, 0.4)))


@pytest.mark.parametrize(("debiased", "bandwidth"), CASES)
@pytest.mark.parametrize("n", [9, 40])
def test_function_and_estimator(debiased, bandwidth, n):
    x, y = pair(n)
    options = {"kernel": "rbf", "debiased": debiased, "bandwidth": bandwidth}
    expected, _ = estimate([terms(x, y, bandwidth, debiased)])
    assert hooksim.functional.cka(x, y, **options).item() == pytest.approx(expected, abs=1e-6)
    batch = hooksim.functional.cka(
        torch.stack([x, y[:, [0, 1, 2, 0, 0]]]), torch.stack([y, y]), **options
    )
    assert batch[0].item() == pytest.approx(expected, abs=1e-6)
    data = TensorDict({"data_a": x, "data_b": y})
    assert hooksim.CkaEstimator(**options)(data)["cka"].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("debiased", "bandwidth"), CASES)
def test_blocks(debiased, bandwidth):
    blocks = [pair(30, seed=1), pair(45, seed=2)]
    accumulator = hooksim.GramAccumulator(debiased, "rbf", bandwidth)
    for x, y in blocks:
        accumulator.update([x], [y])
    expected = estimate([terms(x, y, bandwidth, debiased) for x, y in blocks])
    values, stderr = accumulator.compute()
    assert (values.item(), stderr.item()) == pytest.approx(expected, abs=1e-6)


def test_invariances_and_what_does_not_hold():
    x, y = pair(60)
    value = hooksim.functional.cka(x, y, kernel="rbf")
    q, _ = torch.linalg.qr(torch.randn(5, 5))
    assert hooksim.functional.cka(7 * x @ q - 3, y, kernel="rbf").item() == pytest.approx(
        value.item(), abs=1e-5
    )
    stretched = x * torch.tensor([9.0, 1, 1, 1, 1])
    assert abs(hooksim.functional.cka(stretched, y, kernel="rbf").item() - value.item()) > 1e-3
    assert hooksim.functional.cka(x, x, kernel="rbf").item() == pytest.approx(1.0, abs=1e-6)


def test_a_median_of_zero_is_undefined():
    x = torch.zeros(40, 2)
    x[:10] = torch.randn(10, 2)
    y = torch.randn(40, 2)
    assert hooksim.functional.cka(x, y, kernel="rbf").isnan()
    model = torch.nn.Sequential(torch.nn.Identity())
    result = hooksim.compare(
        model, model, [x], layers_a="0", measures=hooksim.CKA(kernel="rbf"), progress=False
    )
    assert result["cka"].values.isnan().all()
    [warning] = result.metadata["warnings"]
    assert warning["code"] == "constant_layer"
    assert "equal for half of all pairs" in warning["text"]


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_median_is_numpys(n):
    x = torch.randn(n, 3, dtype=torch.float64)
    gram = x @ x.T
    expected = np.median(distances(x)[np.triu_indices(n, 1)])
    assert median_distance(gram, gram.diagonal()).item() == pytest.approx(expected, abs=1e-12)


def test_many_samples_take_the_median_of_evenly_spaced_ones(monkeypatch):
    monkeypatch.setattr("hooksim.functional.rbf.MEDIAN_ROWS", 16)
    rows = spaced_rows(64)
    assert rows == list(range(0, 64, 4))
    x, y = pair(64)
    x[[row for row in range(64) if row % 4]] *= 3  # the others do not count for the width
    accumulator = hooksim.GramAccumulator(kernel="rbf").update([x], [y])
    value = hooksim.functional.cka(x, y, kernel="rbf").item()
    assert accumulator.compute().values.item() == pytest.approx(value, abs=1e-6)
    width = np.median(distances(x[rows])[np.triu_indices(16, 1)])
    everyone = np.median(distances(x)[np.triu_indices(64, 1)])
    by_hand = hooksim.functional.cka(x, y, kernel="rbf", bandwidth=1.0)
    monkeypatch.undo()
    y_ratio = np.median(distances(y[rows])[np.triu_indices(16, 1)]) / np.median(
        distances(y)[np.triu_indices(64, 1)]
    )
    of_x, of_y = kernel(x, width / everyone), kernel(y, y_ratio)
    xy, xx, yy = (
        reference.hsic_unbiased(*each) for each in ((of_x, of_y), (of_x, of_x), (of_y, of_y))
    )
    assert by_hand.item() == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-6)
