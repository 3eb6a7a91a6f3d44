"""Padding: each layer's rows are means over its own real tokens, whichever mask says so."""

import pytest
import torch
import transformers
from torch import nn

import hooksim
from hooksim.errors import ConfigError, ShapeError
from tests import reference
from tests.capture.tiny_models import ENDS, HALVES, text_batch, tiny
from tests.hazards.measured import assert_measured, by_hand

LENGTHS = [[5, 3, 7, 2, 6, 4], [1, 4, 4, 7, 5]]
LOADER = [text_batch(lengths, 7) for lengths in LENGTHS]


def bart():
    torch.manual_seed(0)
    config = transformers.BartConfig(vocab_size=60, decoder_start_token_id=2, **HALVES, **ENDS)
    return transformers.BartModel(config).eval()


def pooled(tokens, mask):
    """Mean over the real tokens, sample by sample."""
    return torch.stack(
        [each[keep != 0].mean(dim=0) for each, keep in zip(tokens, mask, strict=True)]
    )


def joined(loader, key):
    return torch.cat([batch[key] for batch in loader])


ENCODED = {"encoder": "attention_mask", "decoder": "decoder_attention_mask"}


def two_halves(decoder_mask: bool) -> list[dict[str, torch.Tensor]]:
    """Batches for an encoder and a decoder that have other lengths and other padding."""
    batches = []
    for batch, lengths in zip(LOADER, ([2, 5, 1, 3, 4, 5], [5, 5, 2, 1, 3]), strict=True):
        decoder = text_batch(lengths, 5)
        batch = {**batch, "decoder_input_ids": decoder["input_ids"]}
        if decoder_mask:
            batch["decoder_attention_mask"] = decoder["attention_mask"]
        batches.append(batch)
    return batches


@pytest.mark.parametrize("decoder_mask", [True, False])
@pytest.mark.parametrize("name", ["T5", "Bart"])
def test_each_half_of_an_encoder_decoder_model_takes_its_own_mask(name, decoder_mask):
    model, blocks = (tiny("T5"), "block") if name == "T5" else (bart(), "layers")
    loader = two_halves(decoder_mask)
    layers = [f"{half}.{blocks}.{index}" for half in ENCODED for index in (0, 1)]
    tokens = by_hand(model, loader, layers)
    masks = {"encoder": joined(loader, "attention_mask"), "decoder": torch.ones(11, 5)}
    if decoder_mask:
        masks["decoder"] = joined(loader, "decoder_attention_mask")
    expected = {layer: pooled(tokens[layer], masks[layer.split(".")[0]]) for layer in layers}
    assert_measured(model, expected, loader, tolerance=1e-5)


def test_whisper_and_wav2vec2_pool_with_their_shortened_mask():
    lengths = torch.tensor([20, 9, 5, 14, 7, 20, 11])
    mask = (torch.arange(20) < lengths[:, None]).long()
    ids = torch.randint(3, 60, (7, 4))
    features = {"input_features": torch.randn(7, 8, 20), "decoder_input_ids": ids}
    steps = (lengths - 1) // 2 + 1  # one convolution of stride 2, padded by 1
    check_shortened("Whisper", {**features, "attention_mask": mask}, "encoder.layers.0", steps)
    mask = (torch.arange(40) < 2 * lengths[:, None]).long()
    audio = {"input_values": torch.randn(7, 40), "attention_mask": mask}
    steps = ((2 * lengths - 3) // 2 + 1 - 3) // 2 + 1  # two of width 3 and stride 2
    check_shortened("Wav2Vec2", audio, "encoder.layers.0", steps)


def check_shortened(name, batch, layer, steps):
    tokens = by_hand(tiny(name), [batch], [layer])[layer]
    expected = pooled(tokens, torch.arange(tokens.shape[1]) < steps[:, None])
    assert_measured(tiny(name), {layer: expected}, [batch], tolerance=1e-5)


def test_a_plain_mean_gets_it_wrong():
    model, names = tiny("Bert"), ["embeddings", "encoder.layer.0.attention.self"]
    tokens, mask = by_hand(model, LOADER, names), joined(LOADER, "attention_mask")
    right = [pooled(tokens[name], mask) for name in names]
    naive = [tokens[name].mean(dim=1) for name in names]
    result = hooksim.compare(model, model, LOADER, layers_a=names, progress=False)
    found = result["cka"].values[0, 1].item()
    assert abs(found - reference.cka(*right)) < 1e-4
    assert abs(found - reference.cka(*naive)) > 0.01
    assert result["cka"].values[0, 0].item() == pytest.approx(1, abs=1e-6)


def test_padding_changes_nothing():
    model, tighter = tiny("Bert"), [text_batch(lengths) for lengths in LENGTHS]
    wider = [
        {key: nn.functional.pad(value, (0, 4)) for key, value in batch.items()} for batch in tighter
    ]
    one = hooksim.compare(model, model, tighter, progress=False)["cka"].values
    two = hooksim.compare(model, model, wider, progress=False)["cka"].values
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)


class Padded(nn.Module):
    """The fast path of its encoder packs padded batches into nested tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(60, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)

    def forward(self, input_ids, attention_mask):
        padding = attention_mask == 0
        return self.encoder(self.embedding(input_ids), src_key_padding_mask=padding)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_the_fast_path_of_a_transformer_encoder_gives_no_nested_tensors():
    model, names = Padded().eval(), ["encoder.layers.0", "encoder.layers.1"]
    nested = []
    handle = model.encoder.layers[0].register_forward_hook(lambda *seen: nested.append(seen[2]))
    with torch.no_grad():
        model(**LOADER[0])
    handle.remove()
    assert nested[0].is_nested
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        tokens = by_hand(model, LOADER, names)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    mask = joined(LOADER, "attention_mask")
    expected = {name: pooled(tokens[name], mask) for name in names}
    assert_measured(model, expected, LOADER, tolerance=1e-5)


def test_a_mask_that_would_be_lost_is_an_error():
    batches = [(batch["input_ids"], batch["attention_mask"]) for batch in LOADER]
    for act in (
        lambda: hooksim.compare(tiny("Bert"), tiny("Bert"), batches, progress=False),
        lambda: hooksim.record(tiny("Bert"), batches, progress=False),
    ):
        with pytest.raises(ConfigError, match="element 1 of the tuple looks like the mask of ele"):
            act()


def test_a_layer_of_another_length_than_the_mask_is_an_error():
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(60, 8)
            self.pairs = nn.AvgPool1d(2)

        def forward(self, input_ids, attention_mask):
            return self.pairs(self.embedding(input_ids).mT).mT

    class Transposed(Pairs):
        def __init__(self):
            super().__init__()
            self.last = nn.Identity()

        def forward(self, input_ids, attention_mask):
            return self.last(super().forward(input_ids, attention_mask))

    model = Transposed()
    with pytest.raises(ShapeError) as error:
        hooksim.compare(model, model, LOADER, layers_a="last", progress=False)
    assert str(error.value) == (
        "layer 'last' of model A (Transposed), batch 0 (first sample 0): its output has 3 tokens, "
        "but mask 'attention_mask' has 7. Leave this layer out, or give the mask that fits with "
        "Rows(mask=...)."
    )
