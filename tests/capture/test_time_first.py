"""Modules that take time first are warned of where samples stand there, and only there."""

import pytest
import torch
from torch import nn

import hooksim


class Turned(nn.Module):
    """A model that turns its input round before a layer that takes time first, and back."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.rnn(x.transpose(0, 1))[0].transpose(0, 1))


def codes(make, batch=(8, 5, 8), **options):
    torch.manual_seed(0)
    batches = [torch.randn(batch) for _ in range(2)]
    result = hooksim.compare(make(), make(), batches, progress=False, **options)
    return [each["code"] for each in result.metadata["warnings"]]


def encoder(**options):
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, **options), 2)


@pytest.mark.parametrize("make", [lambda: nn.LSTM(8, 6), lambda: nn.GRU(8, 6), encoder])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_samples_where_time_should_be(make):
    assert "time_first" in codes(make)


def test_the_message():
    batches = [torch.randn(8, 5, 16)] * 2
    result = hooksim.compare(nn.LSTM(16, 6), nn.LSTM(16, 6), batches, progress=False)
    [text] = [e["text"] for e in result.metadata["warnings"] if e["code"] == "time_first"][:1]
    assert text == (
        "model A (LSTM): 'LSTM' (LSTM) has batch_first=False and reads dimension 0 of its input "
        "(8, 5, 16) as time, but there stand the samples of the loader. Build it with "
        "batch_first=True; or give batches (B, T, ...), forward=lambda model, batch: "
        "model(batch.transpose(0, 1)) and rows=hooksim.Rows(batch_dim=1)."
    )


@pytest.mark.parametrize(
    "make", [lambda: nn.LSTM(8, 6, batch_first=True), lambda: encoder(batch_first=True), Turned]
)
def test_right_uses(make):
    assert "time_first" not in codes(make, layers_a=["head"] if make is Turned else None)


def test_the_way_that_the_message_shows():
    options = {
        "forward": lambda model, batch: model(batch.transpose(0, 1)),
        "rows": hooksim.Rows(batch_dim=1),
    }
    assert "time_first" not in codes(lambda: nn.LSTM(8, 6), **options)
