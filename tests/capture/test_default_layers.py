import copy

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from hooksim.capture.layers import select_layers
from tests.capture.tiny_models import Block, Stack, compiled, tiny


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


@pytest.mark.parametrize("wrap", [compiled, checkpoint_wrapper])
@pytest.mark.parametrize("wrapped", [[0, 1, 2], [1]])
def test_blocks_that_are_wrapped_one_by_one(wrap, wrapped):
    """What torch.compile gives has `__len__`, and fails at it where the block has none."""
    model = copy.deepcopy(tiny("Bert"))
    blocks = [model.encoder.layer[place] for place in range(3)]
    for place in wrapped:
        model.encoder.layer[place] = wrap(blocks[place])
    selected = select_layers(model, None)
    assert [layer.name for layer in selected] == EXPECTED["Bert"]
    assert [layer.module for layer in selected] == blocks


def test_stages_whose_blocks_are_compiled_hand_over_to_them():
    model = copy.deepcopy(tiny("ResNet"))
    for stage in model.encoder.stages:
        for place, block in enumerate(stage.layers):
            stage.layers[place] = compiled(block)
    assert defaults(model) == EXPECTED["ResNet"]


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


def test_a_layer_of_another_kind_among_the_blocks():
    class Attention(Block):
        pass

    model = Stack(4)
    model.blocks[1] = Attention()
    assert defaults(model) == numbered("blocks", 4)


def test_the_only_layer_of_the_other_half():
    class Decoder(Block):
        pass

    model = nn.ModuleDict({"encoder": Stack(2), "decoder": Stack(1)})
    model["decoder"].blocks[0] = Decoder()
    model["heads"] = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))])
    assert defaults(model) == [*numbered("encoder.blocks", 2), "decoder.blocks.0"]


def test_a_stage_of_two_kinds_of_blocks():
    class Last(Block):
        pass

    class Stage(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([Block(), Block(), Last()])
            self.reduction = nn.Linear(4, 4)

    model = nn.Sequential(Stage(), Stage())
    assert defaults(model) == numbered("0.blocks", 3) + numbered("1.blocks", 3)


def test_the_parts_of_a_block_are_not_a_row_of_blocks():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value, self.output = (nn.Linear(4, 4) for _ in range(4))
            self.embed, self.project, self.merge = (nn.Linear(4, 4) for _ in range(3))
            self.ffn = nn.ModuleList(Block(8) for _ in range(3))

    assert defaults(nn.Sequential(Layer(), Layer())) == ["0", "1"]


def test_what_parametrizes_a_weight_is_no_layer():
    def unit():
        return nn.Sequential(weight_norm(nn.Conv1d(2, 2, 1)), nn.ReLU())

    assert defaults(nn.Sequential(unit(), unit())) == ["0", "1"]
    assert defaults(nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.ReLU())) == ["0"]
    assert defaults(nn.ModuleList(weight_norm(nn.Conv1d(2, 2, 1)) for _ in range(2))) == ["0", "1"]


@pytest.mark.parametrize("model", [nn.LSTM(3, 4), nn.Linear(3, 4), nn.MultiheadAttention(4, 2)])
def test_a_model_that_is_one_layer(model):
    assert defaults(model) == [type(model).__name__]


def test_attention_is_one_layer_whatever_it_is_made_of():
    assert defaults(nn.Sequential(nn.Linear(4, 4), nn.MultiheadAttention(4, 2))) == ["0", "1"]


@pytest.mark.filterwarnings(
    "ignore:torch.ao.quantization is deprecated", "ignore:torch.quantize_per"
)
def test_quantized_models_have_the_same_blocks():
    quantize = torch.ao.quantization.quantize_dynamic
    assert defaults(quantize(tiny("Bert"), {nn.Linear})) == EXPECTED["Bert"]
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert defaults(quantize(model, {nn.Linear})) == ["0", "2"]


def test_weights_that_are_buffers_of_integers():
    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("qweight", torch.zeros(4, 4, dtype=torch.int32))

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer, self.norm = Quantized(), Quantized(), nn.LayerNorm(4)

    assert defaults(nn.Sequential(Layer(), Layer())) == ["0", "1"]
    assert defaults(nn.Sequential(Quantized(), nn.ReLU())) == ["0"]


def test_a_parametrized_weight_is_not_computed_to_look_at_it():
    model = nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.ReLU())
    before = [each.clone() for each in model.buffers()]
    assert defaults(model) == ["0"]
    assert all(map(torch.equal, before, model.buffers()))
