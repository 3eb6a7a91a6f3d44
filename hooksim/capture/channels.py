"""Where the channels of a 3-D activation stand: behind the tokens, or in front of time."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from hooksim.capture.rows import Rows

__all__ = ["ChannelDims"]

_IN_FRONT = (
    nn.Conv1d,
    nn.ConvTranspose1d,
    nn.BatchNorm1d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.GroupNorm,
    nn.MaxPool1d,
    nn.AvgPool1d,
    nn.LPPool1d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveAvgPool1d,
)
"""Layers of torch that read and give `(B, C, L)`."""

_NORMS = (nn.LayerNorm, nn.RMSNorm)
_BEHIND = (*_NORMS, nn.Linear, nn.Embedding, nn.RNNBase, nn.MultiheadAttention)
"""Layers of torch that give `(B, T, D)`."""


class ChannelDims:
    """Tells a layer's `(B, C, L)` from `(B, T, D)`, where the row policy leaves it open.

    A layer of torch says it by its class. Any other layer, such as an activation or a block of
    convolutions, has its channels where the latest layer of torch before its end has them: the same
    lengths stand at the same places, unless it was turned round in between.

    State: `in_front`, from each call of a layer to whether it gives `(B, C, L)`, learnt once.

    Args:
        model: The unwrapped model.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU())
        >>> watch = ChannelDims(model)
        >>> [(module, hook)] = watch.hooks()
        >>> hook(module, (), torch.zeros(2, 4, 7))
        >>> watch.rows(Rows(), "1", model[1], torch.zeros(2, 4, 7)).channel_dim
        1
    """

    def __init__(self, model: nn.Module) -> None:
        self.in_front: dict[Hashable, bool] = {}
        known = {module for module in model.modules() if isinstance(module, (*_IN_FRONT, *_BEHIND))}
        # Only where there is a layer that has them in front is there anything to learn.
        any_in_front = any(isinstance(module, _IN_FRONT) for module in known)
        self._watched = known if any_in_front else set()
        self._latest: tuple[nn.Module, tuple[int, ...]] | None = None

    def hooks(self) -> Iterator[tuple[nn.Module, Callable[[nn.Module, Any, Any], None]]]:
        """Give hooks that look at the outputs.

        Yields:
            Each module and a hook to call with its input and output.
        """
        for module in self._watched:
            yield module, self._look

    def rows(self, rows: Rows, call: Hashable, module: nn.Module, activation: Tensor) -> Rows:
        """Say where the channels of an activation are, if that is open.

        Args:
            rows: The row policy.
            call: The call of the layer; what was learnt of it holds from then on.
            module: The layer.
            activation: What it gave.

        Returns:
            The policy, with `channel_dim=1` for what has its channels in front of time.
        """
        open_here = rows.channel_dim is None and rows.batch_dim == 0 and bool(self._watched)
        if not open_here or activation.is_nested or activation.ndim != 3:
            return rows
        if call not in self.in_front:
            self.in_front[call] = self._are_in_front(module, activation)
        return replace(rows, channel_dim=1) if self.in_front[call] else rows

    def _look(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor) and not first.is_nested and first.ndim == 3:
            self._latest = module, tuple(first.shape)

    def _are_in_front(self, module: nn.Module, activation: Tensor) -> bool:
        if isinstance(module, _IN_FRONT):
            return True
        if isinstance(module, _BEHIND) or self._latest is None:
            return False
        latest, (_, one, two) = self._latest
        shape = activation.shape
        same = (shape[1] == one) + (shape[2] == two)
        turned = (shape[1] == two) + (shape[2] == one)
        if one == two and activation.stride(1) < activation.stride(2):
            turned += 1  # as many steps as channels: only the memory shows that it was turned
        if isinstance(latest, _IN_FRONT):
            return same > 0 and same >= turned
        # A linear layer may mix tokens, turned round for it; a norm has the channels last.
        return isinstance(latest, _NORMS) and turned > same
