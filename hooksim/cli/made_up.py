"""Inputs for a model of which only the checkpoint is known: made up from its configuration.

What transformers calls a model's `dummy_inputs` are tokens. Pictures, sound and series are made of
the sizes that the configuration names; which one a model takes, its own class says.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias

import torch

from hooksim.errors import ConfigError
from hooksim.loading.wording import first_line

__all__ = ["made_up_inputs"]

_Inputs: TypeAlias = dict[str, Any]
_SAMPLES = 3  # as many as transformers' own dummy inputs
_SECOND = 16_000  # of sound


def made_up_inputs(model: Any) -> _Inputs:
    """Make inputs up that a model of transformers runs on.

    Its main input alone comes first, then with the decoder's, then everything that the model takes
    (two towers).

    Args:
        model: In evaluation mode.

    Returns:
        Arguments of its forward, for three samples.

    Raises:
        ConfigError: It runs on none of them.
    """
    failed: Exception | None = None
    for inputs in _candidates(model):
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
    accepted = inspect.signature(model.forward).parameters
    main, decoder = model.main_input_name, "decoder_input_ids"
    everything = [name for name in _MAKERS if name in accepted and name != decoder]
    for names in ([main], [main, decoder], everything, [*everything, decoder]):
        if all(name in _MAKERS and name in accepted for name in names):
            for parts in product(*(_MAKERS[name](model) for name in names)):
                inputs: _Inputs = {}
                for part in reversed(parts):  # what the main input brings with it counts
                    inputs |= part
                yield {name: value for name, value in inputs.items() if name in accepted}


def _tokens(model: Any) -> list[_Inputs]:
    """Transformers' own tokens, within the vocabulary, none of them padding."""
    vocabulary = getattr(model.config.get_text_config(), "vocab_size", None) or 2
    window = _setting(model.config, "attention_window") or 1  # of which the length is a multiple
    times = window if isinstance(window, int) else max(window)
    inputs = {
        name: value.clamp(max=vocabulary - 1).repeat(1, times)
        for name, value in model.dummy_inputs.items()
        if name.endswith("input_ids")
    }
    if "input_ids" in inputs:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return [inputs]


def _decoder_tokens(model: Any) -> list[_Inputs]:
    start = getattr(model.config, "decoder_start_token_id", None) or 0
    return [{"decoder_input_ids": torch.full((_SAMPLES, 4), start)}]


def _pictures(model: Any) -> list[_Inputs]:
    size = _setting(model.config, "image_size") or 224
    if isinstance(size, dict):
        size = list(size.values())
    height, width = size if isinstance(size, list | tuple) else (size, size)
    channels = _setting(model.config, "num_channels", "in_channels") or 3
    frames = _setting(model.config, "num_frames")
    moving = [(frames, channels, height, width)] if frames else []
    return _zeros(model, "pixel_values", [*moving, (channels, height, width)])


def _spectra(model: Any) -> list[_Inputs]:
    bins = _setting(
        model.config, "num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim"
    )
    window = 2 * (_setting(model.config, "max_source_positions") or 32)  # a convolution halves it
    shapes = [(bins, window), (64, bins)] if bins else []
    return _zeros(model, "input_features", shapes)


def _sound(model: Any) -> list[_Inputs]:
    bins, length = _setting(model.config, "num_mel_bins"), _setting(model.config, "max_length")
    spectrum = [(length, bins)] if bins and length else []
    channels = _setting(model.config, "audio_channels") or 1
    return _zeros(model, "input_values", [*spectrum, (_SECOND,), (channels, _SECOND)])


def _series(model: Any) -> list[_Inputs]:
    length = _setting(model.config, "context_length") or 64
    channels = _setting(model.config, "num_input_channels", "input_size") or 1
    return _zeros(model, "past_values", [(length, channels), (length,)])


def _vectors(model: Any) -> list[_Inputs]:
    width = _setting(model.config, "d_model", "hidden_size")
    return _zeros(model, "inputs", [(16, width)] if width else [])


_MAKERS: dict[str, Callable[[Any], list[_Inputs]]] = {
    "input_ids": _tokens,
    "pixel_values": _pictures,
    "input_features": _spectra,
    "input_values": _sound,
    "past_values": _series,
    "inputs": _vectors,
    "decoder_input_ids": _decoder_tokens,
}
"""One entry a kind of input, by the name that transformers gives it."""


def _zeros(model: Any, name: str, shapes: Sequence[tuple[int, ...]]) -> list[_Inputs]:
    return [{name: torch.zeros(_SAMPLES, *shape, dtype=model.dtype)} for shape in shapes]


def _setting(config: Any, *names: str) -> Any:
    """The first of these settings that a configuration, or a part of it, has."""
    parts = [getattr(config, name, None) for name in getattr(config, "sub_configs", {})]
    for each in (config, *filter(None, parts)):
        for name in names:
            value = getattr(each, name, None)
            if value is not None:
                return value
    return None
