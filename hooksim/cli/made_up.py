"""Inputs for a model of which only the checkpoint is known: made up from its weights.

What a model takes shows in its first layers: a table of tokens, a convolution over pictures or
sound, a linear layer over vectors. The lengths that such an input may have are among the numbers
of the configuration. So no recipe for any architecture is needed, only a few tries.
"""

import inspect
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from hooksim.capture.decoder_inputs import DECODER_INPUTS
from hooksim.errors import ConfigError
from hooksim.loading.wording import first_line

__all__ = ["made_up_inputs"]

_Inputs: TypeAlias = dict[str, Tensor]
_Shape: TypeAlias = tuple[int, ...]

_SAMPLES = 3  # as many as transformers' own dummy inputs
_TOKENS = 5
_PICTURE = 224  # what a network of convolutions is shown, which takes any
_SOUND = 4096  # a quarter of a second
_MOST = 2**22  # numbers of a sample
_TRIES = 600
_NO_INPUTS = ("mask", "embeds", "label", "cache", "past_key")


def made_up_inputs(model: Any) -> _Inputs:
    """Make inputs up that a model of transformers runs on.

    Its main input alone comes first, then with the decoder's, then with one of the others that its
    forward takes (two towers). Masks are left out: nothing is padded.

    Args:
        model: In evaluation mode.

    Returns:
        Arguments of its forward, for three samples.

    Raises:
        ConfigError: It runs on none of them.
    """
    failed: Exception | None = None
    for inputs in islice(_candidates(model), _TRIES):
        try:
            with torch.no_grad():
                model(**inputs)
        except Exception as error:
            failed = failed or error
        else:
            return inputs
    name, takes = type(model).__name__, model.main_input_name
    why = f" ({type(failed).__name__}: {first_line(failed)})" if failed else ""
    raise ConfigError(
        f"{name} does not run on an input {takes!r} made up from its configuration{why}; "
        "give a configuration with data instead"
    )


def _candidates(model: Any) -> Iterator[_Inputs]:
    """What may be tried, the fewest inputs first."""
    parameters = inspect.signature(model.forward).parameters
    main, decoder = model.main_input_name, DECODER_INPUTS[0]
    takes_decoder = decoder in parameters and decoder != main
    begun: _Inputs = {decoder: _tokens(model)} if takes_decoder else {}
    others = [name for name in parameters if name not in (main, decoder) and _is_input(name)]
    tokens = {name: _tokens(model) for name in others if name.endswith("ids")}
    for value in _values(model, main, parameters.get(main)):
        yield {main: value}
        if begun:
            yield {main: value, **begun}
        yield from ({main: value, name: second, **begun} for name, second in tokens.items())
    for value in _values(model, main, parameters.get(main)):
        for other in others:
            for second in _values(model, other, parameters[other]):
                yield {main: value, other: second, **begun}


def _is_input(name: str) -> bool:
    return not any(word in name for word in _NO_INPUTS)


def _values(model: Any, name: str, parameter: inspect.Parameter | None) -> Iterator[Tensor]:
    """What an argument of the forward may be; nothing for a setting such as a flag."""
    kind = "" if parameter is None else str(parameter.annotation)
    if name.endswith("ids"):
        yield _tokens(model)
    elif "Tensor" in kind or not kind or name == model.main_input_name:
        for shape in dict.fromkeys(_shapes(model)):
            if math.prod(shape) <= _MOST:
                yield torch.zeros(_SAMPLES, *shape, dtype=model.dtype)


def _tokens(model: Any) -> Tensor:
    """Tokens that every vocabulary has, none of them padding."""
    padding = getattr(model.config, "pad_token_id", None)
    return torch.full((_SAMPLES, _TOKENS), 1 if padding == 0 else 0)


def _shapes(model: Any) -> Iterator[_Shape]:
    """Shapes of one sample, by the first layers that could read it, then by any two lengths."""
    settings = model.config.to_dict()
    lengths = list(dict.fromkeys(_numbers(settings)))
    own = [list(_numbers(size)) for size in _named(settings, "image_size")]
    # Too small a picture would not only fail: Swin makes its windows smaller, for good.
    squares = [[side] for side in (_PICTURE, *lengths) if side >= 16]
    pairs = [(size[0], size[-1]) for size in (*own, *squares)]
    few = [each for each in lengths if 1 < each <= 64]
    for layer in _first_layers(model):
        if isinstance(layer, nn.Conv1d):
            yield from _of_sound(layer.in_channels, [*lengths, *(2 * each for each in lengths)])
        elif isinstance(layer, nn.Conv2d):
            yield from ((layer.in_channels, *pair) for pair in pairs)
        elif isinstance(layer, nn.Conv3d):
            yield from ((count, layer.in_channels, *pair) for pair in pairs for count in few)
        elif isinstance(layer, nn.Linear):
            yield from ((length, layer.in_features) for length in (16, 64))
    for layer in _first_layers(model):
        if isinstance(layer, nn.Conv2d):
            yield from ((count, layer.in_channels, *pair) for pair in pairs for count in few)
    yield from ((length, width) for length in lengths for width in lengths)


def _of_sound(channels: int, lengths: list[int]) -> Iterator[_Shape]:
    if channels <= 2:
        yield from [(_SOUND,)] * (channels == 1) + [(channels, _SOUND)]
    for length in lengths:
        yield from ((channels, length), (length, channels))


def _first_layers(model: nn.Module) -> Iterator[nn.Module]:
    """The first layer of each kind and width, in the model's order."""
    seen = set()
    for module in model.modules():
        width = getattr(module, "in_channels", getattr(module, "in_features", None))
        if isinstance(width, int) and (type(module), width) not in seen:
            seen.add((type(module), width))
            yield module


def _named(settings: Mapping[str, Any], name: str) -> Iterator[Any]:
    """What a configuration and its parts say by one name."""
    for key, value in settings.items():
        if key == name:
            yield value
        elif isinstance(value, Mapping):
            yield from _named(value, name)


def _numbers(value: Any) -> Iterator[int]:
    """The whole numbers of a configuration and of its parts."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield value
