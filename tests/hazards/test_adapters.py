"""LoRA adapters (peft): the active adapter is measured, under the wrapper's names."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

import hooksim
from tests import reference
from tests.capture.tiny_models import text_batch, tiny
from tests.hazards.measured import assert_measured, by_hand

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

LOADER = [text_batch([7] * 6, 7), text_batch([7] * 5, 7)]
LAYERS = [f"base_model.model.encoder.layer.{index}" for index in range(3)]
CONFIG = LoraConfig(target_modules=["query", "value"], init_lora_weights=False)


@pytest.fixture
def adapted():
    model = get_peft_model(copy.deepcopy(tiny("Bert")), CONFIG)
    model.add_adapter("second", CONFIG)
    with torch.no_grad():  # large enough to be seen
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.mul_(10)
    return model.eval()


def pooled(model, layers):
    return {name: rows.mean(dim=1) for name, rows in by_hand(model, LOADER, layers).items()}


@pytest.mark.parametrize("adapter", ["default", "second"])
def test_the_active_adapter_is_measured(adapted, adapter):
    adapted.set_adapter(adapter)
    assert_measured(adapted, pooled(adapted, LAYERS), LOADER, tolerance=1e-5)


def test_the_default_layers_are_the_blocks(adapted):
    plain = tiny("Bert")
    result = hooksim.compare(adapted, plain, LOADER, measures="cka", progress=False)["cka"]
    assert result.layers_a == LAYERS
    assert result.layers_b == [f"encoder.layer.{index}" for index in range(3)]
    rows_a, rows_b = pooled(adapted, LAYERS)[LAYERS[2]], pooled(plain, result.layers_b)
    right = reference.cka(rows_a, rows_b["encoder.layer.2"])
    assert result.values[2, 2].item() == pytest.approx(right, abs=1e-4)
    assert right < 0.99


def test_a_disabled_adapter_leaves_the_base(adapted):
    expected = pooled(tiny("Bert"), ["encoder.layer.2"])["encoder.layer.2"]
    with adapted.disable_adapter():
        recording = hooksim.record(adapted, LOADER, LAYERS[2], progress=False)
    torch.testing.assert_close(recording[LAYERS[2]], expected)


def test_a_merged_adapter_gives_the_same(adapted):
    expected = pooled(adapted, LAYERS)
    merged = copy.deepcopy(adapted).merge_and_unload()
    names = [name.removeprefix("base_model.model.") for name in LAYERS]
    assert_measured(
        merged, dict(zip(names, expected.values(), strict=True)), LOADER, tolerance=1e-4
    )


def test_two_adapters_of_one_base_are_recorded_one_after_the_other(adapted):
    """One model has one active adapter at a time: live it would be compared with itself."""
    recordings, rows = [], []
    for adapter in ("default", "second"):
        adapted.set_adapter(adapter)
        recordings.append(hooksim.record(adapted, LOADER, progress=False))
        rows.append(pooled(adapted, LAYERS)[LAYERS[2]])
    result = hooksim.compare(*recordings, measures="cka", progress=False)["cka"]
    right = reference.cka(*rows)
    assert result.values[2, 2].item() == pytest.approx(right, abs=1e-4)
    assert right < 0.99


def test_the_parts_of_an_adapter_are_layers(adapted):
    name = "base_model.model.encoder.layer.0.attention.self.query.lora_A.default"
    assert name in hooksim.list_layers(adapted)
    assert_measured(adapted, pooled(adapted, [name]), LOADER, tolerance=1e-5)
