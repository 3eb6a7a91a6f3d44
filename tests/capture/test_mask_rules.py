import pytest
import torch
from torch import nn

from hooksim.capture.layers import named_layers
from hooksim.capture.mask_rules import BatchMasks, MaskRules
from hooksim.capture.rows import Rows
from hooksim.errors import ConfigError, ShapeError
from tests.capture.tiny_models import text_batch, tiny

INPUTS = text_batch([3, 5])
MASK = INPUTS["attention_mask"]


def masks_of(model, inputs, key="attention_mask"):
    return BatchMasks(MaskRules(model, named_layers(model)), inputs, Rows(mask=key), 2)


def lengths(mask):
    return None if mask is None else mask.keep_on(torch.device("cpu")).sum(dim=1).tolist()


def test_a_layer_of_the_masks_length():
    masks = masks_of(tiny("Bert"), INPUTS)
    assert lengths(masks.of("encoder.layer.0", 5)) == [3, 5]


def test_no_mask_in_the_batch():
    assert masks_of(tiny("Bert"), {}).of("encoder.layer.0", 5) is None


@pytest.mark.parametrize("mask", [MASK, torch.ones(2, 5)])
def test_another_length_is_always_an_error(mask):
    masks = masks_of(tiny("Bert"), {"attention_mask": mask})
    with pytest.raises(
        ShapeError, match="its output has 7 tokens, but mask 'attention_mask' has 5"
    ):
        masks.of("encoder.layer.0", 7)


def test_another_key():
    masks = masks_of(tiny("Bert"), {"pad": MASK}, "pad")
    assert lengths(masks.of("encoder.layer.0", 5)) == [3, 5]
    with pytest.raises(ConfigError, match="no key 'pad' in the batch for the mask"):
        masks_of(tiny("Bert"), INPUTS, "pad")


def test_a_mask_of_other_samples():
    with pytest.raises(ShapeError, match="mask 'attention_mask': 3 samples, but the batch has 2"):
        masks_of(tiny("Bert"), {"attention_mask": torch.ones(3, 5)})


def test_decoder_takes_its_own_mask():
    decoder = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    masks = masks_of(tiny("T5"), {**INPUTS, "decoder_attention_mask": decoder})
    assert lengths(masks.of("encoder.block.0", 5)) == [3, 5]
    assert lengths(masks.of("decoder.block.0", 4)) == [4, 2]
    with pytest.raises(ShapeError, match="6 tokens, but mask 'decoder_attention_mask' has 4"):
        masks.of("decoder.block.0", 6)


def test_decoder_without_mask_has_no_padding():
    masks = masks_of(tiny("T5"), {**INPUTS, "decoder_input_ids": torch.ones(2, 5).long()})
    assert masks.of("decoder.block.0", 5) is None
    with pytest.raises(ShapeError, match="9 tokens, but mask 'attention_mask' has 5"):
        masks.of("decoder.block.0", 9)
    bare = masks_of(tiny("T5"), {"decoder_input_ids": torch.ones(2, 5).long()})
    assert bare.of("decoder.block.0", 9) is None


def test_what_has_the_encoders_length_in_a_decoder_takes_its_mask():
    decoder = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    masks = masks_of(tiny("T5"), {**INPUTS, "decoder_attention_mask": decoder})
    assert lengths(masks.of("decoder.block.0.keys", 5)) == [3, 5]


def test_layers_of_neither_half_go_by_length():
    decoder = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    masks = masks_of(tiny("T5"), {**INPUTS, "decoder_attention_mask": decoder})
    assert lengths(masks.of("shared", 5)) == [3, 5]
    assert lengths(masks.of("lm_head", 4)) == [4, 2]


def test_layers_of_neither_half_and_equal_length():
    same = masks_of(tiny("T5"), {**INPUTS, "decoder_attention_mask": MASK})
    assert lengths(same.of("shared", 5)) == [3, 5]
    masks = masks_of(tiny("T5"), {**INPUTS, "decoder_input_ids": torch.ones(2, 5).long()})
    with pytest.raises(
        ShapeError, match="encoder and decoder both have 5 tokens but other padding"
    ):
        masks.of("shared", 5)


def test_a_decoder_without_encoder_takes_the_usual_mask():
    class Decoder(nn.Module):
        def forward(self, input_ids, attention_mask=None):
            return input_ids

    assert lengths(masks_of(Decoder(), INPUTS).of("decoder.layers.0", 5)) == [3, 5]


def test_audio_models_shorten_the_mask_themselves():
    model = tiny("Wav2Vec2")
    mask = torch.ones(2, 100).long()
    mask[0, 60:] = 0
    masks = masks_of(model, {"attention_mask": mask})
    steps = int(model._get_feat_extract_output_lengths(torch.tensor(100)))
    real = int(model._get_feat_extract_output_lengths(torch.tensor(60)))
    assert lengths(masks.of("encoder.layers.0", steps)) == [real, steps]
    assert masks.of("encoder.layers.0", steps) is masks.of("encoder.layers.1", steps)
    with pytest.raises(ShapeError, match="its output has 8 tokens"):
        masks.of("feature_extractor.conv_layers.1", 8)


def test_whisper_halves_the_mask():
    mask = torch.ones(2, 20).long()
    mask[1, 10:] = 0
    masks = masks_of(tiny("Whisper"), {"attention_mask": mask})
    assert lengths(masks.of("encoder.layers.0", 10)) == [10, 5]


def test_a_model_with_its_own_reduced_mask_only():
    class Shorten(nn.Module):
        def forward(self, x, attention_mask):
            return x

        def _get_feature_vector_attention_mask(self, length, mask):
            return mask[:, :: mask.shape[1] // length]

    masks = masks_of(Shorten(), {"attention_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])})
    assert lengths(masks.of("layer", 2)) == [1, 2]
