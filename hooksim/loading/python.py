"""Models that a function of the user makes."""

from typing import Any

from hooksim.errors import ConfigError
from hooksim.loading.factory import call_factory
from hooksim.loading.weights import LoadedModel, fill

__all__ = ["load_python_model"]


def load_python_model(
    factory: str,
    *,
    kwargs: dict[str, Any] | None = None,
    weights: str | None = None,
    entry: str | None = None,
    allow_missing: list[str] | None = None,
) -> LoadedModel:
    """Call a function for the model and, if asked, fill it from a file of weights.

    Args:
        factory: `"package.module:function"`; it returns an `nn.Module`.
        kwargs: Arguments of the function.
        weights: State dict in a `.safetensors` file or in one that `torch.save` wrote. The latter
            is read with `weights_only=True`: a file that holds code is refused.
        entry: Of a file that holds more than a state dict, such as `{"model": ..., "optimizer":
            ...}` or Lightning's `{"state_dict": ...}`, which of its entries is that.
        allow_missing: Names, or patterns with `*`, of weights that may stay as the factory made
            them.

    Returns:
        The model and notes.

    Raises:
        ConfigError: The factory, file or entry is not there, or is not what it should be.
        MissingWeightsError: The file is damaged, lacks weights, or has them in another shape.
    """
    from torch import nn

    model = call_factory(factory, kwargs)
    if not isinstance(model, nn.Module):
        got = type(model).__name__
        raise ConfigError(f"factory: {factory!r} returned {got}, expected a torch.nn.Module")
    if weights is None and entry is not None:
        raise ConfigError(f"entry: {entry!r} is that of a file, and there are no weights")
    notes = () if weights is None else fill(model, weights, allow_missing or (), entry)
    return LoadedModel(model.eval(), notes)
