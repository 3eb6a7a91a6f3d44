"""Where the channels of 3-D activations are: convolutions over time, and what stands round them."""

import pytest
import torch
from torch import Tensor, nn

import hooksim
from hooksim.capture.rows import Rows
from tests.capture.tiny_models import tiny
from tests.hazards.measured import assert_measured, by_hand

GENERATOR = torch.Generator().manual_seed(0)
WAVES = list(torch.randn(2, 6, 1, 20, generator=GENERATOR))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv(x)).relu()


class Turned(nn.Module):
    """Convolves over time what has its tokens in front, and turns it back."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x.transpose(1, 2)).transpose(1, 2))


class LayerNormed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2)


class Back(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(1, 5, 3),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.MaxPool1d(2),
        Residual(5),
        LayerNormed(5),
        nn.GELU(),
        Back(),
        nn.Linear(5, 7),
        Turned(7),
    ).eval()


IN_FRONT = ["0", "1", "2", "3", "4", "4.conv", "5", "5.conv", "6"]
BEHIND = ["8", "9"]


def expected(model, rows):
    found = by_hand(model, WAVES, [*IN_FRONT, *BEHIND])
    pool = {"auto": lambda x: x.mean(dim=1), "last": lambda x: x[:, -1], "cls": lambda x: x[:, 0]}
    turned = {name: found[name].transpose(1, 2) for name in IN_FRONT}
    return {name: pool[rows](value) for name, value in {**found, **turned}.items()}


@pytest.mark.parametrize("rows", ["auto", "last", "cls"])
def test_steps_of_convolutions_are_pooled_and_not_their_channels(rows):
    model = convolutions()
    assert_measured(model, expected(model, rows), WAVES, rows=rows)


def test_it_is_noted_and_another_reading_can_be_asked_for():
    model = convolutions()
    result = hooksim.compare(model, model, WAVES, layers_a=["2", "8"], progress=False)
    [text] = [note["text"] for note in result.metadata["notes"] if "channels" in note["code"]][:1]
    assert text == (
        "model A (Sequential): read '2' as (samples, channels, time), each step as a token. "
        "Rows(channel_dim=2) reads (samples, tokens, channels)."
    )
    raw = by_hand(model, WAVES, ["2", "8"])
    behind = hooksim.record(model, WAVES, ["2", "8"], Rows(channel_dim=2), progress=False)
    front = hooksim.record(model, WAVES, ["2", "8"], Rows(channel_dim=1), progress=False)
    for name in ("2", "8"):
        torch.testing.assert_close(behind[name], raw[name].mean(dim=1))
        torch.testing.assert_close(front[name], raw[name].mean(dim=2))


def test_flattened_rows_are_the_same_numbers():
    model = convolutions()
    rows = hooksim.record(model, WAVES, "0", "flatten", progress=False)["0"]
    raw = by_hand(model, WAVES, ["0"])["0"]
    torch.testing.assert_close(rows.sort(dim=1).values, raw.flatten(1).sort(dim=1).values)


def test_the_convolutions_of_an_audio_model():
    model = tiny("Wav2Vec2")
    loader = [{"input_values": wave[:, 0].repeat(1, 6)} for wave in WAVES]
    front = ["feature_extractor.conv_layers.0", "feature_extractor.conv_layers.1.conv"]
    names = [*front, "encoder.pos_conv_embed", "encoder.layers.0"]
    raw = by_hand(model, loader, names)
    pooled = {name: raw[name].mean(dim=2 if name in front else 1) for name in names}
    assert_measured(model, pooled, loader, layers=names, tolerance=1e-5)


def test_square_activations_are_read_as_the_layer_says():
    """As many steps as channels: the shape says nothing."""
    model = nn.Sequential(nn.Conv1d(1, 6, 3, padding=1), nn.ReLU(), Back(), nn.Linear(6, 6))
    waves = [torch.randn(8, 1, 6, generator=GENERATOR)]
    raw = by_hand(model, waves, ["0", "1", "3"])
    rows = hooksim.record(model, waves, ["0", "1", "3"], progress=False)
    for name, dim in (("0", 2), ("1", 2), ("3", 1)):
        torch.testing.assert_close(rows[name], raw[name].mean(dim=dim))


def test_a_later_batch_is_read_like_the_first():
    """Of another length, which makes it as long as it is wide."""
    model = nn.Sequential(nn.Conv1d(1, 5, 3), nn.ReLU())
    waves = [torch.randn(8, 1, length, generator=GENERATOR) for length in (12, 7)]
    rows = hooksim.record(model, waves, "1", progress=False)["1"]
    raw = torch.cat([model(wave).mean(dim=2) for wave in waves])
    torch.testing.assert_close(rows, raw.detach())


class TurnedBack(nn.Module):
    """A block that ends by turning its convolution's steps to the front."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("length", [5, 6, 7])
def test_a_block_that_turns_its_convolution_back(length):
    """With 6 steps of 6 channels, too."""
    model = nn.Sequential(nn.Linear(6, 6), TurnedBack(6))
    batches = [torch.randn(8, length, 6, generator=GENERATOR)]
    rows = hooksim.record(model, batches, "1", progress=False)["1"]
    torch.testing.assert_close(rows, model(batches[0]).mean(dim=1).detach())
