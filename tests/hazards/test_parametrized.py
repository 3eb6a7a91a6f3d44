"""Layers whose weight is computed, and is a module itself."""

import torch
from torch import nn

import hooksim
from tests.hazards.measured import BATCHES, assert_measured, by_hand


def test_parametrized_layers_by_name():
    weight_norm, spectral_norm = (
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
    )
    model = nn.Sequential(weight_norm(nn.Linear(4, 6)), nn.Tanh(), spectral_norm(nn.Linear(6, 3)))
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.eval()
    expected = by_hand(model, BATCHES, ["0", "2"])
    model.train()
    assert_measured(model, expected)
    # Power iteration belongs to the training.
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_their_parts_found_by_a_pattern_are_left_out():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), nn.Tanh())
    result = hooksim.compare(model, model, BATCHES, layers_a="**", progress=False)
    assert result["cka"].layers_a == ["0", "1"]
    [note] = result.metadata["notes"]
    assert note["text"].startswith("model A (Sequential): left out '0.parametrizations.weight'")
