"""What a decoder reads where the batch has no input for it."""

import pytest
import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartForSequenceClassification,
    BartModel,
    BertConfig,
    BertLMHeadModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    T5Config,
    T5ForConditionalGeneration,
    T5Model,
    WhisperConfig,
    WhisperModel,
)

import hooksim
from hooksim.capture.calls import ModelCaller
from hooksim.capture.decoder_inputs import derived_decoder_inputs

SIZES = {"d_model": 16, "vocab_size": 60, "decoder_start_token_id": 2, "pad_token_id": 0}
T5 = T5Config(**SIZES, num_layers=2, num_heads=2, d_ff=16, d_kv=8)
BART = BartConfig(
    **SIZES, bos_token_id=1, eos_token_id=2, max_position_embeddings=32, encoder_layers=2,
    decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
    decoder_ffn_dim=16,
)  # fmt: skip
TOKENS = torch.tensor([[7, 8, 9], [5, 6, 0]])
BATCH = {"input_ids": TOKENS, "attention_mask": (TOKENS > 0).long()}
CPU = torch.device("cpu")


def made(model, batch):
    caller = ModelCaller(model, "a", None, frozenset({"attention_mask"}))
    return caller.prepare(batch, CPU)


@pytest.mark.parametrize(
    ("kind", "config"),
    [(T5Model, T5), (T5ForConditionalGeneration, T5), (BartModel, BART)],
)
def test_the_encoder_s_tokens_moved_one_to_the_right(kind, config):
    call = made(kind(config), BATCH)
    assert call.decoder_reads == "input_ids"
    assert call.passed["decoder_input_ids"].tolist() == [[2, 7, 8], [2, 5, 6]]
    assert call.passed["decoder_attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert call.inputs["decoder_attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert call.given.keys() == BATCH.keys()  # samples are told apart by what they are
    assert call.ignored == ()


@pytest.mark.parametrize("kind", [T5Model, T5ForConditionalGeneration])
def test_labels_come_first(kind):
    labels = torch.tensor([[3, 4], [5, -100]])
    call = made(kind(T5), {**BATCH, "labels": labels})
    assert call.passed["decoder_input_ids"].tolist() == [[2, 3], [2, 5]]
    assert call.passed["decoder_attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert "labels" not in call.passed
    assert (call.decoder_reads, call.ignored) == ("labels", ())


@pytest.mark.parametrize("keys", [("input_ids",), ("labels", "input_ids")])
def test_no_value_is_waited_for(keys):
    """On a device without values whatever looks at one fails."""
    tokens, mask = torch.empty(2, 2, 3, dtype=torch.long, device="meta")
    batch = {**dict.fromkeys(keys, tokens), "attention_mask": mask}
    found = derived_decoder_inputs(T5Model(T5), batch, ["decoder_input_ids"], ["attention_mask"])
    assert found.made_of == keys[0]
    assert found.inputs["decoder_attention_mask"].shape == (2, 3)


def test_labels_without_a_mark_have_the_mask_of_the_tokens():
    call = made(T5Model(T5), {**BATCH, "labels": TOKENS})
    assert call.passed["decoder_attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_what_the_batch_gives_stays():
    own = {"decoder_input_ids": torch.tensor([[2], [3]])}
    call = made(T5Model(T5), {**BATCH, **own, "labels": TOKENS})
    assert call.passed["decoder_input_ids"] is own["decoder_input_ids"]
    assert (call.decoder_reads, call.ignored) == ("", ("labels",))
    mask = torch.tensor([[1, 0, 0], [1, 0, 0]])
    call = made(T5Model(T5), {**BATCH, "decoder_attention_mask": mask})
    assert call.passed["decoder_attention_mask"] is mask


@pytest.mark.parametrize("labels", [torch.tensor([0, 1]), torch.zeros(2, 3)])
def test_labels_of_whole_samples_are_no_tokens(labels):
    call = made(BartForSequenceClassification(BART), {**BATCH, "labels": labels})
    assert (call.decoder_reads, call.ignored) == ("input_ids", ("labels",))


def test_models_whose_own_way_is_unknown_are_left_alone():
    no_start = T5Config(**{**SIZES, "decoder_start_token_id": None}, num_layers=1)
    no_start.decoder_start_token_id = None
    assert derived_decoder_inputs(T5Model(no_start), BATCH, ["decoder_input_ids"], []) == ({}, "")
    assert derived_decoder_inputs(nn.ReLU(), BATCH, ["input"], []) == ({}, "")


def test_two_vocabularies_and_sound_need_labels():
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "vocab_size": 60}
    half = BertConfig(**sizes, num_hidden_layers=1, pad_token_id=0)
    pair = EncoderDecoderConfig.from_encoder_decoder_configs(half, half)
    pair.decoder_start_token_id, pair.pad_token_id = 2, 0
    model = EncoderDecoderModel(pair)
    assert isinstance(model.decoder, BertLMHeadModel)
    assert made(model, BATCH).decoder_reads == ""
    assert made(model, {**BATCH, "labels": TOKENS}).decoder_reads == "labels"
    config = WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, vocab_size=60, num_mel_bins=4, max_source_positions=8,
        decoder_start_token_id=1, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    sound = {"input_features": torch.zeros(2, 4, 16)}
    assert made(WhisperModel(config), sound).decoder_reads == ""
    call = made(WhisperModel(config), {**sound, "labels": TOKENS})
    assert call.passed["decoder_input_ids"].tolist() == [[1, 7, 8], [1, 5, 6]]


@pytest.mark.parametrize(("kind", "config"), [(T5Model, T5), (BartForConditionalGeneration, BART)])
def test_padding_stays_out_of_the_decoder_s_rows(kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    tokens = torch.randint(3, 60, (12, 5))
    short = tokens.clone()
    short[::2, 3:] = 0
    batch = {"input_ids": short, "attention_mask": (short > 0).long()}
    padded = hooksim.record(model, [batch], "**.decoder.*.1", progress=False)
    alone = [
        {"input_ids": row[row > 0][None], "attention_mask": torch.ones(1, int((row > 0).sum()))}
        for row in short
    ]
    apart = hooksim.record(model, alone, "**.decoder.*.1", progress=False)
    assert padded.layers and padded.layers == apart.layers
    for name in padded.layers:
        torch.testing.assert_close(padded[name], apart[name], atol=1e-5, rtol=1e-4)


def test_it_is_said(caplog):
    result = hooksim.compare(
        T5Model(T5), T5Model(T5), [{"input_ids": torch.randint(3, 60, (12, 5))}], progress=False
    )
    assert {
        "code": "decoder_inputs",
        "text": "model A (T5Model): its decoder reads 'input_ids' moved one to the right, as in "
        "training, since the batch has no 'decoder_input_ids'.",
    } in result.metadata["notes"]
