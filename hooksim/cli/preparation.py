"""For each model what makes its input of raw samples: its own, from its checkpoint, or a named one.

Tokenizers for texts and image processors for pictures are found, loaded and told apart alike.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hooksim.cli.batching import ModelSpecs
from hooksim.errors import ConfigError
from hooksim.loading import model_inputs

__all__ = ["Preparation", "load_pair"]

_Spec = dict[str, Any] | None


class Preparation(NamedTuple):
    """A kind of preparation.

    Attributes:
        key: What its config keys begin with: `tokenizer` for `tokenizer_a` and `tokenizer_b`.
        noun: What messages call it.
        makes: The input of a model that it makes.
        load: Makes one from a spec.
        equal: Whether two of them give the same inputs for every sample.
    """

    key: str
    noun: str
    makes: str
    load: Callable[[Mapping[str, Any]], Any]
    equal: Callable[[Any, Any], bool]


def load_pair(
    kind: Preparation, models: ModelSpecs, spec_a: _Spec, spec_b: _Spec
) -> tuple[Any, Any]:
    """Load the preparation of both models.

    Args:
        kind: What to load.
        models: Specs of the models, whose checkpoints may hold it.
        spec_a: Spec of what model A gets instead.
        spec_b: The same for model B.

    Returns:
        That of model A and that of model B; None for the latter where both are equal.

    Raises:
        ConfigError: None for one of the models, or not to be loaded; the message starts with the
            key.
    """
    first = _load(kind, f"{kind.key}_a", spec_a, models[0])
    if (spec_a or _place(models[0])) == (spec_b or _place(models[1])):
        return first, None
    second = _load(kind, f"{kind.key}_b", spec_b, models[1])
    return first, None if kind.equal(first, second) else second


def _place(model: Mapping[str, Any]) -> _Spec:
    """Return the spec of what a model's own checkpoint holds beside the weights, if it has one."""
    if model.get("kind") != "transformers":
        return None
    shared = ("kind", "path", "subfolder", "revision", "trust_remote_code")
    return {key: model[key] for key in shared if key in model}


def _load(kind: Preparation, key: str, spec: _Spec, model: Mapping[str, Any]) -> Any:
    chosen = spec or _place(model)
    if chosen is None:
        of = model.get("kind")
        raise ConfigError(f"{key}: missing; a model of kind {of!r} has no {kind.noun} of its own")
    try:
        return kind.load(chosen)
    except ConfigError as error:
        if spec is not None:
            raise ConfigError(f"{key}.{error}") from error
        reason = str(error).removeprefix("path: ")
        raise ConfigError(f"{key}: {reason}; {_advice(kind, key, model)}") from error


def _advice(kind: Preparation, key: str, model: Mapping[str, Any]) -> str:
    """What to do about a checkpoint without a preparation: the model may take no such data."""
    try:
        name, takes = model_inputs(**{part: model[part] for part in model if part != "kind"})
    except ConfigError:  # what is wrong with the model is said where it is loaded
        name, takes = "", []
    if takes and kind.makes not in takes:
        return (
            f"{name} takes no {kind.makes!r} but {takes[1]!r}: give it another kind of data, "
            "or another model"
        )
    return f"name one that fits the model: {key}: FOLDER, or {{kind: python, factory: ...}}"
