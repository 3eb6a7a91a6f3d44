"""Batches of any length, empty ones among them, from anything that can be iterated."""

import pytest
import torch

import hooksim
from hooksim.errors import NotEnoughSamplesError
from tests import reference
from tests.capture.tiny_models import Stack
from tests.hazards.measured import BATCHES, by_hand

DATA = torch.cat(BATCHES)
CUTS = {
    "unequal": [7, 1, 12, 3, 37],
    "with empty ones": [0, 20, 0, 0, 40, 0],
    "one by one": [1] * 60,
    "the last is small": [29, 30, 1],
}


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("block_size", ["auto", 60, "all"])
def test_values_do_not_depend_on_how_the_data_are_cut(kind, block_size):
    model, layers = Stack(), ["blocks.0", "blocks.2"]
    rows = by_hand(model, [DATA], layers)
    right = reference.cka(*rows.values())
    batches = (batch for batch in DATA.split(CUTS[kind]))
    options = {"measures": "cka", "progress": False, "block_size": block_size}
    result = hooksim.compare(model, model, batches, layers_a=layers, **options)
    assert result.n_samples == 60
    assert result["cka"].values[0, 1].item() == pytest.approx(right, abs=1e-4)


@pytest.mark.parametrize("kind", CUTS)
def test_recordings_do_not_depend_on_how_the_data_are_cut(kind):
    model = Stack()
    recording = hooksim.record(model, DATA.split(CUTS[kind]), "blocks.1", progress=False)
    torch.testing.assert_close(
        recording["blocks.1"], by_hand(model, [DATA], ["blocks.1"])["blocks.1"]
    )


@pytest.mark.parametrize("batches", [[], [DATA[:0], DATA[:0]]])
def test_data_without_samples_are_refused(batches):
    model = Stack()
    with pytest.raises(NotEnoughSamplesError, match="The loader gave no batches; a generator"):
        hooksim.compare(model, model, batches, progress=False)
    with pytest.raises(NotEnoughSamplesError, match="The loader gave no batches; a generator"):
        hooksim.record(model, batches, progress=False)
