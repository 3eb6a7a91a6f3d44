"""Models that accelerate has spread over memory and disk, and models that hold no values."""

import copy

import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from torch import nn

import hooksim
from hooksim.errors import ConfigError, MissingWeightsError
from tests.capture.tiny_models import Stack
from tests.hazards.measured import BATCHES, assert_measured, by_hand

LAYERS = ["blocks.0", "blocks.1", "blocks.2"]


def spread(model, folder):
    places = {"blocks.0": "disk", "blocks.1": "cpu", "blocks.2": "disk"}
    return dispatch_model(model, places, main_device="cpu", offload_dir=folder)


OFFLOADS = {
    "to memory": lambda model, folder: cpu_offload(model, execution_device="cpu"),
    "to disk": lambda model, folder: disk_offload(model, folder, execution_device="cpu"),
    "spread by a device map": spread,
}


def devices(model):
    return {name: parameter.device.type for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("kind", OFFLOADS)
def test_offloaded_models_are_read_where_they_run(kind, tmp_path):
    model = Stack()
    expected = by_hand(model, BATCHES, LAYERS)
    offloaded = OFFLOADS[kind](copy.deepcopy(model), tmp_path)
    before = devices(offloaded)
    assert "meta" in before.values()
    assert_measured(offloaded, expected)
    assert devices(offloaded) == before  # nothing of it stays in memory


@pytest.mark.parametrize("kind", OFFLOADS)
def test_an_offloaded_model_beside_another(kind, tmp_path):
    model = Stack()
    offloaded = OFFLOADS[kind](copy.deepcopy(model), tmp_path)
    result = hooksim.compare(model, offloaded, BATCHES, measures="cka", progress=False)
    itself = hooksim.compare(model, model, BATCHES, measures="cka", progress=False)
    torch.testing.assert_close(result["cka"].values, itself["cka"].values, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "where"), [("to disk", "meta"), ("spread by a device map", "cpu")]
)
def test_an_offloaded_model_is_not_moved(kind, where, tmp_path):
    offloaded = OFFLOADS[kind](Stack(), tmp_path)
    with pytest.raises(ConfigError) as error:
        hooksim.compare(offloaded, offloaded, BATCHES, device="cpu", progress=False)
    places = ", ".join(sorted(set(devices(offloaded).values())))
    assert where in places
    assert str(error.value) == (
        f"device: Stack is on {places} and could not be put back. Leave device=None to run it "
        "where it is."
    )


def test_a_model_without_values_is_refused():
    with torch.device("meta"):
        empty = Stack()
    text = (
        "12 of its 12 parameters and buffers are on the meta device, which holds no values "
        "('blocks.0.inner.weight', ...). Load its weights first."
    )
    with pytest.raises(MissingWeightsError) as error:
        hooksim.compare(Stack(), empty, BATCHES, progress=False)
    assert str(error.value) == f"model B (Stack): {text}"
    with pytest.raises(MissingWeightsError) as error:
        hooksim.record(empty, BATCHES, progress=False)
    assert str(error.value) == f"model (Stack): {text}"


def test_a_model_half_loaded_is_refused():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, device="meta"))
    with pytest.raises(MissingWeightsError, match=r"2 of its 4 .* \('1.weight', ...\)"):
        hooksim.compare(model, model, BATCHES, layers_a="0", progress=False)


@pytest.mark.parametrize("act", ["compare", "record"])
def test_no_model_is_moved_to_where_its_values_would_be_lost(act):
    model = Stack()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ConfigError) as error:
        if act == "compare":
            hooksim.compare(model, model, BATCHES, device="meta", progress=False)
        else:
            hooksim.record(model, BATCHES, device="meta", progress=False)
    assert str(error.value) == (
        "device: expected a name such as 'cpu' or 'cuda:0', a torch.device or None, got 'meta', "
        "which holds no values."
    )
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
