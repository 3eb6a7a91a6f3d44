"""The forms a mask comes in, and which tokens each says are real."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "DECODER_MASK",
    "MASK",
    "SHORTENS",
    "ends_in_runs",
    "is_added",
    "is_binary",
    "kept_tokens",
    "mask_key",
    "mask_prefix",
    "masks_of_others",
    "padding_is_marked",
]

_LEAST = -1000.0
"""What is added to the scores of padding is below: -inf, the type's smallest, or -10,000."""

MASK = "attention_mask"
DECODER_MASK = "decoder_attention_mask"
"""The keys under which transformers' tokenizers and models know masks."""

SHORTENS = "_get_feat_extract_output_lengths"
"""The method by which the audio models of transformers tell how long a shortened input is."""

_TORCH = "key_padding_mask"


def kept_tokens(mask: Tensor, marks_padding: bool = False) -> Tensor | None:
    """Tell the real tokens of a mask of any usual form.

    A token is padding where no other token may look at it. What is added to attention scores, 0
    for real tokens and something very negative for the others, says so itself.

    Args:
        mask: `(samples, tokens)`, or for every token that looks, and for every head,
            `(samples, 1 or tokens, tokens)` and `(samples, heads, 1 or tokens, tokens)`.
        marks_padding: Whether its ones are the padding.

    Returns:
        `(samples, tokens)` bool on the CPU; None where it has another shape.

    Example:
        >>> kept_tokens(torch.tensor([[[[0.0, -1e9]]], [[[0.0, 0.0]]]]))
        tensor([[ True, False],
                [ True,  True]])
    """
    values = torch.as_tensor(mask).detach().cpu()
    if values.ndim not in (2, 3, 4):
        return None
    if values.ndim > 2 and values.shape[-2] not in (1, values.shape[-1]):
        return None
    # Zeros for all that look are added to scores too; zeros for all tokens would mark no real one.
    zeros = values.ndim > 2 and values.is_floating_point() and not bool(values.any())
    added = zeros or is_added(values)
    keep = values > _LEAST if added else (values != 0) ^ marks_padding
    return keep if keep.ndim == 2 else keep.flatten(1, -2).any(dim=1)


def is_added(mask: Tensor) -> bool:
    """Tell whether a mask is added to the scores of attention.

    Args:
        mask: Any tensor.

    Returns:
        True for floating numbers of which none is above 0 and some are very negative.
    """
    if not mask.is_floating_point() or bool((mask > 0).any()):
        return False
    return bool((mask < _LEAST).any())


def is_binary(value: Tensor) -> bool:
    """Tell whether a tensor holds nothing but 0 and 1.

    Args:
        value: Any tensor.

    Returns:
        True where it does; an empty one too.
    """
    return bool(((value == 0) | (value == 1)).all())


def ends_in_runs(padding: Tensor) -> bool:
    """Tell whether marks stand where a tokenizer pads: in runs that reach an end of their rows.

    Args:
        padding: `(samples, tokens)` bool.

    Returns:
        True where they do, some are set, and every row has one that is not.
    """
    changes = (padding[:, 1:] != padding[:, :-1]).sum(dim=1)
    whole = padding.all(dim=1)
    return bool(padding.any()) and not bool(whole.any()) and bool((changes <= 1).all())


def padding_is_marked(key: str, said: bool | None = None) -> bool | None:
    """Tell what the ones of a mask mark.

    Args:
        key: Its key in the batch.
        said: What the row policy says.

    Returns:
        True for padding, as torch's `src_key_padding_mask` has it; False for real tokens; None
        where the name tells neither: a `padding_mask` is one thing for fairseq and the other for
        some models of transformers.

    Example:
        >>> padding_is_marked("src_key_padding_mask"), padding_is_marked("attention_mask")
        (True, False)
    """
    if said is not None:
        return said
    if key.endswith(_TORCH):
        return True
    return None if key.endswith(("padding_mask", "pad_mask")) else False


def mask_key(inputs: Mapping[str, Any], key: str) -> str | None:
    """Find the mask in a batch that stands for a key.

    Args:
        inputs: The batch's mapping.
        key: The key that rows ask for.

    Returns:
        The key; for the two usual ones, where they are missing, torch's name for the same; None
        where there is no such mask.

    Example:
        >>> mask_key({"src_key_padding_mask": torch.zeros(2, 3)}, "attention_mask")
        'src_key_padding_mask'
    """
    if inputs.get(key) is not None or key not in (MASK, DECODER_MASK):
        return key if inputs.get(key) is not None else None
    # The mask of another model's memory says nothing of this one's layers.
    others = ("tgt_", "memory_")
    for name in inputs:
        of_decoder = str(name).startswith("tgt_")
        fits = of_decoder if key == DECODER_MASK else not str(name).startswith(others)
        if fits and str(name).endswith(_TORCH) and inputs[name] is not None:
            return str(name)
    return None


def mask_prefix(key: str) -> str:
    """Give how the inputs that a mask goes with are called.

    Args:
        key: The mask's key.

    Returns:
        What their names begin with; empty for any name.

    Example:
        >>> mask_prefix("pixel_attention_mask"), mask_prefix("attention_mask")
        ('pixel_', '')
    """
    return key.removesuffix(MASK) if key.endswith(MASK) else ""


def masks_of_others(inputs: Mapping[str, Any], key: str) -> list[str]:
    """Find the masks that go with other inputs than the usual one, such as those of a second tower.

    Args:
        inputs: The batch's mapping.
        key: The key of the mask that rows ask for.

    Returns:
        The keys of the other masks `(samples, tokens)` of 0 and 1, but for a decoder's.

    Example:
        >>> mask, patches = torch.ones(2, 3).long(), torch.zeros(2, 3, 8)
        >>> inputs = {"attention_mask": mask, "pixel_values": patches, "pixel_attention_mask": mask}
        >>> masks_of_others({**inputs, "global_attention_mask": mask}, "attention_mask")
        ['pixel_attention_mask']
    """
    found = []
    for name in map(str, inputs):
        value, prefix = inputs[name], mask_prefix(name)
        if not name.endswith(MASK) or name in (key, DECODER_MASK) or not isinstance(value, Tensor):
            continue
        named = any(str(each).startswith(prefix) for each in inputs if each != name)
        if named and value.ndim == 2 and is_binary(value):
            found.append(name)
    return found
