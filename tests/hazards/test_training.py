"""Models in the middle of their training: modes, statistics, gradients, checkpointing."""

import copy

import pytest
import torch
from torch import nn

import hooksim
from tests.capture.tiny_models import Stack, hook_count, text_batch, tiny
from tests.hazards.measured import BATCHES, assert_measured, by_hand

LOADER = [text_batch([7, 7, 7, 7, 7, 7], 7), text_batch([7, 7, 7, 7, 7], 7)]


def normalised() -> nn.Sequential:
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)]
    model = nn.Sequential(*layers).train()
    model(torch.randn(50, 4))  # so that its statistics are not those of a batch
    return model


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


def test_dropout_is_off_and_norms_use_and_keep_their_statistics():
    model = normalised()
    expected = by_hand(model, BATCHES, ["1", "2", "3"])
    before = copy.deepcopy(model.state_dict())
    assert_measured(model, expected)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Merging(nn.Linear):
    """Adds a low-rank update to its weight in eval mode, and takes it away to be trained."""

    def __init__(self):
        super().__init__(4, 4)
        self.update, self.merged = nn.Parameter(torch.ones(4, 4)), False

    def train(self, mode=True):
        if self.merged is mode:
            self.weight.data += -self.update if mode else self.update
            self.merged = not mode
        return super().train(mode)


@pytest.mark.parametrize("around", [[], [nn.BatchNorm1d(4).eval()]])
def test_layers_that_merge_in_eval_mode_are_unmerged(around):
    model = nn.Sequential(Merging(), nn.ReLU(), *around)
    assert model.training
    weight, before = model[0].weight.clone(), modes(model)
    hooksim.record(model, BATCHES, ["0"], progress=False)
    assert not model[0].merged
    torch.testing.assert_close(model[0].weight, weight)
    assert modes(model) == before


@pytest.mark.parametrize("act", ["compare", "record"])
def test_each_module_gets_its_own_mode_back(act):
    model = normalised()
    model[1].eval()  # a frozen norm inside a model that is trained
    before = modes(model)
    if act == "compare":
        hooksim.compare(model, model, BATCHES, progress=False)
    else:
        hooksim.record(model, BATCHES, progress=False)
    assert modes(model) == before
    assert not before["1"] and before["2"]


def test_gradients_are_neither_made_nor_lost():
    model = Stack()
    model.blocks[0].requires_grad_(False)
    model(BATCHES[0]).sum().backward()
    flags = [parameter.requires_grad for parameter in model.parameters()]
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    result = hooksim.compare(model, model, BATCHES, progress=False)
    recording = hooksim.record(model, BATCHES, progress=False)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    for parameter, before in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (before is None)
        assert before is None or torch.equal(parameter.grad, before)
    assert not result["cka"].values.requires_grad
    assert not recording["blocks.1"].requires_grad


def test_a_model_that_turns_gradients_on_gives_detached_rows():
    class Learns(Stack):
        def forward(self, x):
            with torch.enable_grad():
                return super().forward(x)

    model = Learns()
    assert_measured(model, by_hand(model, BATCHES, ["blocks.0", "blocks.2"]))
    with hooksim.capture_activations(model) as found:
        model(BATCHES[0]).sum().backward()
    assert not any(value.requires_grad for value in found.values())


@pytest.mark.parametrize("where", ["inside", "around"])
def test_inference_tensors(where):
    class Infers(Stack):
        def forward(self, x):
            with torch.inference_mode():
                return super().forward(x)

    model = Infers() if where == "inside" else Stack()
    expected = by_hand(model, BATCHES, ["blocks.0", "blocks.2"])
    with torch.inference_mode(where == "around"):
        assert_measured(model, expected)


def test_inference_tensors_that_are_overwritten():
    """They count no versions, so that nothing may be taken for the same tensor."""
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 2))
    expected = by_hand(model, BATCHES, ["0", "1", "2"])
    with torch.inference_mode():
        assert_measured(model, expected)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_changes_nothing(reentrant):
    plain, model = tiny("Bert"), copy.deepcopy(tiny("Bert"))
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.train()
    layers = ["encoder.layer.0", "encoder.layer.2"]
    expected = {name: rows.mean(dim=1) for name, rows in by_hand(plain, LOADER, layers).items()}
    recording = hooksim.record(model, LOADER, layers, progress=False)
    for name in layers:
        torch.testing.assert_close(recording[name], expected[name])
    result = hooksim.compare(plain, model, LOADER, measures="cka", progress=False)
    itself = hooksim.compare(plain, plain, LOADER, measures="cka", progress=False)
    torch.testing.assert_close(result["cka"].values, itself["cka"].values)
    assert model.training


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
def test_the_second_forward_of_a_checkpoint_is_no_second_firing():
    """Backward runs the blocks again: names and values stay those of the forward."""
    model = copy.deepcopy(tiny("Bert"))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    before = hook_count(model)
    with hooksim.capture_activations(model) as found:
        output = model(**LOADER[0])
        forward = {name: value.clone() for name, value in found.items()}
        output.last_hidden_state.sum().backward()
    assert list(found) == ["encoder.layer.0", "encoder.layer.1", "encoder.layer.2"]
    assert all(torch.equal(found[name], forward[name]) for name in found)
    assert hook_count(model) == before
