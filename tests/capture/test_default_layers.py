import pytest
import torch
from torch import nn

from hooksim.capture.layers import select_layers
from tests.capture.tiny_models import Block, Stack, tiny


def defaults(model):
    return [layer.name for layer in select_layers(model, None)]


def numbered(prefix, count):
    return [f"{prefix}.{index}" for index in range(count)]


STAGES = ["stages.0.{}.0", "stages.0.{}.1", "stages.1.{}.0"]
EXPECTED = {
    "Bert": numbered("encoder.layer", 3),
    "GPT2": numbered("h", 3),
    "Llama": numbered("layers", 3),
    "T5": numbered("encoder.block", 2) + numbered("decoder.block", 2),
    "ViT": numbered("layers", 2),
    "ResNet": [f"encoder.{name.format('layers')}" for name in STAGES],
    "ConvNext": [f"encoder.{name.format('layers')}" for name in STAGES],
    "Swin": [f"encoder.{name.format('blocks')}".replace("stages", "layers") for name in STAGES],
    "CLIP": numbered("text_model.encoder.layers", 2) + numbered("vision_model.encoder.layers", 2),
    "Whisper": numbered("encoder.layers", 2) + numbered("decoder.layers", 2),
    "Wav2Vec2": numbered("encoder.layers", 2),
    "Albert": ["encoder.albert_layer_groups.0.albert_layers.0"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_models_give_their_blocks(name):
    assert defaults(tiny(name)) == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("GPT2LMHeadModel", "transformer.h"),
        ("LlamaForCausalLM", "model.layers"),
        ("BertForMaskedLM", "bert.encoder.layer"),
    ],
)
def test_heads_do_not_change_the_blocks(name, prefix):
    import transformers

    base = next(base for base in ("GPT2", "Llama", "Bert") if name.startswith(base))
    with torch.device("meta"):
        model = getattr(transformers, name)(tiny(base).config)
    assert defaults(model) == numbered(prefix, 3)


def test_stages_of_one_block_each():
    import transformers

    config = transformers.SwinConfig(embed_dim=8, depths=[1, 1], num_heads=[2, 2], image_size=16)
    with torch.device("meta"):
        model = transformers.SwinModel(config)
    assert defaults(model) == ["encoder.layers.0.blocks.0", "encoder.layers.1.blocks.0"]


def test_residual_bottlenecks():
    import transformers

    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2])
    with torch.device("meta"):
        model = transformers.ResNetModel(config)
    assert defaults(model) == [f"encoder.stages.{i}.layers.{j}" for i in (0, 1) for j in (0, 1)]


def test_transformer_encoder():
    layer = nn.TransformerEncoderLayer(4, 1, 8, batch_first=True)
    assert defaults(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)) == [
        "layers.0",
        "layers.1",
    ]


def test_sequence_of_blocks_as_the_model_itself():
    assert defaults(nn.Sequential(nn.Linear(4, 4), Block(), Block())) == ["1", "2"]


def test_blocks_between_other_layers():
    features = nn.Sequential(nn.Conv2d(1, 4, 1), Block(), nn.ReLU(), Block(), nn.Linear(4, 2))
    assert defaults(nn.Sequential(features, nn.Linear(2, 2))) == ["0.1", "0.3"]


def test_lists_of_lists_give_their_members():
    layers = nn.ModuleList(nn.ModuleList([nn.MultiheadAttention(4, 1), Block()]) for _ in range(2))
    model = nn.Module()
    model.layers = layers
    assert defaults(model) == ["layers.0.0", "layers.0.1", "layers.1.0", "layers.1.1"]


def test_convolution_and_norm_is_a_block_only_where_nothing_larger_repeats():
    def unit():
        return nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU())

    assert defaults(nn.Sequential(unit(), unit())) == ["0", "1"]
    assert defaults(nn.Sequential(unit(), unit(), Block(), Block())) == ["2", "3"]


def test_experts_are_not_the_blocks():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.mlp = nn.Module()
            self.mlp.experts = nn.ModuleList(Block() for _ in range(4))

    assert defaults(nn.Sequential(Layer(), Layer())) == ["0", "1"]


def test_one_shared_block_is_one_layer():
    block = Block()
    assert defaults(nn.Sequential(block, block, block)) == ["0"]


def test_a_single_block_in_a_list():
    assert defaults(Stack(1)) == ["blocks.0"]


def test_leaves_with_parameters_where_nothing_repeats():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    assert defaults(model) == ["0", "2", "3"]
