"""Models of other types than float32, beside one of float32; autocast; quantized models."""

import copy
import warnings

import pytest
import torch
from torch import nn

import hooksim
from hooksim import PairedBatch
from tests import reference
from tests.capture.tiny_models import Stack, text_batch, tiny
from tests.hazards.measured import BATCHES, assert_measured, by_hand

DTYPES = [torch.bfloat16, torch.float16, torch.float64]
LOADER = [text_batch([7] * 6, 7), text_batch([7] * 5, 7)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_language_model_of_another_type_beside_one_of_float32(dtype):
    one, other = tiny("Bert"), copy.deepcopy(tiny("Bert")).to(dtype)
    names = ["encoder.layer.0", "encoder.layer.2"]
    rows = [
        {name: each.double().mean(dim=1) for name, each in by_hand(model, LOADER, names).items()}
        for model in (one, other)
    ]
    result = hooksim.compare(one, other, LOADER, layers_a=names, measures="cka", progress=False)
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            right = reference.cka(rows[0][first], rows[1][second])
            assert result["cka"].values[i, j].item() == pytest.approx(right, abs=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_half_precision_are_widened(dtype):
    model, loader = Stack().to(dtype), [batch.to(dtype) for batch in BATCHES]
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    expected = by_hand(model, loader, ["blocks.0", "blocks.2"])
    assert_measured(model, {name: rows.to(wide) for name, rows in expected.items()}, loader)
    recording = hooksim.record(model, loader, "blocks.0", progress=False)
    assert recording["blocks.0"].dtype == wide


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_are_not_cast_and_the_message_says_what_to_do(dtype):
    one, other = Stack(), Stack().to(dtype)
    with pytest.raises(RuntimeError, match="must have the same dtype") as error:
        hooksim.compare(one, other, BATCHES, progress=False)
    [note] = error.value.__notes__
    assert note == (
        "in the forward pass of model B (Stack), batch 0 (first sample 0), given (20, 4) float32; "
        f"its parameters are {str(dtype).removeprefix('torch.')}: give it batches of that type, in "
        "a PairedBatch where the other model takes another"
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_model_takes_inputs_of_its_own_type(dtype):
    one, other = Stack(), Stack().to(dtype)
    pairs = [PairedBatch(batch, batch.to(dtype)) for batch in BATCHES]
    result = hooksim.compare(one, other, pairs, measures="cka", progress=False)
    rows = by_hand(one, BATCHES, ["blocks.1"])["blocks.1"]
    theirs = by_hand(other, [pair.b for pair in pairs], ["blocks.1"])["blocks.1"]
    right = reference.cka(rows, theirs.double())
    assert result["cka"].values[1, 1].item() == pytest.approx(right, abs=1e-4)


def test_autocast_makes_the_activations_and_not_the_gram_matrices():
    model = Stack()
    with torch.autocast("cpu", torch.bfloat16):
        expected = by_hand(model, BATCHES, ["blocks.0.inner", "blocks.2.outer"])
        assert {rows.dtype for rows in expected.values()} == {torch.bfloat16}
        expected = {name: rows.float() for name, rows in expected.items()}
        assert_measured(model, expected)


@pytest.fixture
def quantization():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao.quantization gives way to torchao
        yield torch.ao.quantization


def test_layers_of_quantized_weights_give_floats(quantization):
    model = quantization.quantize_dynamic(Stack().eval(), {nn.Linear}, dtype=torch.qint8)
    layers = ["blocks.0.inner", "blocks.1", "blocks.2"]
    assert_measured(model, by_hand(model, BATCHES, layers))


def test_quantized_activations_are_taken_as_the_numbers_that_they_stand_for(quantization):
    stubs = quantization.QuantStub(), quantization.DeQuantStub()
    model = nn.Sequential(stubs[0], nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), stubs[1]).eval()
    model.qconfig = quantization.get_default_qconfig(torch.backends.quantized.engine)
    quantization.prepare(model, inplace=True)
    model(BATCHES[0])
    quantization.convert(model, inplace=True)
    outputs = by_hand(model, BATCHES, ["4"])
    with torch.no_grad():
        expected = {
            name: torch.cat([model[: int(name) + 1](batch).dequantize() for batch in BATCHES])
            for name in ("0", "1", "2")
        }
    assert_measured(model, {**expected, **outputs})
    with hooksim.capture_activations(model, "1") as found:
        model(BATCHES[0])
    assert found["1"].is_quantized  # as it is, where no rows are asked for
