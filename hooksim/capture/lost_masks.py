"""Masks that the rows of a batch would not see: found by their looks, and refused."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from hooksim.capture.batches import holds_samples
from hooksim.capture.mask_forms import ends_in_runs, is_added, is_binary, kept_tokens, mask_key
from hooksim.errors import ConfigError

__all__ = ["refuse_lost_masks"]

_NO_MASKS = frozenset(
    {
        "assistant_masks",
        "end_positions",
        "global_attention_mask",
        "p_mask",
        "position_ids",
        "sample_ids",
        "special_tokens_mask",
        "start_positions",
        "y",
    }
)
_NO_MASK_WORDS = ("adjacency", "label", "target", "token_type", "segment", "decoder_")


def refuse_lost_masks(batch: Any, keys: Collection[str], *, own_forward: bool = False) -> None:
    """Refuse a batch whose mask would be lost, so that rows averaged over padding.

    A value looks like a mask where it is `(samples, tokens)`, integer or bool, holds only 0 and 1,
    and leaves every sample a real token, beside an input with these samples and tokens that is not
    binary itself. So 0/1 targets of 0/1 inputs, images of either, and token types of all zeros
    pass. One whose ones are the padding, one of floating 0 and 1, and those that attention takes,
    `(samples, 1, 1, tokens)` and their like, look like a mask where what they mark stands at the
    ends of the sequences; what is added to the scores of attention says itself that it is one.

    In a tuple nothing tells a 0/1 label of every token from a mask, so it is refused too: the
    error names the way out, a mapping with a key for each. In a mapping the names help: labels,
    targets, token types, positions, what a decoder takes and the known masks of other things
    pass, and so does a mask of all ones, which loses nothing. Where the mapping has the key that
    the rows read, nothing is refused.

    Args:
        batch: One model's part of a loader item, before it is moved.
        keys: The keys of the masks that the row policies read.
        own_forward: Whether the user's own forward gets the batch as it is.

    Raises:
        ConfigError: An element or a key looks like a mask that no row policy reads.

    Example:
        >>> import torch
        >>> tokens = torch.tensor([[5, 6], [5, 0]])
        >>> refuse_lost_masks({"input_ids": tokens, "mask": tokens > 0}, ["attention_mask"])
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: loader: key 'mask' looks like the mask of the real tokens, ...
    """
    if isinstance(batch, Mapping):
        _check_keys(batch, keys)
    elif isinstance(batch, tuple | list) and batch and holds_samples(batch[0]):
        refuse_lost_masks(batch[0], keys, own_forward=own_forward)
        _check_elements(batch, keys, own_forward)


def _check_keys(batch: Mapping[str, Any], keys: Collection[str]) -> None:
    missing = _missing(batch, keys)
    tensors = _possible_inputs(batch)
    for key, value in tensors.items() if missing else ():
        others = [each for name, each in tensors.items() if name != key]
        if any(_looks_like_mask(value, each) for each in others) and not bool(value.all()):
            raise ConfigError(
                f"loader: key {key!r} looks like the mask of the real tokens, but rows read "
                f"{missing[0]!r}, which the batch lacks. Use rows=hooksim.Rows(mask={key!r}) if "
                "its ones are the real tokens, with mask_is_padding=True if they are the padding; "
                f"if it is no such mask, add {missing[0]!r}."
            )


def _check_elements(
    batch: tuple[Any, ...] | list[Any], keys: Collection[str], own_forward: bool
) -> None:
    first = batch[0]
    inputs = [first] if isinstance(first, Tensor) else []
    if isinstance(first, Mapping) and _missing(first, keys):
        inputs = list(_possible_inputs(first).values())
    for index, other in enumerate(batch[1:], start=1):
        if any(_looks_like_mask(other, each) for each in inputs):
            way_out = (
                "Give a mapping with 'attention_mask', whose values reach forward as they are, or "
                "with another key for it and rows=hooksim.Rows(mask=...)."
                if own_forward
                else "Give a mapping such as {'input_ids': ..., 'attention_mask': ...}."
            )
            raise ConfigError(
                f"loader: element {index} of the {type(batch).__name__} looks like the mask of "
                f"element 0, and would be lost to the rows. {way_out} If these are labels, call "
                "them 'labels' there."
            )


def _missing(batch: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    return [key for key in sorted(keys) if mask_key(batch, key) is None]


def _possible_inputs(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors that are not known to be something else than an input or its mask."""
    return {
        key: value
        for key, value in batch.items()
        if isinstance(value, Tensor)
        and key not in _NO_MASKS
        and not any(word in str(key) for word in _NO_MASK_WORDS)
    }


def _looks_like_mask(value: Any, tokens: Tensor) -> bool:
    if not isinstance(value, Tensor) or not _fits(value, tokens) or is_binary(tokens):
        return False
    if value.ndim == 2 and not value.is_floating_point() and is_binary(value):
        if bool(value.any(dim=1).all()):
            return True
    elif not (is_added(value) or is_binary(value)):
        return False
    readings = [kept_tokens(value, marks_padding) for marks_padding in (False, True)]
    kept = [keep for keep in readings if keep is not None]
    # A triangle hides nothing in one of its readings: it says what comes later.
    return not any(map(bool, map(Tensor.all, kept))) and any(ends_in_runs(~keep) for keep in kept)


def _fits(value: Tensor, tokens: Tensor) -> bool:
    """Whether a value is `(B, T)`, `(B, 1 or T, T)` or `(B, 1, 1 or T, T)` beside B x T tokens."""
    if tokens.ndim not in (2, 3):
        return False
    size, length = tokens.shape[:2]
    forms = {(size, *middle, length) for middle in ((), (1,), (1, 1), (length,), (1, length))}
    return tuple(value.shape) in forms
