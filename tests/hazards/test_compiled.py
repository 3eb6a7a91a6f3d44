"""`torch.compile`, in all the ways to apply it; and what `torch.jit` and `torch.export` made."""

import pytest
import torch
from torch import nn

import hooksim
from hooksim.errors import ConfigError, HooksimError
from tests.capture.tiny_models import Stack, compiled
from tests.hazards.measured import BATCHES, assert_measured, by_hand


class Delegates(Stack):
    """Its forward is a method that was compiled when the model was made."""

    def __init__(self) -> None:
        super().__init__()
        self.run = torch.compile(super().forward, backend="eager")

    def forward(self, x):
        return self.run(x)


def in_place(model):
    model.compile(backend="eager")
    return model


def block_in_place(model):
    model.blocks[1].compile(backend="eager")
    return model


def block(model):
    model.blocks[1] = compiled(model.blocks[1])
    return model


def forward(model):
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def method(model):
    made = Delegates()
    made.load_state_dict(model.state_dict())
    return made


WAYS = {
    "module": compiled,
    "module in place": in_place,
    "block": block,
    "block in place": block_in_place,
    "forward": forward,
    "method": method,
}


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_compiled_models_are_read_as_they_are_written(way, called):
    model = Stack()
    expected = by_hand(model, BATCHES, ["blocks.0", "blocks.1", "blocks.1.outer", "blocks.2"])
    model = WAYS[way](model.eval())
    if called:  # from then on hooks would be ignored
        with torch.no_grad():
            model(BATCHES[0])
    assert_measured(model, expected)
    torch._dynamo.reset()


def test_a_plain_hook_on_a_compiled_model_never_fires():
    model, fired = Delegates().eval(), []
    with torch.no_grad():
        model(BATCHES[0])
        model.blocks[1].outer.register_forward_hook(lambda *call: fired.append(1))
        model(BATCHES[0])
    assert not fired
    torch._dynamo.reset()


def made_by_jit(how):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)).eval()
    return torch.jit.script(model) if how == "script" else torch.jit.trace(model, BATCHES[0])


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_what_jit_made_is_refused(how):
    model = made_by_jit(how)
    kind, rest = type(model).__name__, "torch.jit made it, and calls no hooks inside. Give the "
    rest += "module that it was made from."
    with pytest.raises(ConfigError) as error:
        hooksim.compare(model, model, BATCHES, progress=False)
    assert str(error.value) == f"model A ({kind}): {rest}"
    with pytest.raises(ConfigError) as error:
        hooksim.record(model, BATCHES, progress=False)
    assert str(error.value) == f"model ({kind}): {rest}"
    with pytest.raises(ConfigError) as error, hooksim.capture_activations(model):
        pass
    assert str(error.value) == f"model ({kind}): {rest}"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_a_layer_that_jit_made_is_refused():
    model = nn.Sequential(nn.Linear(4, 4), made_by_jit("trace"))
    with pytest.raises(ConfigError, match=r"layer '1.0' of model A \(Sequential\): torch.jit made"):
        hooksim.compare(model, model, BATCHES, progress=False)
    with (
        pytest.raises(ConfigError, match=r"layer '1.0': torch.jit made"),
        hooksim.capture_activations(model),
    ):
        pass
    assert_measured(model, by_hand(model, BATCHES, ["0"]))


def test_an_exported_program_is_refused():
    model = torch.export.export(Stack().eval(), (BATCHES[0],)).module()
    with pytest.raises(HooksimError) as error:
        hooksim.compare(model, model, BATCHES, progress=False)
    assert str(error.value) == (
        "GraphModule has no eval mode, and its layers are not called one by one: torch.export made "
        "it. Give the module that it was made from."
    )
    with (
        hooksim.capture_activations(model) as found,
        pytest.raises(HooksimError, match=r"no layer of model \(GraphModule\) gives rows"),
    ):
        model(BATCHES[0])
    assert found == {}


def test_a_traced_graph_of_modules_is_a_model():
    model = Stack()
    expected = by_hand(model, BATCHES, ["blocks.0.inner", "blocks.2.outer"])
    assert_measured(torch.fx.symbolic_trace(model), expected)
