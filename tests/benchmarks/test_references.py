"""The float64 values of the benchmark are those of the papers' definitions."""

import numpy as np
import pytest
import torch
from torch import nn

from scripts.benchmarks.references import CkaSums, cka_matrix, float64_gram, imbalance_matrices
from scripts.benchmarks.stored_rows import biased, related_rows
from tests import reference

ROWS = related_rows(3, 30, 8)


def matrix(function, a, b):
    return np.array([[function(x, y) for y in b] for x in a])


def test_cka():
    expected = matrix(reference.cka, *ROWS)
    np.testing.assert_allclose(cka_matrix(*ROWS), expected, rtol=0, atol=1e-12)


def test_biased_cka():
    expected = matrix(lambda x, y: reference.cka(x, y, debiased=False), *ROWS)
    np.testing.assert_allclose(biased(ROWS)["cka"], expected, rtol=0, atol=1e-12)


def test_cka_over_blocks_of_different_sizes():
    sums, cuts = CkaSums(), (slice(0, 12), slice(12, 30))
    for cut in cuts:
        sums.add(*([float64_gram(rows[cut]) for rows in side] for side in ROWS))

    def of_blocks(x, y):
        return reference.block_cka([(x[cut], y[cut]) for cut in cuts]).value

    np.testing.assert_allclose(sums.values(), matrix(of_blocks, *ROWS), rtol=0, atol=1e-12)


def test_no_blocks():
    with pytest.raises(ValueError, match="expected a block"):
        CkaSums().values()


def test_imbalance():
    for found, place in zip(imbalance_matrices(*ROWS), (0, 1), strict=True):
        expected = matrix(lambda x, y, at=place: reference.information_imbalance(x, y)[at], *ROWS)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_hooks_of_the_reference_are_removed():
    from scripts.benchmarks.references import layer_outputs

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))
    with layer_outputs(model, ["0"], lambda output: output.clone()) as outputs:
        model(torch.tensor([[3.0, -4.0]]))
        kept = outputs["0"]
    assert torch.equal(kept, model[0](torch.tensor([[3.0, -4.0]])))
    assert not model[0]._forward_hooks
