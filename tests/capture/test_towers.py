"""Inputs beside the tokens of the mask: other towers, conditions, states of other models."""

import pytest
import torch
import transformers
from torch import nn

import hooksim
from tests.capture.tiny_models import ENDS, text_batch
from tests.hazards.measured import by_hand

LENGTHS = [5, 3, 7, 2, 6, 4]
TEXT = text_batch(LENGTHS, 7)
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def first(count, length):
    """A mask of the first tokens, another number of them for each sample."""
    return (torch.arange(length) < torch.tensor(count)[:, None]).long()


def pooled(tokens, mask):
    return (tokens * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


class Conditioned(nn.Module):
    """A block that takes a part of the batch beside the states of the block before."""

    def __init__(self):
        super().__init__()
        self.states, self.condition = nn.Linear(8, 8), nn.Linear(3, 8)

    def forward(self, states, condition):
        made = self.condition(condition)
        return self.states(states) + (made[:, None] if made.ndim == 2 else made.mean(1)[:, None])


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(60, 8)
        self.blocks = nn.ModuleList([Conditioned(), Conditioned()])

    def forward(self, input_ids, condition, attention_mask=None):
        states = self.embedding(input_ids)
        for block in self.blocks:
            states = block(states, condition)
        return states


@pytest.mark.parametrize("condition", [numbers(6, 3), numbers(6, 4, 3)])
def test_a_block_with_a_condition_keeps_the_mask_of_its_tokens(condition):
    model, batch = Stack().eval(), {**TEXT, "condition": condition}
    names = ["blocks.0", "blocks.1.states"]
    tokens = by_hand(model, [batch], names)
    recording = hooksim.record(model, [batch], names, progress=False)
    for name in names:
        right = pooled(tokens[name], TEXT["attention_mask"])
        torch.testing.assert_close(recording[name], right)
        assert not torch.allclose(recording[name], tokens[name].mean(dim=1), atol=1e-2)


class Streams(nn.Module):
    """Blocks of words, of pictures, and of both, in no module of their own."""

    def __init__(self):
        super().__init__()
        self.embedding, self.projection = nn.Embedding(60, 8), nn.Linear(3, 8)
        self.words = nn.ModuleList([encoder() for _ in range(2)])
        self.pictures = nn.ModuleList([encoder() for _ in range(2)])
        self.both = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    def forward(self, input_ids, regions, attention_mask):
        words, pictures = self.embedding(input_ids), self.projection(regions)
        for one, other in zip(self.words, self.pictures, strict=True):
            words = one(words, src_key_padding_mask=attention_mask == 0)
            pictures = other(pictures)
        return self.both(words, pictures)


def encoder():
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


def test_a_stream_without_a_mask_is_told_from_the_other_by_what_it_is_made_of():
    model, batch = Streams().eval(), {**TEXT, "regions": numbers(6, 4, 3)}
    names = ["words.1", "pictures.1", "pictures.1.linear1", "both"]
    tokens = by_hand(model, [batch], names)
    recording = hooksim.record(model, [batch] * 2, names, progress=False)
    for name in names:
        mask = torch.ones(6, 4) if name.startswith("pictures") else TEXT["attention_mask"]
        torch.testing.assert_close(recording[name][:6], pooled(tokens[name], mask))


def crossing(name):
    torch.manual_seed(0)
    options = {"add_cross_attention": True, "vocab_size": 60, **ENDS}
    if name == "BERT":
        config = transformers.BertConfig(is_decoder=True, **SIZES, **options)
        return transformers.BertModel(config).eval()
    config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, **options)
    return transformers.GPT2Model(config).eval()


CROSSING = {
    "BERT": ("encoder.layer.1", "encoder.layer.1.crossattention.self.key"),
    "GPT-2": ("h.1", "h.1.crossattention.c_attn"),
}


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("name", CROSSING)
def test_states_of_another_model_have_a_mask_of_their_own(name, masked):
    model, (block, keys) = crossing(name), CROSSING[name]
    mask = first([5, 1, 2, 4, 3, 5], 5)
    batch = {**TEXT, "encoder_hidden_states": numbers(6, 5, 16)}
    if masked:
        batch["encoder_attention_mask"] = mask
    tokens = by_hand(model, [batch], [block, keys])
    recording = hooksim.record(model, [batch], [block, keys], progress=False)
    mask = mask if masked else torch.ones(6, 5)
    near = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(
        recording[block], pooled(tokens[block], TEXT["attention_mask"]), **near
    )
    torch.testing.assert_close(recording[keys], pooled(tokens[keys], mask), **near)


class Captioner(nn.Module):
    """Might have an encoder and a decoder; its only half is called a decoder."""

    def __init__(self):
        super().__init__()
        self.embedding, self.decoder = nn.Embedding(60, 8), nn.ModuleList([encoder(), encoder()])

    def forward(self, input_ids, attention_mask=None, decoder_input_ids=None):
        states = self.embedding(input_ids) + 1
        for block in self.decoder:
            states = block(states, src_key_padding_mask=attention_mask == 0)
        return states


def blip():
    torch.manual_seed(0)
    language = {"model_type": "opt", "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2}
    language |= {"num_attention_heads": 2, "ffn_dim": 32, "word_embed_proj_dim": 16, **ENDS}
    config = transformers.Blip2Config(
        vision_config={**SIZES, "image_size": 16, "patch_size": 8},
        qformer_config={**SIZES, "vocab_size": 60, "encoder_hidden_size": 16},
        text_config={**language, "max_position_embeddings": 40},
        num_query_tokens=2,
        image_token_index=63,
    )
    return transformers.Blip2ForConditionalGeneration(config).eval()


def captioned():
    """Places for the states of two queries, and words behind them."""
    places, seen = torch.full((6, 2), 63), torch.ones(6, 2, dtype=torch.long)
    return {
        "input_ids": torch.cat([places, TEXT["input_ids"]], dim=1),
        "attention_mask": torch.cat([seen, TEXT["attention_mask"]], dim=1),
        "pixel_values": numbers(6, 3, 16, 16),
    }


def test_learned_queries_have_no_padding():
    model, batch = blip(), captioned()
    recording = hooksim.record(model, [batch] * 2, progress=False)
    queries = "qformer.encoder.layer.1"
    assert len(recording.layers) == 6
    tokens = by_hand(model, [batch], [queries])[queries]
    assert tokens.shape == (6, 2, 16)
    torch.testing.assert_close(recording[queries][:6], tokens.mean(dim=1))


@pytest.mark.parametrize(
    ("make", "name"),
    [(Captioner, "decoder.1"), (blip, "language_model.model.decoder.layers.1")],
)
def test_a_decoder_that_reads_the_batch_takes_its_mask(make, name):
    model, batch = make().eval(), captioned() if make is blip else TEXT
    tokens = by_hand(model, [batch], [name])[name]
    recording = hooksim.record(model, [batch], name, progress=False)
    right = pooled(tokens, batch["attention_mask"])
    torch.testing.assert_close(recording[name], right, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(recording[name], tokens.mean(dim=1), atol=1e-2)


VISION, LANGUAGE = "vision_model.encoder.layers.1", "text_model.encoder.layers.1"


def two_towers():
    torch.manual_seed(0)
    config = transformers.Siglip2Config(
        text_config={**SIZES, "vocab_size": 60, "projection_size": 16, **ENDS},
        vision_config={**SIZES, "num_patches": 16, "patch_size": 2},
    )
    return transformers.Siglip2Model(config).eval()


@pytest.mark.parametrize("patches", [16, 7])
def test_a_second_tower_has_a_mask_of_its_own(patches):
    """As many patches as tokens: the mask goes with the input that is named like it."""
    model, heights = two_towers(), [1, 2, 3, 1, 2, 3]
    mask = first([2 * each for each in heights], patches)
    batch = {
        **TEXT,
        "pixel_values": numbers(6, patches, 12),
        "pixel_attention_mask": mask,
        "spatial_shapes": torch.tensor([[each, 2] for each in heights]),
    }
    tokens = by_hand(model, [batch], [VISION, LANGUAGE])
    masks = {VISION: mask, LANGUAGE: TEXT["attention_mask"]}
    recording = hooksim.record(model, [batch], [VISION, LANGUAGE], progress=False)
    with hooksim.capture_activations(model, [VISION, LANGUAGE], "mean") as rows, torch.no_grad():
        model(**batch)
    for name, each in masks.items():
        right = pooled(tokens[name], each)
        torch.testing.assert_close(recording[name], right, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(rows[name], right, atol=1e-5, rtol=1e-5)
    naive = tokens[VISION].mean(dim=1)
    assert not torch.allclose(recording[VISION], naive, atol=1e-2)


def test_only_the_layers_of_a_tower_need_its_mask():
    """A sample without a picture has no row for the one tower, and one for the other."""
    model = two_towers()
    mask = first([0, 2, 2, 2, 2, 2], 4)
    batch = {
        **TEXT,
        "pixel_values": numbers(6, 4, 12),
        "pixel_attention_mask": mask,
        "spatial_shapes": torch.tensor([[1, 2]] * 6),
    }
    assert hooksim.record(model, [batch], LANGUAGE, progress=False).layers == [LANGUAGE]
    expected = "mask 'pixel_attention_mask': sample 0 of the batch has no real token"
    with pytest.raises(hooksim.errors.ShapeError, match=expected):
        hooksim.record(model, [batch], VISION, progress=False)
