"""Layers that overwrite what the layer before them returned."""

import torch
from torch import nn

import hooksim
from tests import reference
from tests.hazards.measured import BATCHES, assert_measured, by_hand

LAYERS = ["0", "1", "2"]


def overwriting() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 2))


def stored_by_a_plain_hook(model: nn.Module, layer: str) -> torch.Tensor:
    """What a hook that only keeps the tensor holds after the forwards."""
    held = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *seen: held.append(seen[2]))
    with torch.no_grad():
        for batch in BATCHES:
            model(batch)
    handle.remove()
    return torch.cat(held)


def test_rows_are_those_before_the_overwriting():
    model = overwriting()
    assert_measured(model, by_hand(model, BATCHES, LAYERS))


def test_a_plain_hook_gets_it_wrong():
    model = overwriting()
    right = by_hand(model, BATCHES, LAYERS)
    naive = stored_by_a_plain_hook(model, "0")
    assert torch.equal(naive, right["1"])  # it has become what the next layer returned
    result = hooksim.compare(model, model, BATCHES, layers_a=LAYERS, progress=False)
    found = result["cka"].values[0, 1].item()
    assert abs(found - reference.cka(right["0"], right["1"])) < 1e-4
    assert abs(found - reference.cka(naive, right["1"])) > 0.01


def test_a_later_layer_may_overwrite_an_earlier_one():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 6)
            self.middle = nn.Linear(6, 6)
            self.last = nn.Linear(6, 2)

        def forward(self, x):
            hidden = self.first(x)
            hidden += self.middle(hidden)
            return self.last(hidden)

    model = Late()
    assert_measured(model, by_hand(model, BATCHES, ["first", "middle", "last"]))
