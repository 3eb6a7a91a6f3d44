"""A spec's kind looked up in a table, its keys checked: a new kind is one entry."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hooksim.errors import ConfigError
from hooksim.loading.adapter import load_pretrained_model
from hooksim.loading.preparation import (
    load_python_preparation,
    load_transformers_processor,
    load_transformers_tokenizer,
)
from hooksim.loading.python import load_python_model
from hooksim.loading.weights import LoadedModel
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean

__all__ = [
    "MODEL_KINDS",
    "PROCESSOR_KINDS",
    "TOKENIZER_KINDS",
    "load_model",
    "load_processor",
    "load_tokenizer",
]

MODEL_KINDS: dict[str, Callable[..., LoadedModel]] = {
    "transformers": load_pretrained_model,
    "python": load_python_model,
}
"""One entry a kind of model: its keys are the parameters of the function."""

TOKENIZER_KINDS: dict[str, Callable[..., Any]] = {
    "transformers": load_transformers_tokenizer,
    "python": load_python_preparation,
}
"""One entry a kind of tokenizer, as for models."""

PROCESSOR_KINDS: dict[str, Callable[..., Any]] = {
    "transformers": load_transformers_processor,
    "python": load_python_preparation,
}
"""One entry a kind of image processor, as for models."""


def load_model(spec: str | Path | Mapping[str, Any], **options: Any) -> LoadedModel:
    """Load a model and refuse it if the checkpoint lacks any of its weights.

    Args:
        spec: A folder (or hub id) in the Hugging Face format, or a mapping with `kind`
            ("transformers" where it is left out, or "python") and the keys of that kind:
            see `load_pretrained_model` and `load_python_model`.
        options: Further keys of the spec.

    Returns:
        The model, in evaluation mode, and notes.

    Raises:
        ConfigError: An unknown kind or key, a file or factory that is not there.
        MissingWeightsError: The checkpoint lacks weights, or has them in another shape.

    Example:
        >>> import hooksim.loading
        >>> spec = {"kind": "python", "factory": "torch.nn:ReLU"}
        >>> model, notes = hooksim.loading.load_model(spec)
        >>> model, notes
        (ReLU(), ())
    """
    load, keys = _dispatch(spec, options, MODEL_KINDS)
    loaded: LoadedModel = load(**keys)
    return loaded


def load_tokenizer(spec: str | Path | Mapping[str, Any], **options: Any) -> Any:
    """Load the tokenizer that belongs to a checkpoint, or that a factory makes.

    Args:
        spec: A folder (or hub id), or a mapping with `kind` and the keys of
            `load_transformers_tokenizer` or `load_python_preparation`.
        options: Further keys of the spec.

    Returns:
        A Hugging Face tokenizer, or whatever the factory returned.

    Raises:
        ConfigError: An unknown kind or key, a file or factory that is not there.
    """
    load, keys = _dispatch(spec, options, TOKENIZER_KINDS)
    return load(**keys)


def load_processor(spec: str | Path | Mapping[str, Any], **options: Any) -> Any:
    """Load the image processor that belongs to a checkpoint, or that a factory makes.

    Args:
        spec: A folder (or hub id, or a processor's `.json` file), or a mapping with `kind` and
            the keys of `load_transformers_processor` or `load_python_preparation`.
        options: Further keys of the spec.

    Returns:
        A Hugging Face image processor, or whatever the factory returned.

    Raises:
        ConfigError: An unknown kind or key, a file or factory that is not there.
    """
    load, keys = _dispatch(spec, options, PROCESSOR_KINDS)
    return load(**keys)


def _dispatch(
    spec: str | Path | Mapping[str, Any],
    options: Mapping[str, Any],
    kinds: Mapping[str, Callable[..., Any]],
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Find the function of the spec's kind and check the keys against its parameters."""
    keys = dict(spec) if isinstance(spec, Mapping) else {"path": str(spec)}
    keys.update(options)
    kind = keys.pop("kind", "transformers")
    if kind not in kinds:
        close = did_you_mean(str(kind), kinds)
        raise ConfigError(f"kind: expected one of {listed(kinds)}, got {kind!r}{close}")
    parameters = inspect.signature(kinds[kind]).parameters
    for key in keys:
        if key not in parameters:
            close = did_you_mean(str(key), parameters)
            raise ConfigError(f"{key}: no key of kind {kind!r}{close}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in keys:
            raise ConfigError(f"{key}: missing; kind {kind!r} needs it")
    return kinds[kind], keys
