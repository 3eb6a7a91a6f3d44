"""Modules that read dimension 0 as time, and got the samples of the batch there."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from hooksim.capture.feeding import InputHook
from hooksim.capture.layers import named_layers

__all__ = ["TimeFirst"]


class TimeFirst:
    """Watches the modules with `batch_first=False` of a model in one forward pass.

    `nn.LSTM`, `nn.MultiheadAttention` and `nn.TransformerEncoder` as they come take
    `(T, B, D)`. Many models turn their input round before these, which is right: what counts is
    what such a module is given, not that it is there. An input of as many time steps as samples
    tells nothing.

    State: `found`, what was wrong, the start of a sentence; empty so far.

    Args:
        model: The unwrapped model.
        size: Number of samples of the batch.

    Example:
        >>> import torch
        >>> model, x = nn.LSTM(3, 4), torch.zeros(7, 5, 3)
        >>> watch = TimeFirst(model, 7)
        >>> [hook(module, (x,), {}) for module, hook in watch.hooks()]
        [None]
        >>> watch.found
        "'LSTM' (LSTM) has batch_first=False and reads dimension 0 of its input (7, 5, 3) as time"
    """

    def __init__(self, model: nn.Module, size: int) -> None:
        self.found = ""
        self._model = model
        self._size = size

    def hooks(self) -> Iterator[tuple[nn.Module, InputHook]]:
        """Give hooks that look at the inputs.

        Yields:
            Each module and a hook to call with its input.
        """
        for name, module in named_layers(self._model).items():
            if getattr(module, "batch_first", None) is False:
                yield module, partial(self._look, name)

    def _look(
        self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        value = next(iter((*args, *kwargs.values())), None)
        if self.found or not isinstance(value, Tensor) or value.ndim != 3 or value.is_nested:
            return
        if value.shape[0] == self._size != value.shape[1]:
            self.found = (
                f"{name!r} ({type(module).__name__}) has batch_first=False and reads dimension 0 "
                f"of its input {tuple(value.shape)} as time"
            )
