"""Experts: their rows are tokens, `(samples * tokens, d)`, and the batch dimension is gone."""

import pytest
import torch
import transformers

import hooksim
from tests.capture.tiny_models import ENDS, text_batch
from tests.hazards.measured import assert_measured, assert_refused, by_hand

LOADER = [text_batch([5, 3, 7, 2, 6, 4], 7), text_batch([1, 4, 4, 7, 5], 7)]


@pytest.fixture(scope="module")
def mixtral():
    torch.manual_seed(0)
    config = transformers.MixtralConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=32,
        vocab_size=60,
        num_local_experts=4,
        **ENDS,
    )
    return transformers.MixtralModel(config).eval()


def test_the_layer_around_the_experts_has_its_batch(mixtral):
    mask = torch.cat([batch["attention_mask"] for batch in LOADER])[:, :, None]
    tokens = by_hand(mixtral, LOADER, ["layers.0.mlp"])["layers.0.mlp"]
    pooled = (tokens * mask).sum(dim=1) / mask.sum(dim=1)
    assert_measured(mixtral, {"layers.0.mlp": pooled}, LOADER, tolerance=1e-5)


@pytest.mark.parametrize("rows", ["auto", "token"])
def test_named_experts_are_refused(mixtral, rows):
    reason = (
        "its output (42, 16) has no batch of 6 samples in dimension 0. Select the layer around it, "
        "or another."
    )
    assert_refused(mixtral, "layers.0.mlp.experts", reason, LOADER, rows)


def test_a_named_router_is_refused(mixtral):
    reason = (
        "none of its outputs is a floating tensor with 6 samples in dimension 0: 0 (42, 4) "
        "float32, 1 (42, 2) float32, 2 (42, 2) int64. Select another layer."
    )
    assert_refused(mixtral, "layers.0.mlp.gate", reason, LOADER)


def test_experts_found_by_a_pattern_are_left_out_and_noted(mixtral):
    result = hooksim.compare(mixtral, mixtral, LOADER, layers_a="layers.0.**", progress=False)
    found = result["cka"].layers_a
    assert "layers.0.mlp" in found
    assert not [name for name in found if "experts" in name or "gate" in name]
    noted = " ".join(note["text"] for note in result.metadata["notes"])
    assert "left out 'layers.0.mlp.experts': its output (42, 16) has no batch of 6" in noted
    assert "left out 'layers.0.mlp.gate'" in noted
