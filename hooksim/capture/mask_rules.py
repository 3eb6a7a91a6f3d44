"""Which mask a layer takes: the encoder's, the decoder's, a shortened one, or none."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hooksim.capture.calls import forward_parameters
from hooksim.capture.decoder_inputs import DECODER_INPUTS
from hooksim.capture.feeding import (
    DECODER,
    ENCODER,
    Feeding,
    InputHook,
    MaskShape,
    OutputHook,
    half_by_name,
)
from hooksim.capture.mask_forms import (
    DECODER_MASK,
    MASK,
    SHORTENS,
    mask_key,
    masks_of_others,
    padding_is_marked,
)
from hooksim.capture.masks import TokenMask
from hooksim.capture.rows import Rows
from hooksim.errors import ConfigError, NoRowsError, ShapeError

__all__ = ["BatchMasks", "MaskRules", "masks_by_view"]

_DECODERS = (DECODER_INPUTS[0], "tgt")
"""What the forwards of models with a decoder take: transformers' and torch's."""


class MaskRules:
    """What the structure of a model, and what is seen of its forwards, says about masks.

    State: `feeding`, what its modules are fed.

    Args:
        model: The unwrapped model.
        layers: Its modules by name.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
        self.layers = {**layers, "": model}
        self.has_decoder = not forward_parameters(model).keys().isdisjoint(_DECODERS)
        self.feeding = Feeding(model, layers, self.has_decoder)
        halves = (name for name in layers if half_by_name(name) == ENCODER)
        self._encoder = next(halves, "")

    def expect(self, inputs: Mapping[str, Any], masks: Sequence["BatchMasks"]) -> None:
        """Say what the forward that comes is fed with, so that it is known again inside.

        Args:
            inputs: The model's inputs by name, as they are passed to it.
            masks: The batch's masks, one for each view.
        """
        shapes: dict[str, MaskShape] = {}
        for each in masks:
            shapes = {**shapes, **each.shapes}
        self.feeding.expect(inputs, shapes)

    def rest(self) -> None:
        """Let the tensors of a forward go that came to its end."""
        self.feeding.rest()

    def watch(self) -> Iterator[tuple[nn.Module, InputHook]]:
        """Give hooks that see what submodules are fed; few of them once they were seen.

        Yields:
            Each module and a hook to call with its input.
        """
        yield from self.feeding.inputs()

    def listen(self) -> Iterator[tuple[nn.Module, OutputHook]]:
        """Give hooks that see what submodules return; none once they were seen.

        Yields:
            Each module and a hook to call with its input and its output.
        """
        yield from self.feeding.outputs()

    def half(self, layer: str) -> str | None:
        """Tell of which half of an encoder-decoder model the tokens of a layer are.

        Args:
            layer: The layer's name.

        Returns:
            `encoder`, `decoder`, or None for a layer of neither, or of a model without halves. It
            is the half that a layer was fed by, such as the encoder for the keys of a decoder's
            cross-attention, else the one of its name.
        """
        if not self.has_decoder or layer in self.feeding.unsure:
            return None
        return self.feeding.fed.get(layer) or half_by_name(layer)

    def mask_of(self, layer: str) -> str | None:
        """Tell which mask says something about a layer.

        Args:
            layer: The layer's name.

        Returns:
            The key of the mask of the inputs that feed the tower that it is in; None where these
            have none, as `pixel_values` often; empty for a layer of no tower, whose mask is the one
            that rows ask for.
        """
        towers = self.feeding.towers
        names = _upwards(self._home(layer))
        return next((towers[name] for name in names if name in towers), "")

    def role(self, layer: str) -> tuple[str | None, str | None]:
        """Say by what rule a layer gets its mask.

        Args:
            layer: The layer's name.

        Returns:
            Its half, and the key of its mask: layers of one role and length share a mask.
        """
        return self.half(layer), self.mask_of(layer)

    def shortened(self, layer: str, mask: TokenMask, length: int) -> TokenMask | None:
        """Ask the model for the mask after its own shortening of time.

        Args:
            layer: The layer's name; the nearest module above it that knows is asked.
            mask: The mask of the input.
            length: Number of steps that the layer has.

        Returns:
            The shorter mask, or None where no module shortens the input to this length.
        """
        for name in _upwards(self._home(layer)):
            module = self.layers.get(name)
            for options in ({}, {"add_adapter": False}):
                keep = _shorten(module, mask, length, options)
                if keep is not None:
                    return TokenMask.read(keep, MASK)
        return None

    def _home(self, layer: str) -> str:
        """Where the tokens of a layer come from: a part of the encoder, for one it feeds."""
        away = self.half(layer) == ENCODER and half_by_name(layer) == DECODER
        return self._encoder if away else layer


class BatchMasks:
    """The masks of one batch, by layer.

    State: `main`, the mask that rows ask for; `shapes`, of it and of other inputs' masks, by key.

    Args:
        rules: What the model's structure says.
        inputs: The batch's mapping on the CPU; empty where the batch is none.
        rows: The row policy, for the key of the mask and what it marks.
        size: Number of samples of the batch.

    Raises:
        ConfigError: A key other than the usual one was asked for and the mapping lacks it; or it
            is not known what a mask marks.
        ShapeError: A mask is not `(samples, tokens)`, or leaves a sample empty.
    """

    def __init__(self, rules: MaskRules, inputs: Mapping[str, Any], rows: Rows, size: int) -> None:
        key = rows.mask
        if inputs and key != MASK and inputs.get(key) is None:
            raise ConfigError(
                f"rows: no key {key!r} in the batch for the mask. "
                f"Its keys: {', '.join(map(repr, inputs))}."
            )
        self.rules = rules
        self.key = mask_key(inputs, key) or key
        self.size = size
        self.main = _read(inputs, self.key, size, rows.mask_is_padding)
        self._inputs = inputs
        others = masks_of_others(inputs, self.key) if inputs else []
        self._masks = {self.key: self.main}
        self.shapes = {} if self.main is None else {self.key: (self.main.size, self.main.length)}
        self.shapes |= {other: tuple(inputs[other].shape) for other in others}
        self.decoder_key = mask_key(inputs, DECODER_MASK) or DECODER_MASK
        self.decoder = _read(inputs, self.decoder_key, size)
        self.decoder_length = _decoder_length(inputs, self.decoder)
        self._made: dict[tuple[str, int], TokenMask] = {}

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
            NoRowsError: It holds nothing but padding.
        """
        if self.rules.feeding.padding.get(layer) == length:
            raise NoRowsError(f"its {length} tokens are padding that the model adds.")
        half = self.rules.half(layer)
        if half == DECODER:
            return self._of_decoder(length)
        if half is None and self.rules.has_decoder and length == self.decoder_length:
            return self._of_either(length)
        return self._of_encoder(layer, length)

    def _of_encoder(self, layer: str, length: int) -> TokenMask | None:
        key = self.rules.mask_of(layer)
        if key is None:
            return None
        mask = self._of_input(key or self.key)
        if mask is not None and length == mask.length:
            return mask
        if mask is not self.main and (mask is None or mask.full):
            return None
        wider = self._wider(ENCODER, mask, length) if mask is self.main else None
        if wider is not None or mask is None:
            return wider
        if (key, length) not in self._made:
            shorter = self.rules.shortened(layer, mask, length)
            if shorter is None:
                raise _mismatch(length, mask, key or self.key)
            self._made[key, length] = shorter
        return self._made[key, length]

    def _of_input(self, key: str) -> TokenMask | None:
        """The mask of a key; another than the one asked for is read where a layer needs it."""
        if key not in self._masks:
            self._masks[key] = _read(self._inputs, key, self.size) if key in self.shapes else None
        return self._masks[key]

    def _of_decoder(self, length: int) -> TokenMask | None:
        if self.decoder_length is None:
            # Nothing is for a decoder: what is called one reads the tokens of the batch.
            return self.main if self.main is not None and length == self.main.length else None
        if length == self.decoder_length:
            return self.decoder
        wider = self._wider(DECODER, self.decoder, length)
        if wider is not None:
            return wider
        if self.main is not None and length == self.main.length:
            return self.main  # it can only be of the encoder's tokens
        if self.decoder is not None:
            raise _mismatch(length, self.decoder, self.decoder_key)
        if self.main is not None:
            raise _mismatch(length, self.main, self.key)
        return None

    def _wider(self, half: str, mask: TokenMask | None, length: int) -> TokenMask | None:
        """The mask of tokens that the model put others beside, such as padding of its own."""
        place = self.rules.feeding.wider(half, length)
        if place is None or (mask is not None and mask.length != place[1]):
            return None
        if (half, length) not in self._made:
            tokens = mask or TokenMask(self.size, place[1])
            self._made[half, length] = tokens.among(place[0], length)
        return self._made[half, length]

    def _of_either(self, length: int) -> TokenMask | None:
        decoder = self.decoder
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
        One for each view; the same object where the mask is the same.

    Raises:
        ConfigError, ShapeError: As for `BatchMasks`.
    """
    asked = {(rows.mask, rows.mask_is_padding): rows for rows in views}
    masks = {each: BatchMasks(rules, inputs, rows, size) for each, rows in asked.items()}
    return [masks[rows.mask, rows.mask_is_padding] for rows in views]


def _upwards(layer: str) -> Iterator[str]:
    """Give a name and the names of everything above it, the root's empty name last."""
    while layer:
        yield layer
        layer = layer.rpartition(".")[0]
    yield ""


def _read(
    inputs: Mapping[str, Any], key: str, size: int, said: bool | None = None
) -> TokenMask | None:
    if inputs.get(key) is None:
        return None
    marks_padding = padding_is_marked(key, said)
    if marks_padding is None:
        way_out = f"Rows(mask={key!r}, mask_is_padding=True)"
        raise ConfigError(
            f"rows: the ones of mask {key!r} may be the padding or the real tokens. Use {way_out} "
            "if they are the padding, with False if they are the real tokens."
        )
    mask = TokenMask.read(inputs[key], key, marks_padding)
    if mask.size != size:
        raise ShapeError(
            f"mask {key!r}: {mask.size} samples, but the batch has {size}. "
            "Give one row of the mask for each sample."
        )
    return mask


def _decoder_length(inputs: Mapping[str, Any], mask: TokenMask | None) -> int | None:
    if mask is not None:
        return mask.length
    keys = (*DECODER_INPUTS, "tgt")
    lengths = (inputs[key].shape[1] for key in keys if inputs.get(key) is not None)
    return next(lengths, None)


def _shorten(
    module: nn.Module | None, mask: TokenMask, length: int, options: dict[str, bool]
) -> Tensor | None:
    """Call the methods by which the audio models of transformers shorten a mask."""
    lengths_after = getattr(module, SHORTENS, None)
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
    padded = (
        " Where the model pads to a multiple of N inside, pad so before: pad_to_multiple_of=N of "
        "the tokenizer, or of data of kind text."
    )
    return ShapeError(
        f"its output has {length} tokens, but mask {key!r} has {mask.length}. Leave this layer "
        f"out, or give the mask that fits with Rows(mask=...).{padded * (length > mask.length)}"
    )
