"""Which mask a layer takes: the encoder's, the decoder's, a shortened one, or none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from hooksim.capture.calls import forward_parameters
from hooksim.capture.decoder_inputs import DECODER_INPUTS
from hooksim.capture.masks import TokenMask
from hooksim.capture.rows import Rows
from hooksim.errors import ConfigError, ShapeError

__all__ = ["BatchMasks", "InputHook", "MaskRules", "masks_by_view"]

InputHook: TypeAlias = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]

_DEFAULT_KEY = "attention_mask"
_DECODER_KEY = "decoder_attention_mask"


class MaskRules:
    """What the structure of a model says about masks.

    State: `towers`, from the name of each submodule that the batch feeds directly to whether one
    of these inputs goes with the mask; learnt on the first batch, one entry a submodule.
    `_fed_by`, the tensors of the forward at hand.

    Args:
        model: The unwrapped model.
        layers: Its modules by name.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
        self.layers = {**layers, "": model}
        self.has_decoder = "decoder_input_ids" in forward_parameters(model)
        self.towers: dict[str, bool] = {}
        self._fed_by: list[tuple[Tensor, bool]] = []

    def expect(self, inputs: Mapping[str, Any], mask: TokenMask | None) -> None:
        """Say what the forward that comes is fed with, so that `watch` knows it again.

        Args:
            inputs: The model's keyword inputs, as they are passed to it.
            mask: The batch's mask; None where there is nothing to learn.
        """
        tensors = [value for value in inputs.values() if isinstance(value, Tensor)]
        self._fed_by = [] if mask is None else [(each, _goes_with(each, mask)) for each in tensors]

    def watch(self) -> Iterator[tuple[nn.Module, InputHook]]:
        """Give hooks that learn which submodules the batch feeds directly.

        Yields:
            Each module and a hook to call with its input.
        """
        for name, module in self.layers.items():
            if name:
                yield module, partial(self._learn, name)

    def _learn(
        self,
        name: str,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        for value in (*args, *kwargs.values()):
            for tensor, goes_with_mask in self._fed_by:
                if value is tensor:
                    self.towers[name] = self.towers.get(name, False) or goes_with_mask

    def half(self, layer: str) -> str | None:
        """Tell which half of an encoder-decoder model a layer belongs to.

        Args:
            layer: The layer's name.

        Returns:
            `encoder`, `decoder`, or None for a layer of neither, or of a model without halves.
        """
        halves = (part for part in layer.split(".") if part in ("encoder", "decoder"))
        return next(halves, None) if self.has_decoder else None

    def takes_mask(self, layer: str) -> bool:
        """Tell whether the mask says anything about a layer.

        Args:
            layer: The layer's name.

        Returns:
            False for the layers of a tower that is fed by an input without a mask, such as
            `pixel_values`.
        """
        return next((self.towers[name] for name in _upwards(layer) if name in self.towers), True)

    def role(self, layer: str) -> tuple[str | None, bool]:
        """Say by what rule a layer gets its mask.

        Args:
            layer: The layer's name.

        Returns:
            Its half, and whether it takes the mask: layers of one role and length share a mask.
        """
        return self.half(layer), self.takes_mask(layer)

    def shortened(self, layer: str, mask: TokenMask, length: int) -> TokenMask | None:
        """Ask the model for the mask after its own shortening of time.

        Args:
            layer: The layer's name; the nearest module above it that knows is asked.
            mask: The mask of the input.
            length: Number of steps that the layer has.

        Returns:
            The shorter mask, or None where no module shortens the input to this length.
        """
        for name in _upwards(layer):
            module = self.layers.get(name)
            for options in ({}, {"add_adapter": False}):
                keep = _shorten(module, mask, length, options)
                if keep is not None:
                    return TokenMask.read(keep, _DEFAULT_KEY)
        return None


class BatchMasks:
    """The masks of one batch, by layer.

    Args:
        rules: What the model's structure says.
        inputs: The batch's mapping on the CPU; empty where the batch is none.
        key: Key of the mask.
        size: Number of samples of the batch.

    Raises:
        ConfigError: A key other than the usual one was asked for and the mapping lacks it.
        ShapeError: A mask is not `(samples, tokens)`, or leaves a sample empty.
    """

    def __init__(self, rules: MaskRules, inputs: Mapping[str, Any], key: str, size: int) -> None:
        if inputs and key != _DEFAULT_KEY and inputs.get(key) is None:
            raise ConfigError(
                f"rows: no key {key!r} in the batch for the mask. "
                f"Its keys: {', '.join(map(repr, inputs))}."
            )
        self.rules = rules
        self.key = key
        self.main = _read(inputs, key, size)
        self.decoder = _read(inputs, _DECODER_KEY, size)
        self.decoder_length = _decoder_length(inputs, self.decoder)
        self._shortened: dict[int, TokenMask] = {}

    def of(self, layer: str, length: int) -> TokenMask | None:
        """Give the mask of a layer.

        Args:
            layer: The layer's name.
            length: Number of tokens of its output.

        Returns:
            The mask, or None where every token is real.

        Raises:
            ShapeError: The layer has another number of tokens than its mask, or both halves of
                an encoder-decoder model could have made it.
        """
        half = self.rules.half(layer)
        if half == "decoder":
            return self._of_decoder(length)
        if half is None and self.rules.has_decoder and length == self.decoder_length:
            return self._of_either(length)
        return self._of_encoder(layer, length)

    def _of_encoder(self, layer: str, length: int) -> TokenMask | None:
        if self.main is None or not self.rules.takes_mask(layer):
            return None
        if length == self.main.length:
            return self.main
        if length not in self._shortened:
            shorter = self.rules.shortened(layer, self.main, length)
            if shorter is None:
                raise _mismatch(length, self.main, self.key)
            self._shortened[length] = shorter
        return self._shortened[length]

    def _of_decoder(self, length: int) -> TokenMask | None:
        if self.decoder is not None and length != self.decoder.length:
            raise _mismatch(length, self.decoder, _DECODER_KEY)
        return self.decoder

    def _of_either(self, length: int) -> TokenMask | None:
        decoder = self._of_decoder(length)
        if self.main is None or self.main.length != length:
            return decoder
        if self.main.same_tokens(decoder or TokenMask(self.main.size, length)):
            return self.main
        raise ShapeError(
            f"encoder and decoder both have {length} tokens but other padding, and its name tells "
            "neither. Select layers below 'encoder' or 'decoder'."
        )


def masks_by_view(
    rules: MaskRules, inputs: Mapping[str, Any], views: Sequence[Rows], size: int
) -> list[BatchMasks]:
    """Read the masks of one batch for every view of a model.

    Args:
        rules: What the model's structure says.
        inputs: The batch's mapping on the CPU.
        views: The row policy of each view.
        size: Number of samples of the batch.

    Returns:
        One for each view; the same object where the key is the same.

    Raises:
        ConfigError, ShapeError: As for `BatchMasks`.
    """
    keys = {rows.mask for rows in views}
    masks = {key: BatchMasks(rules, inputs, key, size) for key in keys}
    return [masks[rows.mask] for rows in views]


def _upwards(layer: str) -> Iterator[str]:
    """Give a name and the names of everything above it, the root's empty name last."""
    while layer:
        yield layer
        layer = layer.rpartition(".")[0]
    yield ""


def _read(inputs: Mapping[str, Any], key: str, size: int) -> TokenMask | None:
    if inputs.get(key) is None:
        return None
    mask = TokenMask.read(inputs[key], key)
    if mask.size != size:
        raise ShapeError(
            f"mask {key!r}: {mask.size} samples, but the batch has {size}. "
            "Give one row of the mask for each sample."
        )
    return mask


def _decoder_length(inputs: Mapping[str, Any], mask: TokenMask | None) -> int | None:
    if mask is not None:
        return mask.length
    lengths = (inputs[key].shape[1] for key in DECODER_INPUTS if inputs.get(key) is not None)
    return next(lengths, None)


def _goes_with(value: Tensor, mask: TokenMask) -> bool:
    """Tell whether an input has the mask's tokens: (B, T), (B, T, D), or audio's (B, D, T)."""
    if value.ndim not in (2, 3) or value.shape[0] != mask.size:
        return False
    return mask.length in (value.shape[1], value.shape[-1])


def _shorten(
    module: nn.Module | None, mask: TokenMask, length: int, options: dict[str, bool]
) -> Tensor | None:
    """Call the methods by which the audio models of transformers shorten a mask."""
    lengths_after = getattr(module, "_get_feat_extract_output_lengths", None)
    mask_after = getattr(module, "_get_feature_vector_attention_mask", None)
    keep = mask.keep_on(torch.device("cpu"))
    try:
        if lengths_after is not None:
            if int(lengths_after(torch.tensor(mask.length), **options)) != length:
                return None
            if mask_after is None:
                real = lengths_after(keep.sum(dim=1), **options)
                return torch.arange(length).lt(real[:, None])
        shorter = mask_after and mask_after(length, keep.long(), **options)
    except TypeError:  # this model has no adapter to leave out
        return None
    return shorter if isinstance(shorter, Tensor) else None


def _mismatch(length: int, mask: TokenMask, key: str) -> ShapeError:
    return ShapeError(
        f"its output has {length} tokens, but mask {key!r} has {mask.length}. Leave this layer "
        "out, or give the mask that fits with Rows(mask=...)."
    )
