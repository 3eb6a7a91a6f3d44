"""Cross-attention: what a decoder makes of the encoder's tokens is pooled by the encoder's mask."""

import pytest
import torch
import transformers
from torch import nn

import hooksim
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from tests.capture.reading import START
from tests.capture.tiny_models import ENDS, HALVES, TEXT, text_batch, tiny
from tests.hazards.measured import assert_measured, by_hand

KEYS = {
    "T5": "decoder.block.{}.layer.1.EncDecAttention.{}",
    "Bart": "decoder.layers.{}.encoder_attn.{}_proj",
    "BERT to BERT": "decoder.bert.encoder.layer.{}.crossattention.self.{}",
}
PARTS = {"BERT to BERT": ("key", "value")}
ENCODER = [[5, 3, 7, 2, 6, 4], [1, 4, 4, 7, 5]]
DECODER = [[2, 7, 1, 3, 4, 6], [7, 5, 2, 1, 3]]


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "T5":
        return tiny("T5")
    if name == "Bart":
        config = {"vocab_size": 60, "decoder_start_token_id": 2, **HALVES, **ENDS}
        return transformers.BartModel(transformers.BartConfig(**config)).eval()
    halves = [transformers.BertConfig(**{**TEXT, "num_hidden_layers": 2}) for _ in range(2)]
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*halves)
    return transformers.EncoderDecoderModel(config).eval()


def loader(width: int, decoder_mask: bool = True) -> list[dict[str, torch.Tensor]]:
    """Sequences of 7 tokens for the encoder, and others of `width` for the decoder."""
    batches = []
    for lengths, others in zip(ENCODER, DECODER, strict=True):
        decoder = text_batch([min(each, width) for each in others], width)
        batch = {**text_batch(lengths, 7), "decoder_input_ids": decoder["input_ids"]}
        if decoder_mask:
            batch["decoder_attention_mask"] = decoder["attention_mask"]
        batches.append(batch)
    return batches


def pooled(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the real tokens in float64, sample by sample."""
    rows = [each[keep != 0].double().mean(dim=0) for each, keep in zip(tokens, mask, strict=True)]
    return torch.stack(rows).float()


def joined(batches, key):
    return torch.cat([batch[key] for batch in batches])


@pytest.mark.parametrize("decoder_mask", [True, False])
@pytest.mark.parametrize("width", [7, 5, 9])
@pytest.mark.parametrize("name", KEYS)
def test_keys_and_values_of_cross_attention_leave_the_encoders_padding_out(
    name, width, decoder_mask
):
    model, batches = built(name), loader(width, decoder_mask)
    layers = [KEYS[name].format(i, part) for i in (0, 1) for part in PARTS.get(name, ("k", "v"))]
    tokens = by_hand(model, batches, layers)
    mask = joined(batches, "attention_mask")
    expected = {layer: pooled(tokens[layer], mask) for layer in layers}
    assert_measured(model, expected, batches, tolerance=1e-5)
    wrong = tokens[layers[0]].mean(dim=1)
    assert (wrong - expected[layers[0]]).abs().max() > 0.01


def test_queries_keep_the_decoders_mask_beside_them():
    model, batches = built("Bart"), loader(7)
    layer = "decoder.layers.0.encoder_attn.q_proj"
    mask = joined(batches, "decoder_attention_mask")
    expected = {layer: pooled(by_hand(model, batches, [layer])[layer], mask)}
    assert_measured(model, expected, batches, tolerance=1e-5)


def test_one_table_of_embeddings_is_read_for_each_half_by_its_own_mask():
    torch.manual_seed(0)
    model = nn.Module()
    model.shared = nn.Embedding(60, 8)

    def forward(input_ids, decoder_input_ids, attention_mask=None, decoder_attention_mask=None):
        return model.shared(input_ids), model.shared(decoder_input_ids)

    model.forward = forward
    batches = loader(7)
    recording = hooksim.record(model, batches, "shared", progress=False)
    for firing, half in enumerate(("", "decoder_")):
        with torch.no_grad():
            tokens = model.shared(joined(batches, f"{half}input_ids"))
        expected = pooled(tokens, joined(batches, f"{half}attention_mask"))
        torch.testing.assert_close(recording[f"shared#{firing}"], expected)


def test_a_later_forward_without_hooks_on_all_modules_takes_the_same_masks():
    model, batches = built("T5"), loader(7)
    layer = KEYS["T5"].format(0, "k")
    with (
        ModelReader(model, [View("A", ["encoder.embed_tokens", layer], Rows())]) as reader,
        torch.no_grad(),
    ):
        first = reader.read(batches[0], None, START)[0].values
        again = reader.read(batches[0], None, START)[0].values
    assert all(map(torch.equal, first, again))


class Both(nn.Module):
    """One projection of either half's tokens, in an order that only the forward knows."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(60, 8)
        self.decoder = nn.ModuleDict({"embed": nn.Embedding(60, 8), "project": nn.Linear(8, 8)})

    def forward(
        self, input_ids, decoder_input_ids, attention_mask=None, decoder_attention_mask=None
    ):
        memory = self.encoder(input_ids)
        own = self.decoder["embed"](decoder_input_ids)
        return self.decoder["project"](own), self.decoder["project"](memory)


def test_a_layer_that_either_half_feeds_goes_by_length_or_is_refused():
    torch.manual_seed(0)
    model, batches = Both().eval(), loader(5)
    with torch.no_grad():
        tokens = model.decoder["project"](model.encoder(joined(batches, "input_ids")))
    recording = hooksim.record(model, batches, "decoder.project", progress=False)
    expected = pooled(tokens, joined(batches, "attention_mask"))
    torch.testing.assert_close(recording["decoder.project#1"], expected)
    with pytest.raises(hooksim.HooksimError, match="both have 7 tokens but other padding"):
        hooksim.record(model, loader(7), "decoder.project", progress=False)
