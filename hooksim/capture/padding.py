"""Padding that no mask tells the rows of: found by its looks in a batch, and warned of."""

from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from hooksim.capture.batches import main_tensor
from hooksim.capture.decoder_inputs import DECODER_INPUTS
from hooksim.capture.mask_forms import DECODER_MASK, SHORTENS, mask_key

__all__ = ["UnmaskedPadding", "padding_tokens"]


def padding_tokens(model: nn.Module) -> frozenset[int]:
    """Give the tokens that a model is padded with.

    Args:
        model: The unwrapped model.

    Returns:
        The `pad_token_id` and, since many tokenizers pad with it, the `eos_token_id` of its
        configuration and of that of its text; the `padding_idx` of its embeddings.

    Example:
        >>> sorted(padding_tokens(nn.Sequential(nn.Embedding(9, 4, padding_idx=0))))
        [0]
    """
    config = getattr(model, "config", None)
    found: list[Any] = []
    for each in (config, getattr(config, "text_config", None)):
        eos = getattr(each, "eos_token_id", None)
        found += [getattr(each, "pad_token_id", None), *(eos if isinstance(eos, list) else [eos])]
    found += [each.padding_idx for each in model.modules() if isinstance(each, nn.Embedding)]
    return frozenset(token for token in found if isinstance(token, int))


class UnmaskedPadding:
    """Looks for padding in one model's batches, until some is found.

    Padded tokens look like this: a padding token stands nowhere but at the ends of the rows, in
    runs of two or more at one end, and once at most at the other, where it may begin or end a
    text; and every row holds another token too. A token that ever stands elsewhere is none of
    padding, and is not looked for again. Steps of numbers, `(B, T, D)` or sound `(B, T)`, are
    padded with zeros in the same way, but for the longest row. And a mask of pixels may say that
    images are padded, which no row policy leaves out. The host's batches are all looked at, those
    that come on an accelerator only once: a look waits for it.

    State: `found`, what is padded and what to do, sentences without a beginning; empty so far.

    Args:
        model: The unwrapped model.
        masks: The keys of the masks that its views read.

    Example:
        >>> watch = UnmaskedPadding(nn.Embedding(9, 4, padding_idx=0), ["attention_mask"])
        >>> watch.look({"": torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])}, {})
        >>> watch.found
        "the input ends or begins in runs of the padding token 0, and no 'attention_mask' came, ..."
    """

    def __init__(self, model: nn.Module, masks: Collection[str]) -> None:
        self.found = ""
        self._masks = sorted(masks)
        self._tokens = sorted(padding_tokens(model))
        self._hears = any(hasattr(each, SHORTENS) for each in model.modules())
        self._looked = False

    def look(self, given: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        """Look at a batch.

        Args:
            given: What is passed to the model, by name, as it came; without a name by "".
            inputs: The batch's mapping, for its masks.
        """
        for key, value, masks in [] if self.found else _asked(given, self._masks):
            missing = [mask for mask in masks if mask_key(inputs, mask) is None]
            padded = self._padded_with(value) if missing and self._seen(value) else ""
            if padded:
                what = f"{key!r}" if key else "the input"
                self.found = (
                    f"{what} ends or begins in runs of {padded}, and no {missing[0]!r} came, so "
                    "the rows hold padding. Give the mask of what is real too."
                )
                break
        for key in inputs if not self.found else ():
            value = inputs[key]
            if _masks_pixels(str(key), value) and self._seen(value) and not bool(value.all()):
                self.found = (
                    f"{key!r} marks pixels as padding, which no row policy leaves out, so the rows "
                    "of images hold padding. Give images of one size."
                )
        self._looked = True

    def _seen(self, value: Tensor) -> bool:
        """Whether the numbers of a tensor are looked at."""
        return not value.is_meta and (not self._looked or value.device.type == "cpu")

    def _padded_with(self, values: Tensor) -> str:
        """What rows are padded with, if they look so."""
        if values.is_nested or values.ndim < 2 or values.shape[0] == 0 or values.shape[1] < 3:
            return ""
        if values.is_floating_point():
            steps = values.ndim == 3 or (values.ndim == 2 and self._hears)
            return "zeros" if steps and _ends_in_zeros(values) else ""
        if values.ndim != 2 or values.dtype not in (torch.int32, torch.int64) or not self._tokens:
            return ""
        values = values.to("cpu")
        # Padding ends some row in two of a kind: most batches are done with here.
        ends = _ends(values)
        twice = ends[ends[:, 0] == ends[:, 1], 0].tolist()
        for token in [each for each in self._tokens if each in twice]:
            rows = (values == token).numpy()
            before, after = _run(rows), _run(rows[:, ::-1])
            if (rows.sum(axis=1) > before + after).any():
                self._tokens.remove(token)
            elif min(before.max(), after.max()) <= 1 and not rows.all(axis=1).any():
                return f"the padding token {token}"
        return ""


def _asked(given: Mapping[str, Any], masks: list[str]) -> list[tuple[str, Tensor, list[str]]]:
    """The inputs that may be padded, by name, and the keys of the masks that each needs."""
    main = main_tensor(given)
    asked = [] if main is None else [(key, main, masks) for key in given if given[key] is main]
    tokens = given.get(DECODER_INPUTS[0])
    if isinstance(tokens, Tensor):
        asked.append((DECODER_INPUTS[0], tokens, [DECODER_MASK]))
    return asked


def _masks_pixels(key: str, value: Any) -> TypeGuard[Tensor]:
    """Whether a value is a mask of the pixels of images, by its name and its dimensions."""
    named = key.startswith("pixel") and key.endswith("mask")
    return named and isinstance(value, Tensor) and value.ndim >= 3


def _ends_in_zeros(values: Tensor) -> bool:
    """Whether steps of nothing but zeros fill all rows but the longest up, at one end."""
    ends = _zero_steps(_ends(values)).to("cpu")
    if not bool(ends.all(dim=1).any()):
        return False
    rows = _zero_steps(values).to("cpu").numpy()
    before, after = _run(rows), _run(rows[:, ::-1])
    at_one_end = min(before.max(), after.max()) <= 1
    return bool(at_one_end and (before + after).min() <= 1 and not rows.all(axis=1).any())


def _zero_steps(values: Tensor) -> Tensor:
    return (values == 0) if values.ndim == 2 else (values == 0).all(dim=2)


def _ends(values: Tensor) -> Tensor:
    """The first two and the last two entries of all rows."""
    return torch.cat([values[:, :2], values[:, -2:]])


def _run(rows: np.ndarray) -> np.ndarray:
    """How many of each row's first entries are set."""
    counts: np.ndarray = np.where(rows.all(axis=1), rows.shape[1], (~rows).argmax(axis=1))
    return counts
