"""Experts that happen to be given as many tokens as the batch has samples."""

import pytest
import torch
from torch import Tensor, nn

import hooksim
from hooksim.capture.routed import Routed
from hooksim.errors import LayerNotFoundError

SAMPLES, TOKENS, WIDTH = 4, 3, 5


class Expert(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(WIDTH, 6)
        self.down = nn.Linear(6, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(x).relu())


class Mixture(nn.Module):
    """Hands token `i` of the batch, counted through, to the expert `hands[i]`."""

    def __init__(self, hands, gate=True, box=nn.ModuleList):
        super().__init__()
        experts = [Expert() for _ in range(max(hands) + 1)]
        named = {f"expert_{place}": each for place, each in enumerate(experts)}
        self.experts = box(named if box is nn.ModuleDict else experts)
        self.gate = nn.Linear(WIDTH, len(experts)) if gate else None
        self.hands = torch.tensor(hands)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, WIDTH)
        mixed = torch.zeros_like(flat)
        if self.gate is not None:
            mixed = mixed + self.gate(flat).sum(dim=1, keepdim=True)
        values = getattr(self.experts, "values", self.experts.__iter__)()
        for place, expert in enumerate(values):
            chosen = self.hands == place
            if chosen.any():
                mixed[chosen] += expert(flat[chosen])
        return mixed.reshape(x.shape)


class Net(nn.Module):
    def __init__(self, *arguments, **options):
        super().__init__()
        self.embed = nn.Linear(2, WIDTH)
        self.mlp = Mixture(*arguments, **options)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mlp(self.embed(x))[:, 0])


UNEVEN = [0, 1, 1, 1, 0, 1, 1, 0, 1, 2, 0, 2]  # 4, 6 and 2 tokens
EVEN = [0, 1, 2, 2, 1, 0, 0, 1, 2, 0, 2, 1]  # 4 each
BATCH = torch.randn(SAMPLES, TOKENS, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", ["mlp.experts.0", "mlp.experts.0.up"])
def test_a_named_expert_is_refused_at_every_door(layer):
    model = Net(UNEVEN, gate=False)
    reason = (
        "its rows are tokens that the model chose for it: 'mlp.experts.1' beside it was given 6, "
        "for 4 samples. Select 'mlp' around it."
    )
    with pytest.raises(LayerNotFoundError) as error:
        hooksim.compare(model, model, [BATCH], layers_a=layer, progress=False)
    assert str(error.value) == f"layer {layer!r} of model A (Net): {reason}"
    with pytest.raises(LayerNotFoundError) as error:
        hooksim.record(model, [BATCH], layer, progress=False)
    assert str(error.value) == f"layer {layer!r} of model (Net): {reason}"
    with (
        pytest.raises(LayerNotFoundError) as error,
        hooksim.capture_activations(model, layer, rows="auto"),
        torch.no_grad(),
    ):
        model(BATCH)
    assert str(error.value) == f"layer {layer!r}: {reason}"


def test_without_the_watch_the_rows_would_have_been_taken():
    model = Net(UNEVEN, gate=False)
    with hooksim.capture_activations(model, "mlp.experts.*") as found, torch.no_grad():
        model(BATCH)
    assert [len(each) for each in found.values()] == [4, 6, 2]


@pytest.mark.parametrize("box", [nn.ModuleList, nn.ModuleDict])
def test_experts_that_all_get_as_many_are_known_by_what_stands_beside_them(box):
    model = Net(EVEN, box=box)
    name = "mlp.experts.expert_1" if box is nn.ModuleDict else "mlp.experts.1"
    with pytest.raises(LayerNotFoundError, match=r"'mlp\.gate' was given 12 rows, for 4 samples\."):
        hooksim.record(model, [BATCH], name, progress=False)


def test_experts_found_by_a_pattern_are_left_out_and_noted():
    model = Net(EVEN)
    recording = hooksim.record(model, [BATCH], "**", progress=False)
    assert list(recording) == ["embed", "mlp", "head"]
    with hooksim.capture_activations(model, "**", rows="auto") as found, torch.no_grad():
        model(BATCH)
    assert list(found) == ["embed", "mlp", "head"]
    with hooksim.capture_activations(model, "**") as found, torch.no_grad():  # as they are
        model(BATCH)
    assert found["mlp.experts.0"].shape == (4, WIDTH)


class Heads(nn.Module):
    """Heads on one token, beside a table of positions and prototypes: samples all of them."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Embedding(TOKENS, 2)
        self.prototypes = nn.Parameter(torch.randn(8, 2))
        self.project = nn.Linear(2, WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        near = self.project(self.prototypes)
        hidden = self.project(x + self.positions(torch.arange(TOKENS)))[:, 0]
        return torch.stack([head(hidden) for head in self.heads[:2]]) @ near[:, :3].T


def test_heads_are_no_experts():
    recording = hooksim.record(Heads(), [BATCH], "heads.*", progress=False)
    assert list(recording) == ["heads.0", "heads.1"]


def test_blocks_on_features_are_no_experts():
    model = nn.Sequential(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]), nn.Linear(2, 2))
    watch = Routed(model)
    watch.begin(4)
    for module, hook in watch.hooks():
        hook(module, (torch.zeros(4, 2),), {})
    assert watch.reasons() == {}


def test_layers_that_read_prototypes_too_are_no_experts():
    class Prototypes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
            self.prototypes = nn.Parameter(torch.randn(7, 2))

        def forward(self, x: Tensor) -> Tensor:
            near = self.prototypes
            for layer in self.layers:
                x, near = layer(x), layer(near)
            return x @ near.T

    recording = hooksim.record(Prototypes(), [BATCH[:, 0]], "layers.*#0", progress=False)
    assert list(recording) == ["layers.0#0", "layers.1#0"]
