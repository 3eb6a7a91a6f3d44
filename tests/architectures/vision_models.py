"""Models of images, audio, video, and of images with text: what is built, and default layers."""

from functools import partial

import torch
from torch import Tensor

from tests.architectures.architecture import (
    SIZE,
    Architecture,
    captions,
    images,
    numbered,
    seeded,
    vectors,
    waves,
)
from tests.architectures.text_models import SEQUENCES, WIDTHS
from tests.capture.tiny_models import HALVES

VISION = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 4,
}
_LARGE_PATCHES = {**VISION, "patch_size": 8}
_TOWERS = {"text_config": WIDTHS, "vision_config": VISION, "projection_dim": 8}
_STAGES = {"hidden_sizes": [8, 16], "depths": [2, 1]}
_SWIN = {
    "embed_dim": 8,
    "depths": [2, 1],
    "num_heads": [2, 2],
    "image_size": 16,
    "patch_size": 2,
    "window_size": 2,
}
WAVES = {
    **WIDTHS,
    "conv_dim": (8, 8),
    "conv_stride": (2, 2),
    "conv_kernel": (3, 3),
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}


def spectrograms(number: int) -> dict[str, Tensor]:
    """Mel spectrograms for an encoder, and token ids for its decoder."""
    generator = seeded(number)
    return {
        "input_features": torch.randn(SIZE, 8, 20, generator=generator),
        "decoder_input_ids": torch.randint(3, 60, (SIZE, 5), generator=generator),
    }


def frames(number: int) -> dict[str, Tensor]:
    """Spectrograms with time first, as long as each other."""
    return {"input_values": torch.randn(SIZE, 16, 8, generator=seeded(number))}


def bare_waves(number: int) -> dict[str, Tensor]:
    """Raw audio, all as long."""
    return {"input_values": vectors(number, (120,))}


def features(number: int) -> dict[str, Tensor]:
    """Filter banks with their mask."""
    mask = torch.ones(SIZE, 20).long()
    mask[1, 12:] = 0
    return {
        "input_features": torch.randn(SIZE, 20, 160, generator=seeded(number)),
        "attention_mask": mask,
    }


def videos(number: int) -> dict[str, Tensor]:
    """Videos of noise."""
    return {"pixel_values": torch.randn(SIZE, 4, 3, 16, 16, generator=seeded(number))}


def questions(number: int) -> dict[str, Tensor]:
    """Prompts in which the first 4 tokens stand for the image."""
    batch = captions(number)
    batch["input_ids"][:, :4] = 59
    return batch


def _image(make, *rows, **settings):
    return Architecture(make, images, numbered(*rows), settings)


def _large(make, *rows, **settings):
    batch = partial(images, size=32)
    return Architecture(make, batch, numbered(*rows), {**settings, "image_size": 32})


def _towers(make, text="text_model.encoder.layers x2", **settings):
    layers = numbered(text, "vision_model.encoder.layers x2")
    return Architecture(make, captions, layers, {**_TOWERS, **settings}, padding=("right",))


def _waves(make, **settings):
    return Architecture(make, waves, numbered("encoder.layers x2"), {**WAVES, **settings})


_TWO = ("encoder.stages.0.layers x2", "encoder.stages.1.layers x1")
_SWIN_BLOCKS = ("encoder.layers.0.blocks x2", "encoder.layers.1.blocks x1")

IMAGES = {
    "ViT": _image("ViTModel", "layers x2", **VISION),
    "ViT with its head": _image("ViTForImageClassification", "vit.layers x2", **VISION),
    "DeiT": _image("DeiTModel", "layers x2", **VISION),
    "BEiT": _image("BeitModel", "layers x2", **VISION),
    "Data2Vec vision": _image("Data2VecVisionModel", "encoder.layer x2", **VISION),
    "DINOv2": _image("Dinov2Model", "encoder.layer x2", **VISION),
    "DINOv2 with registers": _image("Dinov2WithRegistersModel", "encoder.layer x2", **VISION),
    "DINOv3": _image("DINOv3ViTModel", "model.layer x2", **VISION),
    "DINOv3 ConvNeXt": _large(
        "DINOv3ConvNextModel",
        "model.stages.0.layers x2",
        "model.stages.1.layers x1",
        "model.stages.2.layers x1",
        "model.stages.3.layers x1",
        hidden_sizes=[8, 8, 8, 16],
        depths=[2, 1, 1, 1],
    ),
    "I-JEPA": _image("IJepaModel", "layers x2", **VISION),
    "ViT-MSN": _image("ViTMSNModel", "layers x2", **VISION),
    "Swin": _image("SwinModel", *_SWIN_BLOCKS, **_SWIN),
    "Swin v2": _image("Swinv2Model", *_SWIN_BLOCKS, **_SWIN),
    "ConvNeXt": _image("ConvNextModel", *_TWO, num_stages=2, **_STAGES),
    "ConvNeXt v2": _image("ConvNextV2Model", *_TWO, num_stages=2, **_STAGES),
    "ResNet": _image("ResNetModel", *_TWO, embedding_size=8, layer_type="basic", **_STAGES),
    "ResNet with its head": _image(
        "ResNetForImageClassification",
        *(f"resnet.{row}" for row in _TWO),
        embedding_size=8,
        **_STAGES,
    ),
    "BiT": _image("BitModel", *_TWO, embedding_size=8, num_groups=2, **_STAGES),
    "RegNet": _image("RegNetModel", *_TWO, embedding_size=8, groups_width=4, **_STAGES),
    "MobileNet v1": _large("MobileNetV1Model", "layer x26", depth_multiplier=0.25, min_depth=4),
    "MobileNet v2": _large(
        "MobileNetV2Model", "layer x16", depth_multiplier=0.25, min_depth=4, depth_divisible_by=4
    ),
    "EfficientNet": _large(
        "EfficientNetModel",
        "encoder.blocks x10",
        width_coefficient=0.25,
        depth_coefficient=0.5,
        depth_divisor=4,
        hidden_dim=320,
        initializer_range=0.3,
    ),
    "SegFormer": _image(
        "SegformerModel",
        "stages.0.blocks x2",
        "stages.1.blocks x1",
        num_encoder_blocks=2,
        depths=[2, 1],
        hidden_sizes=[8, 16],
        num_attention_heads=[1, 2],
        sr_ratios=[2, 1],
        patch_sizes=[3, 3],
        strides=[2, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
    ),
    "PVT v2": _image(
        "PvtV2Model",
        "encoder.layers.0.blocks x2",
        "encoder.layers.1.blocks x1",
        num_encoder_blocks=2,
        depths=[2, 1],
        hidden_sizes=[8, 16],
        num_attention_heads=[1, 2],
        sr_ratios=[2, 1],
        patch_sizes=[3, 3],
        strides=[2, 2],
        mlp_ratios=[2, 2],
        image_size=16,
    ),
    "PoolFormer": _image(
        "PoolFormerModel",
        "encoder.block.0 x2",
        "encoder.block.1 x1",
        num_encoder_blocks=2,
        depths=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[3, 3],
        strides=[2, 2],
        padding=[1, 1],
        mlp_ratio=2.0,
    ),
    "FocalNet": _image(
        "FocalNetModel",
        *_TWO,
        embed_dim=8,
        hidden_sizes=[8, 16],
        depths=[2, 1],
        focal_levels=[1, 1],
        focal_windows=[3, 3],
        image_size=16,
        patch_size=2,
    ),
    "LeViT": Architecture(
        "LevitModel",
        lambda number: images(number, 32),
        [
            f"encoder.stages.{stage}.layers.{index}"
            for stage, count in enumerate((4, 2))
            for index in range(count)
        ],
        {
            "hidden_sizes": [16, 16],
            "num_attention_heads": [2, 2],
            "depths": [1, 1],
            "key_dim": [4, 4],
            "attention_ratio": [2, 2],
            "mlp_ratio": [2, 2],
            "image_size": 32,
            "down_ops": [["Subsample", 4, 4, 4, 2, 2], [""]],
        },
    ),
    "SwiftFormer": _large(
        "SwiftFormerModel",
        *(f"encoder.network.{stage}.blocks x3" for stage in (0, 2, 4, 6)),
        depths=[3, 3, 3, 3],
        embed_dims=[8, 8, 16, 16],
    ),
    "MobileViT": Architecture(
        "MobileViTModel",
        lambda number: images(number, 128),
        [
            "encoder.layer.0.layer.0",
            *numbered("encoder.layer.1.layer x3"),
            "encoder.layer.2",
            "encoder.layer.3",
            "encoder.layer.4",
        ],
        {
            "hidden_sizes": [16, 16, 16],
            "neck_hidden_sizes": [4, 4, 8, 8, 8, 8, 16],
            "num_attention_heads": 2,
            "image_size": 128,
            "initializer_range": 0.3,
        },
    ),
    "Hiera": Architecture(
        "HieraModel",
        lambda number: images(number, 32),
        numbered(*_TWO),
        {
            "embed_dim": 8,
            "image_size": [32, 32],
            "patch_kernel": [7, 7],
            "patch_stride": [4, 4],
            "patch_padding": [3, 3],
            "depths": [2, 1],
            "num_heads": [1, 2],
            "num_query_pool": 1,
            "query_stride": [2, 2],
            "masked_unit_size": [4, 4],
            "masked_unit_attention": [True, False],
            "embed_dim_multiplier": 2.0,
        },
    ),
    "YOLOS": _image(
        "YolosModel",
        "encoder.layer x2",
        **{**VISION, "image_size": [16, 16]},
        num_detection_tokens=3,
    ),
    "DPT": _image("DPTModel", "encoder.layer x2", **VISION),
    "DETR": Architecture(
        "DetrModel",
        partial(images, size=32),
        [
            *(f"backbone.model.{row}" for row in numbered(*_TWO)),
            *numbered("encoder.layers x2", "decoder.layers x2"),
        ],
        {
            "use_timm_backbone": False,
            "backbone": None,
            "backbone_config": {
                "model_type": "resnet",
                "embedding_size": 8,
                "out_features": ["stage2"],
                **_STAGES,
            },
            **HALVES,
            "num_queries": 4,
        },
    ),
    "SAM vision": _image(
        "SamVisionModel",
        "vision_encoder.layers x2",
        **VISION,
        output_channels=8,
        window_size=2,
        global_attn_indexes=[1],
        mlp_dim=32,
    ),
    "VideoMAE": Architecture(
        "VideoMAEModel",
        videos,
        numbered("encoder.layer x2"),
        {**VISION, "num_frames": 4, "tubelet_size": 2},
    ),
    "ViViT": Architecture(
        "VivitModel",
        videos,
        numbered("layers x2"),
        {**VISION, "num_frames": 4, "tubelet_size": [2, 4, 4]},
    ),
    "TimeSformer": Architecture(
        "TimesformerModel", videos, numbered("encoder.layer x2"), {**VISION, "num_frames": 4}
    ),
}

TOWERS = {
    "CLIP": _towers("CLIPModel"),
    "SigLIP": _towers("SiglipModel"),
    "Chinese-CLIP": _towers("ChineseCLIPModel", "text_model.encoder.layer x2"),
    "AltCLIP": _towers("AltCLIPModel", "text_model.roberta.encoder.layers x2"),
    "BLIP": _towers("BlipModel", "text_model.encoder.layer x2"),
    "OWL-ViT": _towers("OwlViTModel"),
    "LLaVA": Architecture(
        "LlavaModel",
        questions,
        numbered("vision_tower.encoder.layers x2", "language_model.layers x2"),
        {
            "vision_config": {"model_type": "clip_vision_model", **_LARGE_PATCHES},
            "text_config": {"model_type": "llama", **WIDTHS},
            "image_token_index": 59,
            "vision_feature_layer": -1,
        },
    ),
    "PaliGemma": Architecture(
        "PaliGemmaModel",
        questions,
        numbered("vision_tower.encoder.layers x2", "language_model.layers x2"),
        {
            "vision_config": {"model_type": "siglip_vision_model", **_LARGE_PATCHES},
            "text_config": {
                "model_type": "gemma",
                **WIDTHS,
                "num_key_value_heads": 1,
                "head_dim": 8,
            },
            "image_token_index": 59,
            "projection_dim": 16,
        },
    ),
}

AUDIO = {
    "Whisper": Architecture(
        "WhisperModel",
        spectrograms,
        numbered("encoder.layers x2", "decoder.layers x2"),
        {**SEQUENCES, "num_mel_bins": 8, "max_source_positions": 10},
    ),
    "Wav2Vec2": _waves("Wav2Vec2Model"),
    "HuBERT": _waves("HubertModel"),
    "WavLM": Architecture("WavLMModel", bare_waves, numbered("encoder.layers x2"), WAVES),
    "UniSpeech": _waves("UniSpeechModel"),
    "Data2Vec audio": _waves("Data2VecAudioModel", num_conv_pos_embeddings=2),
    "Wav2Vec2-Conformer": _waves("Wav2Vec2ConformerModel"),
    "Wav2Vec2-BERT": Architecture(
        "Wav2Vec2BertModel",
        features,
        numbered("encoder.layers x2"),
        {**WIDTHS, "feature_projection_input_dim": 160},
    ),
    "AST": Architecture(
        "ASTModel",
        frames,
        numbered("layers x2"),
        {**VISION, "num_mel_bins": 8, "max_length": 16, "frequency_stride": 4, "time_stride": 4},
    ),
}

VISION_MODELS = {**IMAGES, **TOWERS, **AUDIO}
