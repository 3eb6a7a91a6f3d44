"""What a failed forward is said to lack."""

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    T5Config,
    T5Model,
    ViTConfig,
    ViTModel,
    WhisperConfig,
    WhisperModel,
)

import hooksim
from hooksim.capture.missing_inputs import missing_inputs_hint

SIZES = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
VISION = {**SIZES, "image_size": 8, "patch_size": 4}
TEXT = {**SIZES, "vocab_size": 20, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PICTURES = {"pixel_values": torch.zeros(8, 3, 8, 8)}
TOKENS = {"input_ids": torch.ones(8, 3, dtype=torch.int64)}


def told(a, b, batch):
    with pytest.raises((ValueError, AttributeError, RuntimeError)) as error:
        hooksim.compare(a, b, [batch], progress=False)
    [note] = error.value.__notes__
    return note


def test_the_tower_that_takes_the_batch_is_named():
    clip = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION))
    assert told(clip, clip, PICTURES).endswith(
        ", given pixel_values (8, 3, 8, 8) float32; the batch lacks 'input_ids' of its forward; "
        "the part of it that runs on the batch alone is CLIPVisionModel "
        "(auto_class: CLIPVisionModel)"
    )
    assert missing_inputs_hint(clip, ["input_ids"], ["input_ids"]) == ""


def test_a_text_model_on_pictures():
    bert = BertModel(BertConfig(**TEXT))
    assert told(bert, bert, PICTURES).endswith("; the batch lacks 'input_ids' of its forward")


def test_a_decoder_without_tokens():
    config = WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, vocab_size=60, num_mel_bins=4, max_source_positions=8,
        decoder_start_token_id=1, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    whisper = WhisperModel(config)
    note = told(whisper, whisper, {"input_features": torch.zeros(8, 4, 16)})
    assert note.endswith("; its decoder needs 'decoder_input_ids', or 'labels' to make them of")


def test_an_encoder_that_could_stand_alone_is_named():
    config = T5Config(d_model=8, num_layers=1, num_heads=2, d_ff=8, d_kv=4, vocab_size=20)
    config.decoder_start_token_id = None
    t5 = T5Model(config)
    assert told(t5, t5, TOKENS).endswith(
        "; its decoder needs 'decoder_input_ids', or 'labels' to make them of; the part of it "
        "that runs on the batch alone is T5EncoderModel (auto_class: T5EncoderModel)"
    )


def test_swapped_halves():
    vit, bert = ViTModel(ViTConfig(**VISION)), BertModel(BertConfig(**TEXT))
    assert told(vit, bert, hooksim.PairedBatch(TOKENS, PICTURES)).endswith(
        "; 'pixel_values' of its forward is in the other half of the PairedBatch: are a and b "
        "swapped?"
    )


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x, scale=None):
        raise RuntimeError("no")


def test_any_model_and_errors_of_another_cause():
    assert missing_inputs_hint(Reads(), ["y"], [], ["x"]).endswith("are a and b swapped?")
    assert missing_inputs_hint(Reads(), ["y"], []) == "; the batch lacks 'x' of its forward"
    assert missing_inputs_hint(Reads(), ["x"], ["x"]) == ""
    assert told(Reads(), Reads(), {"x": torch.zeros(4, 2)}).endswith("given x (4, 2) float32")
    assert told(Reads(), Reads(), torch.zeros(4, 2)).endswith("given (4, 2) float32")


def test_an_own_forward_is_the_user_s():
    def forward(model, batch):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError) as error:
        hooksim.compare(Reads(), Reads(), [{"y": torch.zeros(4, 2)}], forward=forward)
    assert "lacks" not in error.value.__notes__[0]
