"""Every architecture of the table: its blocks, its values, and that nothing of a run stays.

Models are tiny and random, so the values mean nothing; what is held is that they are finite, that
a model equals itself, and that neither an early end nor padding changes them.
"""

import warnings
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn.functional import pad

import hooksim
from hooksim.capture.layers import select_layers
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import as_rows
from hooksim.capture.slices import BatchPosition
from hooksim.errors import ShapeError
from tests.architectures.architecture import BATCHES, SIZE, Architecture, captions, ids, text, waves
from tests.architectures.plain_models import PLAIN_MODELS
from tests.architectures.text_models import TEXT_MODELS, WIDTHS
from tests.architectures.vision_models import VISION, VISION_MODELS, WAVES
from tests.architectures.vocabulary import specific_lines, vocabulary
from tests.capture.tiny_models import hook_count
from tests.test_architecture import PACKAGE

TABLE = {**TEXT_MODELS, **VISION_MODELS, **PLAIN_MODELS}
PLAIN = (bool, int, float, str, torch.dtype, torch.device)
PADDED = [(name, side) for name, each in TABLE.items() for side in each.padding]


@cache
def built(name: str, seed: int) -> nn.Module:
    """Build each model once; every test leaves it as it was, which is what is tested.

    It is called once: some install hooks of their own then, for good (the tower of LLaVA).
    """
    model = TABLE[name].build(seed).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, at its own fast path
        TABLE[name].call(model)
    model.train()
    next(model.children(), model).eval()
    return model


def attributes(module: nn.Module):
    """Every attribute by name, with its value or length where it has one that can be compared.

    A tensor or none is all one: RecurrentGemma keeps that of its last forward, whoever called it.
    """
    found = {}
    for name, value in vars(module).items():
        sized = hasattr(value, "__len__") and not isinstance(value, torch.Tensor)
        found[name] = value if isinstance(value, PLAIN) else len(value) if sized else None
    return found


def state(model: nn.Module):
    """What a run must leave alone: attributes of every module, modes, hooks, and every number."""
    modules = [(attributes(each), each.training) for each in model.modules()]
    tensors = [each.clone() for each in (*model.parameters(), *model.buffers())]
    return modules, hook_count(model), tensors


def unchanged(before, after):
    same = [torch.equal(old, new) for old, new in zip(before[2], after[2], strict=True)]
    return before[:2] == after[:2] and all(same)


def test_a_counter_that_moved_is_seen():
    model = nn.Linear(2, 2)
    model.calls, model.kept = 0, []
    before = state(model)
    assert unchanged(before, state(model))
    model.calls += 1
    assert not unchanged(before, state(model))
    model.calls, model.kept = 0, [1]
    assert not unchanged(before, state(model))


def compared(name, a, b, **options):
    architecture = TABLE[name]
    return hooksim.compare(
        a,
        b,
        [architecture.batch(number) for number in BATCHES],
        forward=architecture.forward,
        rows=architecture.rows,
        progress=False,
        **options,
    )


def matrices(result):
    keys = ("cka", "information_imbalance_a_to_b", "information_imbalance_b_to_a")
    return [result[key].values for key in keys] + [result[key].stderr for key in keys]


@pytest.mark.parametrize("name", TABLE)
def test_default_layers_are_the_blocks(name):
    assert [layer.name for layer in select_layers(built(name, 0), None)] == TABLE[name].layers


@pytest.mark.parametrize("name", TABLE)
def test_a_model_against_itself(name):
    model = built(name, 0)
    before = state(model)
    result = compared(name, model, model)
    assert unchanged(before, state(model))
    cka = result["cka"]
    assert cka.layers_a == cka.layers_b == (TABLE[name].axis or TABLE[name].layers)
    assert result.n_samples == SIZE * len(BATCHES)
    assert result.metadata["warnings"] == []
    assert all(values.isfinite().all() for values in matrices(result))
    torch.testing.assert_close(cka.values.diagonal(), torch.ones(len(cka.layers_a)).double())
    assert (result["information_imbalance_a_to_b"].values.diagonal() < 0.2).all()


@pytest.mark.parametrize("name", TABLE)
def test_another_seed_with_the_early_end_and_without(name):
    a, b = built(name, 0), built(name, 1)
    before = state(a), state(b)
    early, whole = (compared(name, a, b, stop_early=stop_early) for stop_early in (True, False))
    assert unchanged(before[0], state(a))
    assert unchanged(before[1], state(b))
    assert all(values.isfinite().all() for values in matrices(early))
    assert all(map(torch.equal, matrices(early), matrices(whole)))
    assert (early["cka"].values.diagonal() < 0.9999).any()


@pytest.mark.parametrize("name", TABLE)
def test_an_end_after_the_first_layer_leaves_nothing_behind(name):
    model, first = built(name, 0), (TABLE[name].axis or TABLE[name].layers)[0]
    before = state(model)
    early, whole = (
        compared(name, model, model, layers_a=first, stop_early=stop_early)
        for stop_early in (True, False)
    )
    assert early["cka"].layers_a == [first]
    assert all(map(torch.equal, matrices(early), matrices(whole)))
    assert unchanged(before, state(model))


def test_the_table_holds_what_was_promised():
    promised = """BERT, RoBERTa, DistilBERT, ALBERT, DeBERTa-v2, GPT-2, GPT-NeoX, Llama, Mistral,
        Mixtral, Qwen2, Gemma, Phi, OPT, Mamba, T5, BART, ViT, DeiT, DINOv2, Swin, ConvNeXt, ResNet,
        SegFormer, CLIP, Whisper, Wav2Vec2, nn.Sequential, nn.TransformerEncoder, nn.LSTM,
        nn.MultiheadAttention"""
    assert {name.strip() for name in promised.split(",")} <= set(TABLE)


def test_the_package_speaks_of_architectures_in_few_lines():
    models = [(built(name, 0), each) for name, each in TABLE.items() if isinstance(each.make, str)]
    with torch.no_grad():
        words = vocabulary((model.eval(), each.call(model)) for model, each in models)
    assert {"input_features", "conv_layers", "last_hidden_state", "vit_msn", "Bert"} <= words
    assert not {"config", "main_input_name"} & words
    assert len(specific_lines(PACKAGE, words)) < 60, "\n".join(specific_lines(PACKAGE, words))


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        ("x = batch['pixel_values']", True),
        ("x = model.pixel_values", True),
        ("x = call(pixel_values=1)", True),
        ("x = {'pixel_values': 1, 'input_ids': 2}", True),
        ("# pixel_values", False),
        ("x = 'the pixel_values of a batch'", False),
        ("def f(pixel_values): return x.pixel_values", False),  # a name of the package's own
        ("x = other.shape", False),
    ],
)
def test_lines_about_architectures_are_counted(line, counted):
    found = specific_lines(
        {"hooksim/a.py": f"x = 1\n{line}"}, {"pixel_values", "input_ids", "shape"}
    )
    assert [each.partition(": ")[0] for each in found] == ["hooksim/a.py:2"] * counted


def rows_of(model, batch, rows):
    view = View("A", None, as_rows(rows))
    with ModelReader(model, [view]) as reader, torch.no_grad():
        [part] = reader.read(batch, None, BatchPosition(0, 0))
    return part.values


@pytest.mark.parametrize(("name", "side"), PADDED)
def test_padding_changes_nothing(name, side):
    architecture, model = TABLE[name], built(name, 0)
    batch = architecture.batch(0)
    given = [key for key in batch if key.endswith("input_ids")]
    bare = {key: ids(number, 4) for number, key in enumerate(given)}
    bare |= {key.replace("input_ids", "attention_mask"): torch.ones(SIZE, 4).long() for key in bare}
    padded = {key: pad(value, (4, 0) if side == "left" else (0, 4)) for key, value in bare.items()}
    bare, padded = {**batch, **bare}, {**batch, **padded}
    expected = rows_of(model, bare, architecture.rows)
    for value, known in zip(rows_of(model, padded, architecture.rows), expected, strict=True):
        torch.testing.assert_close(value, known, atol=2e-5 * float(known.abs().max()), rtol=0)


def prompts_of_steps(number):
    return {**waves(number), "attention_mask": torch.ones(SIZE, 120).long()}


@pytest.mark.parametrize("make", ["Wav2Vec2Model", "HubertModel", "UniSpeechModel"])
def test_padded_audio_is_shortened_with_its_mask(make):
    options = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
    model = Architecture(make, waves, [], {**WAVES, **options}).build(0)
    batch = waves(0)
    padded = rows_of(model, batch, "mean")
    for index, mask in enumerate(batch["attention_mask"].bool()):
        alone = batch["input_values"][index, mask][None]
        for value, known in zip(
            padded, rows_of(model, {"input_values": alone}, "mean"), strict=True
        ):
            torch.testing.assert_close(value[index], known[0], atol=1e-5, rtol=1e-5)


# What shortens or lengthens its tokens on the way, and does not say how: rows='cls' reads no mask.
REFUSED = {
    "CANINE": Architecture("CanineModel", text, [], {**WIDTHS}),
    "Funnel": Architecture(
        "FunnelModel",
        text,
        [],
        {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32},
    ),
    "ViLT": Architecture("ViltModel", captions, [], {**WIDTHS, **VISION}),
    "SEW": Architecture("SEWModel", prompts_of_steps, [], {**WAVES, "squeeze_factor": 2}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tokens_that_the_mask_does_not_fit_are_one_clear_error(name):
    architecture = REFUSED[name]
    with pytest.raises(ShapeError, match=r"tokens, but mask 'attention_mask' has \d+\. Leave this"):
        rows_of(architecture.build(0), architecture.batch(0), "auto")
