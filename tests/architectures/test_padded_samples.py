"""Padded samples beside the same ones alone: every module of a model, in float64 by hand.

Models are called with each sample alone, without padding and without a mask, and their outputs
averaged over all tokens: no rule of masks takes part in that.
"""

import warnings

import pytest
import torch
from torch import Tensor, nn

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import as_rows
from hooksim.capture.slices import BatchPosition
from tests.architectures.architecture import SIZE, Architecture, ids
from tests.architectures.text_models import TEXT_MODELS

NAMES = """BERT, RoBERTa, ALBERT, DeBERTa-v2, ModernBERT, Longformer, GPT-2, GPT-NeoX, Llama,
    Mistral, Qwen3, Gemma, Phi, OPT, Mamba, T5, Switch Transformers, BART, Marian, M2M-100, LED"""

FROM_THE_LEFT = "BERT, ALBERT, GPT-2, BART, Marian, LED"
"""Count positions from the left of the batch: padding there changes what they compute."""

FIRST_TOKEN = ("pooler", "pooler.dense", "pooler.activation")
"""Reads the first token of the batch, which is padding where it stands on the left."""

WINDOWED = ("Longformer", "LED")
"""Pad a single sample too, on the right."""


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


CASES = [(name, "right") for name in names(NAMES)]
CASES += [(name, "left") for name in names(NAMES) if name not in names(FROM_THE_LEFT)]


def padded(architecture: Architecture, side: str) -> dict[str, Tensor]:
    batch = architecture.batch(0)
    if side == "right":
        return batch
    turned = dict(batch)
    for key in [key for key in batch if key.endswith("attention_mask")]:
        tokens = key.replace("attention_mask", "input_ids")
        missing = (batch[key] == 0).sum(dim=1).tolist()
        turned[key] = batch[key].flip(1)
        rolled = [row.roll(count) for row, count in zip(batch[tokens], missing, strict=True)]
        turned[tokens] = torch.stack(rolled)
    return turned


def alone(batch: dict[str, Tensor], sample: int) -> dict[str, Tensor]:
    """One sample without its padding, as many times as there are samples."""
    found = {}
    for key in [key for key in batch if key.endswith("input_ids")]:
        keep = batch[key.replace("input_ids", "attention_mask")][sample] != 0
        found[key] = batch[key][sample, keep].repeat(SIZE, 1)
    return found


def outputs(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, list[Tensor]]:
    """The first tensor that each call of each module returns."""
    found: dict[str, list[Tensor]] = {}

    def keep(name: str):
        def hook(module, given, output):
            values = output.values() if isinstance(output, dict) else output
            first = values if isinstance(values, Tensor) else next(iter(values))
            found.setdefault(name, []).append(first)

        return hook

    handles = [each.register_forward_hook(keep(name)) for name, each in model.named_modules()]
    with torch.no_grad():
        model(**batch)
    for handle in handles:
        handle.remove()
    return found


def mean_of(output: Tensor, name: str, module: str, batch: dict[str, Tensor]) -> Tensor:
    if output.ndim != 3:
        return output[0]
    if name in WINDOWED and not module.startswith("decoder"):
        output = output[:, : batch["input_ids"].shape[1]]
    return output[0].mean(dim=0)


@pytest.mark.parametrize(("name", "side"), CASES)
def test_every_module_gives_the_rows_of_the_samples_alone(name, side):
    architecture = TEXT_MODELS[name]
    model = architecture.build(0).eval().double()
    batch = padded(architecture, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        view = View("A", "**", as_rows(architecture.rows))
        with ModelReader(model, [view]) as reader, torch.no_grad():
            [part] = reader.read(batch, None, BatchPosition(0, 0))
        layers = reader.names(0)
        assert len(layers) >= 14
        assert set(architecture.layers) <= {layer.partition("#")[0] for layer in layers}
        for sample in (0, 1, SIZE - 1):
            single = alone(batch, sample)
            known = outputs(model, single)
            for layer, rows in zip(layers, part.values, strict=True):
                if side == "left" and layer in FIRST_TOKEN:
                    continue
                module, _, firing = layer.partition("#")
                expected = mean_of(known[module][int(firing or 0)], name, module, single)
                near = {"atol": 1e-5 * max(1.0, float(expected.abs().max())), "rtol": 0}
                torch.testing.assert_close(rows[sample], expected, **near, msg=layer)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_no_mask_is_the_same_as_a_mask_of_ones(name):
    architecture = TEXT_MODELS[name]
    model = architecture.build(0).eval()
    bare = {key: ids(3, 7) for key in architecture.batch(0) if key.endswith("input_ids")}
    ones = {key.replace("input_ids", "attention_mask"): torch.ones_like(bare[key]) for key in bare}
    found = []
    with ModelReader(model, [View("A", None, as_rows(architecture.rows))]) as reader:
        for number, batch in enumerate((bare, {**bare, **ones}, bare)):
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(reader.read(batch, None, BatchPosition(number, 0))[0].values)
    for rows in found[1:]:
        for one, other in zip(found[0], rows, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
