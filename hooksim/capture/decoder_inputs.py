"""What the decoder of an encoder-decoder model reads where the batch has no input for it."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["DECODER_INPUTS", "DecoderInputs", "derived_decoder_inputs"]

DECODER_INPUTS = ("decoder_input_ids", "decoder_inputs_embeds")
"""The names by which transformers feeds a decoder."""

_LABELS = "labels"
_TOKENS = "input_ids"
_NO_LABEL = -100  # what the losses of torch and transformers pass over


class DecoderInputs(NamedTuple):
    """Inputs made for a decoder.

    Attributes:
        inputs: By name; empty where none are made.
        made_of: The key of the batch that they are made of.
    """

    inputs: Mapping[str, Tensor]
    made_of: str


def derived_decoder_inputs(
    model: nn.Module, batch: Mapping[str, Any], accepted: Collection[str], masks: Collection[str]
) -> DecoderInputs:
    """Make a decoder's tokens and their mask, as they are made in training.

    They are the labels, or, where there are none and both halves share one vocabulary, the
    encoder's own tokens (what BART does by itself), moved one to the right behind the token that
    starts a decoder. The mask keeps padding out of the decoder's rows.

    Args:
        model: The model whose forward it is.
        batch: Its inputs by name, before they are moved.
        accepted: What its forward takes.
        masks: Keys of the masks of the encoder's tokens.

    Returns:
        The inputs; none where the model has no decoder, where the batch feeds it, or where it is
        not known how its decoder starts.
    """
    nothing = DecoderInputs({}, "")
    if "decoder_input_ids" not in accepted or any(
        batch.get(key) is not None for key in DECODER_INPUTS
    ):
        return nothing
    for key in (_LABELS, _TOKENS):
        tokens = batch.get(key)
        if (
            tokens is None
            or not _are_tokens(tokens)
            or (key == _TOKENS and not _one_vocabulary(model))
        ):
            continue
        real = _real_tokens(tokens, [batch.get(mask) for mask in sorted(masks)])
        shifted = _shifted(model, tokens.long().masked_fill(~real, _NO_LABEL))
        if shifted is None:
            return nothing
        return DecoderInputs(
            {"decoder_input_ids": shifted, "decoder_attention_mask": real.long()}, key
        )
    return nothing


def _are_tokens(value: Any) -> bool:
    """Whether a value is `(samples, tokens)`: a label of a whole sample is not."""
    return (
        isinstance(value, Tensor)
        and value.ndim == 2
        and not (value.is_floating_point() or value.dtype == torch.bool)
    )


def _real_tokens(tokens: Tensor, masks: list[Any]) -> Tensor:
    """Where tokens are none of padding: labels say it themselves, inputs by their mask."""
    real = tokens != _NO_LABEL
    for mask in masks:
        if isinstance(mask, Tensor) and mask.shape == tokens.shape:
            # Whether anything has said it yet stays a tensor: to ask would wait for an accelerator.
            real = real & ((mask.to(tokens.device) != 0) | ~real.all())
    return real


def _one_vocabulary(model: nn.Module) -> bool:
    """Whether encoder and decoder look their tokens up in one and the same table."""
    try:
        tables = [
            half.get_input_embeddings().weight
            for half in (model.get_encoder(), model.get_decoder())  # type: ignore[operator]
        ]
    except (AttributeError, NotImplementedError):  # a half without tokens, such as sound
        return False
    return tables[0] is tables[1]


def _shifted(model: nn.Module, labels: Tensor) -> Tensor | None:
    """Move labels one to the right: by the model's own way, else behind its start token."""
    own = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if own is not None:
        made: Tensor = own(labels=labels)
        return made
    config: Any = getattr(model, "config", None)
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        return None
    first = torch.full_like(labels[:, :1], start)
    before = labels[:, :-1]
    padding = getattr(config, "pad_token_id", None) or 0
    return torch.cat([first, before.masked_fill(before == _NO_LABEL, padding)], dim=1)
