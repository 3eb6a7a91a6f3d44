"""Models that pad or widen their tokens themselves: only the tokens of the input make the rows."""

import pytest
import torch
import transformers
from torch import nn

import hooksim
from tests.architectures.text_models import TEXT_MODELS, WIDTHS
from tests.capture.tiny_models import text_batch
from tests.hazards.measured import assert_measured, by_hand
from tests.hazards.test_masks_of_halves import pooled

# The windows are of 4 and 2 tokens: the first batch needs no padding of the model's, others do.
LENGTHS = [[5, 3, 8, 2, 6, 4], [1, 4, 4, 7, 5], [3, 5, 2]]
SPARSE = {"attention_type": "block_sparse", "block_size": 2, "num_random_blocks": 1}


def long_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "BigBird":
        return transformers.BigBirdModel(transformers.BigBirdConfig(**{**WIDTHS, **SPARSE})).eval()
    return TEXT_MODELS[name].build(0).eval()


def batches(name: str, masks: str) -> list[dict[str, torch.Tensor]]:
    found = []
    for lengths in LENGTHS:
        width = max(lengths) + (10 if name == "BigBird" else 0)
        batch = text_batch(lengths if masks == "padded" else [width] * len(lengths), width)
        if name == "LED":
            batch["decoder_input_ids"] = text_batch([3] * len(lengths))["input_ids"]
        if masks == "none":
            del batch["attention_mask"]
        found.append(batch)
    return found


@pytest.mark.parametrize("masks", ["none", "ones", "padded"])
@pytest.mark.parametrize("name", ["Longformer", "LED", "BigBird"])
def test_padding_of_the_models_own_is_left_out(name, masks):
    model, blocks = long_model(name), "layers" if name == "LED" else "layer"
    layers = [f"encoder.{blocks}.{index}" for index in (0, 1)]
    loader = batches(name, masks)
    parts = [by_hand(model, [batch], layers) for batch in loader]
    widths = [batch["input_ids"].shape[1] for batch in loader]
    assert any(part[layers[0]].shape[1] > n for part, n in zip(parts, widths, strict=True))
    expected = {}
    for layer in layers:
        rows = []
        for part, batch in zip(parts, loader, strict=True):
            keep = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
            rows.append(pooled(part[layer][:, : keep.shape[1]], keep))
        expected[layer] = torch.cat(rows)
    assert_measured(model, expected, loader, tolerance=1e-5)
    wrong = torch.cat([part[layers[1]].mean(dim=1) for part in parts])
    assert (wrong - expected[layers[1]]).abs().max() > 0.01


@pytest.mark.parametrize("name", ["Longformer", "LED"])
def test_padding_that_is_looked_up_alone_gives_no_rows(name):
    model = long_model(name)
    loader = batches(name, "ones")[1:]
    recording = hooksim.record(model, loader, "encoder.**", progress=False)
    assert {len(recording[layer]) for layer in recording} == {8}
    assert not any("#1" in layer for layer in recording)
    vectors = [{"inputs_embeds": torch.randn(6, 7, 16)}]
    if name == "Longformer":
        tokens = by_hand(model, vectors, ["encoder.layer.0"])["encoder.layer.0"][:, :7]
        expected = {"encoder.layer.0": tokens.double().mean(dim=1).float()}
        assert_measured(model, expected, vectors, tolerance=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("masks", ["none", "ones", "padded"])
@pytest.mark.parametrize("policy", ["mean", "token"])
def test_virtual_tokens_of_prompt_tuning_are_none_of_the_inputs(masks, policy):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    settings = {**WIDTHS, "num_hidden_layers": 2}
    inner = transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings))
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = peft.get_peft_model(inner, config).eval()
    loader, layer = batches("GPT-2", masks), "base_model.transformer.h.1"
    expected = []
    for batch in loader:
        keep = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
        tokens = by_hand(model, [batch], [layer])[layer][:, 3:]
        expected.append(pooled(tokens, keep) if policy == "mean" else tokens[keep != 0])
    assert_measured(model, {layer: torch.cat(expected)}, loader, policy, tolerance=1e-5)


class Classified(nn.Module):
    """Puts a class token of its own in front, as an id or as a vector, and gives it a row."""

    def __init__(self, as_id: bool) -> None:
        super().__init__()
        self.embedding, self.inner = nn.Embedding(61, 8, padding_idx=0), nn.Linear(8, 8)
        self.token, self.as_id = nn.Parameter(torch.randn(1, 1, 8)), as_id

    def forward(self, input_ids):
        if self.as_id:
            return self.inner(self.embedding(nn.functional.pad(input_ids, (1, 0), value=60)))
        front = self.token.expand(len(input_ids), -1, -1)
        return self.inner(torch.cat([front, self.embedding(input_ids)], dim=1))


@pytest.mark.parametrize("as_id", [True, False])
@pytest.mark.parametrize("policy", ["mean", "cls"])
def test_a_class_token_is_a_token(as_id, policy):
    torch.manual_seed(0)
    model, loader = Classified(as_id).eval(), batches("GPT-2", "none")[:1]
    tokens = by_hand(model, loader, ["inner"])["inner"]
    expected = tokens[:, 0] if policy == "cls" else tokens.mean(dim=1)
    recording = hooksim.record(model, loader, "inner", policy, progress=False)
    torch.testing.assert_close(recording["inner"], expected)
