"""Tiny random models of many architectures, and batches that fit them."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 60,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 8,
    "patch_size": 4,
}
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
T5 = {"d_model": 16, "num_layers": 2, "num_heads": 2, "d_ff": 32, "d_kv": 8, "vocab_size": 60}
HALVES = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "Bert": TEXT,
    "Albert": {**TEXT, "embedding_size": 8},
    "Llama": TEXT,
    "GPT2": {"n_embd": 16, "n_layer": 3, "n_head": 2, "vocab_size": 60, **ENDS},
    "T5": {**T5, "decoder_start_token_id": 0},
    "ViT": VISION,
    "ResNet": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16],
        "depths": [2, 1],
        "layer_type": "basic",
    },
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [2, 1], "num_stages": 2},
    "Swin": {
        "embed_dim": 8,
        "depths": [2, 1],
        "num_heads": [2, 2],
        "image_size": 16,
        "patch_size": 2,
        "window_size": 2,
    },
    "CLIP": {"text_config": {**TEXT, "num_hidden_layers": 2}, "vision_config": VISION},
    "Whisper": {
        **HALVES,
        "vocab_size": 60,
        "num_mel_bins": 8,
        "max_source_positions": 10,
        "decoder_start_token_id": 1,
        **ENDS,
    },
    "Wav2Vec2": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": (8, 8),
        "conv_stride": (2, 2),
        "conv_kernel": (3, 3),
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    },
}


@cache
def tiny(name: str) -> nn.Module:
    """Make the bare model of an architecture once, in eval mode; tests must not change it."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**CONFIGS[name])
    model: nn.Module = getattr(transformers, f"{name}Model")(config)
    return model.eval()


def text_batch(lengths: list[int], total: int | None = None, left: bool = False) -> dict[str, Any]:
    """Token ids and mask for sequences of these lengths, padded on the right or left."""
    total = total or max(lengths)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 60, (len(lengths), total), generator=generator)
    steps = torch.arange(total).expand(len(lengths), total)
    length = torch.tensor(lengths)[:, None]
    mask = steps >= total - length if left else steps < length
    return {"input_ids": ids * mask, "attention_mask": mask.long()}


class Block(nn.Module):
    """A residual block of two weights."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(x)))


class Stack(nn.Module):
    """Blocks one after the other."""

    def __init__(self, depth: int = 3, width: int = 4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def hook_count(model: nn.Module) -> int:
    """Count hooks of every kind on every module."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


def compiled(model: nn.Module) -> nn.Module:
    """Compile a model with the backend that needs no compiler."""
    return torch.compile(model, backend="eager")
