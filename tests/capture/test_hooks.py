import pytest
import torch
from torch import nn

from hooksim.capture.hooks import capture_activations, forward_hooks, input_hooks
from hooksim.errors import ConfigError, LayerNotFoundError, ShapeError
from tests.capture.reading import Calls
from tests.capture.tiny_models import Block, Stack, compiled, hook_count, text_batch, tiny


@pytest.mark.parametrize("context", [forward_hooks, input_hooks])
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_hooks_are_removed_whatever_happens(context, error):
    model = Stack(2)
    try:
        with context([(model, lambda *seen: None), (model.blocks[0], lambda *seen: None)]):
            assert hook_count(model) == 2
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    assert hook_count(model) == 0


def test_hooks_are_removed_where_one_cannot_be_set():
    model = Stack(2)
    with pytest.raises(AttributeError), forward_hooks([(model, print), (None, print)]):
        pass
    assert hook_count(model) == 0


def test_capture_keeps_what_an_in_place_layer_overwrites():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True))
    x = torch.randn(5, 3)
    with capture_activations(model, "*") as activations:
        model(x)
    torch.testing.assert_close(activations["0"], model[0](x).detach())
    assert (activations["0"] < 0).any()
    assert not activations["0"].requires_grad


def test_capture_leaves_mode_and_gradients_alone():
    model = Stack(2).train()
    with capture_activations(model):
        output = model(torch.ones(3, 4))
    assert model.training
    assert output.requires_grad


def test_a_later_forward_overwrites():
    model = Stack(2)
    with capture_activations(model) as activations:
        for value in (1.0, 2.0):
            model(torch.full((3, 4), value))
            assert list(activations) == ["blocks.0", "blocks.1"]
        expected = model.blocks[0](torch.full((3, 4), 2.0))
    torch.testing.assert_close(activations["blocks.0"], expected.detach())
    assert hook_count(model) == 0


def test_several_firings_are_numbered():
    block = Block()
    model = nn.Sequential(block, block, block)
    with capture_activations(model) as activations:
        model(torch.ones(3, 4))
        assert list(activations) == ["0#0", "0#1", "0#2"]
    with capture_activations(model, "0#1") as activations:
        model(torch.ones(3, 4))
        assert list(activations) == ["0#1"]


def test_a_submodule_called_alone_overwrites():
    model = Stack(2)
    with capture_activations(model) as activations:
        for _ in range(2):
            model.blocks[0](torch.ones(3, 4))
        assert list(activations) == ["blocks.0"]


@pytest.mark.parametrize("positional", [True, False])
def test_capture_of_rows_leaves_padding_out(positional):
    batch = text_batch([3, 5])
    inputs = (batch["input_ids"], batch["attention_mask"])
    with torch.no_grad(), capture_activations(tiny("Bert"), None, "mean") as activations:
        tiny("Bert")(*inputs) if positional else tiny("Bert")(**batch)
    with torch.no_grad(), capture_activations(tiny("Bert")) as whole:
        tiny("Bert")(**batch)
    expected = whole["encoder.layer.2"][0, :3].mean(dim=0)
    torch.testing.assert_close(activations["encoder.layer.2"][0], expected)


def test_capture_of_two_towers():
    batch = {**text_batch([3, 5]), "pixel_values": torch.randn(2, 3, 8, 8)}
    with torch.no_grad(), capture_activations(tiny("CLIP"), None, "mean") as activations:
        tiny("CLIP")(**batch)
    assert {tuple(value.shape) for value in activations.values()} == {(2, 16)}


def test_capture_through_compile():
    model = compiled(Stack(2))
    model(torch.ones(3, 4))
    with capture_activations(model) as activations:
        model(torch.ones(3, 4))
    assert list(activations) == ["blocks.0", "blocks.1"]


def test_capture_names_the_layer_in_errors():
    model = nn.Sequential(nn.Linear(3, 4))
    with (
        capture_activations(model, "0", "token"),
        pytest.raises(LayerNotFoundError, match="layer '0': policy 'token' takes no rows"),
    ):
        model(torch.ones(2, 3))
    with (
        capture_activations(model, "*", "token"),
        pytest.raises(LayerNotFoundError, match=r"no layer of model \(Sequential\) gives rows\."),
    ):
        model(torch.ones(2, 3))
    assert hook_count(model) == 0
    batch = text_batch([3, 5])
    with (
        capture_activations(tiny("Bert"), "encoder.layer.0", "flatten"),
        pytest.raises(ShapeError, match=r"layer 'encoder.layer.0': policy 'flatten' needs"),
    ):
        tiny("Bert")(**batch)


def test_wrong_layer_leaves_no_hook():
    model = Stack(2)
    with pytest.raises(LayerNotFoundError), capture_activations(model, ["blocks.0", "no"]):
        pass
    assert hook_count(model) == 0


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("blocks.1", "layer 'blocks.1': it is not called in the forward pass. Select another"),
        ("blocks.0#2", "layer 'blocks.0#2': it is called 2 times in the forward pass, so #0 to #1"),
    ],
)
def test_a_named_layer_that_is_not_called_is_an_error_at_the_end_of_the_forward(layer, message):
    model = Calls([2, 0])
    with capture_activations(model, layer), pytest.raises(LayerNotFoundError, match=message):
        model(torch.ones(3, 4))
    with capture_activations(model, "blocks.*") as activations:
        model(torch.ones(3, 4))
    assert list(activations) == ["blocks.0#0", "blocks.0#1"]


def test_nothing_is_asked_of_a_submodule_called_alone():
    model = Stack(2)
    with capture_activations(model, ["blocks.0", "blocks.1"]) as activations:
        model.blocks[1](torch.ones(3, 4))
    assert list(activations) == ["blocks.1"]


def test_capture_of_what_is_no_module():
    message = "model: expected a torch.nn.Module, got int."
    with pytest.raises(ConfigError, match=message), capture_activations(3):
        pass
