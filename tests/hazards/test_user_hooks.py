"""Models that somebody else has hooked: what their hooks return is seen, and they still run.

A hook that is there beforehand counts as part of the layer: hooksim sees what the next layer sees.
One that is set later, inside `capture_activations`, comes after ours and is not seen.
"""

import pytest
import torch
from torch import nn

import hooksim
from tests.capture.tiny_models import Stack, hook_count
from tests.hazards.measured import BATCHES, assert_measured, by_hand

LAYERS = ["blocks.0", "blocks.1"]


def test_a_hook_that_changes_the_output_is_part_of_the_layer():
    model = Stack()
    plain = by_hand(model, BATCHES, ["blocks.0"])["blocks.0"]
    model.blocks[0].register_forward_hook(lambda module, given, output: 2 * output + 1)
    expected = by_hand(model, BATCHES, LAYERS)
    torch.testing.assert_close(expected["blocks.0"], 2 * plain + 1)
    assert_measured(model, expected)


def test_a_hook_that_changes_the_input_is_part_of_the_layer():
    model = Stack()
    model.blocks[1].register_forward_pre_hook(lambda module, given: (given[0].relu(),))
    model.blocks[1].inner.register_forward_pre_hook(
        lambda module, args, kwargs: ((2 * args[0],), kwargs), with_kwargs=True
    )
    assert_measured(model, by_hand(model, BATCHES, LAYERS))


def test_a_hook_that_takes_keywords_is_part_of_the_layer():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x, *, scale):
            return scale * self.inner(x)

    class Calls(nn.Module):
        def __init__(self):
            super().__init__()
            self.scaled = Scaled()

        def forward(self, x):
            return self.scaled(x, scale=3)

    model = Calls()
    model.scaled.register_forward_hook(
        lambda module, args, kwargs, output: output / kwargs["scale"], with_kwargs=True
    )
    with torch.no_grad():
        expected = model.scaled.inner(torch.cat(BATCHES))
    assert_measured(model, {"scaled": expected})


def test_hooks_of_every_module_are_seen():
    model = Stack()
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, given, output: 1.5 * output
    )
    try:
        assert_measured(model, by_hand(model, BATCHES, LAYERS))
    finally:
        handle.remove()


def test_a_hook_set_inside_the_context_comes_later():
    model = Stack()
    expected = by_hand(model, BATCHES[:1], LAYERS)["blocks.0"]
    with hooksim.capture_activations(model, "blocks.0") as found:
        handle = model.blocks[0].register_forward_hook(lambda module, given, output: output + 5)
        model(BATCHES[0])
        handle.remove()
    torch.testing.assert_close(found["blocks.0"], expected)


@pytest.mark.parametrize("always", [False, True])
def test_user_hooks_run_in_every_forward_and_stay(always):
    model, seen = Stack(), []
    model.blocks[0].register_forward_hook(lambda *call: seen.append("hook"), always_call=always)
    model.blocks[1].register_forward_pre_hook(lambda *call: seen.append("before"))
    before = hook_count(model)
    hooksim.compare(model, model, BATCHES, layers_a="blocks.1", progress=False)
    assert seen == ["hook", "before"] * len(BATCHES)
    assert hook_count(model) == before


def test_a_user_hook_that_raises_is_not_taken_for_ours():
    def fails(*call):
        raise ZeroDivisionError("of the user")

    model = Stack()
    model.blocks[1].register_forward_hook(fails)
    with pytest.raises(ZeroDivisionError, match="of the user") as error:
        hooksim.compare(model, model, BATCHES, progress=False)
    [note] = error.value.__notes__
    assert note == (
        "in the forward pass of model A (Stack), batch 0 (first sample 0), given (20, 4) float32"
    )
    assert hook_count(model) == 1
