"""How an activation becomes rows: one small function a policy and shape, and the table of them."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from hooksim.capture.masks import TokenMask
from hooksim.errors import ConfigError, ShapeError

__all__ = ["POLICIES", "wide_dtype"]

_Policy: TypeAlias = Callable[[Tensor, TokenMask, int], Tensor]
"""`(activation with the batch in front, its tokens, channel dimension) -> rows (n, d)`."""


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Give the type in which rows of an activation are kept.

    Args:
        dtype: The activation's type.

    Returns:
        float64 for float64, else float32: half precision is widened.
    """
    return torch.float64 if dtype == torch.float64 else torch.float32


def _as_is(activation: Tensor, _tokens: TokenMask, _channel: int) -> Tensor:
    return activation


def _flatten(activation: Tensor, tokens: TokenMask, _channel: int) -> Tensor:
    if not tokens.full:
        raise ShapeError(
            "policy 'flatten' needs sequences of equal length, but the mask marks padding. "
            "Use rows='mean', 'cls', 'last' or 'token'."
        )
    return activation.flatten(start_dim=1)


def _token_mean(activation: Tensor, tokens: TokenMask, _channel: int) -> Tensor:
    dtype = wide_dtype(activation.dtype)
    if tokens.full:
        return activation.mean(dim=1, dtype=dtype)
    # Not a product with the mask: padding may hold NaN, and 0 * NaN is NaN.
    real = activation.masked_fill(tokens.padding_on(activation.device), 0)
    return real.sum(dim=1, dtype=dtype) / tokens.counts_on(activation.device)


def _position_mean(activation: Tensor, _tokens: TokenMask, channel: int) -> Tensor:
    if channel == 0:
        raise ConfigError(
            "rows: batch_dim and channel_dim are the same dimension of a 4-D output, and 'mean' "
            "needs both. Give channel_dim the dimension of the channels."
        )
    positions = [d for d in range(1, activation.ndim) if d != channel]
    return activation.mean(dim=positions, dtype=wide_dtype(activation.dtype))


def _first_token(activation: Tensor, tokens: TokenMask, _channel: int) -> Tensor:
    if tokens.full:
        return activation[:, 0]
    first = tokens.keep_on(activation.device).to(torch.int8).argmax(dim=1)
    return activation[torch.arange(len(first), device=first.device), first]


def _last_token(activation: Tensor, tokens: TokenMask, _channel: int) -> Tensor:
    if tokens.full:
        return activation[:, -1]
    keep = tokens.keep_on(activation.device)
    last = keep.shape[1] - 1 - keep.flip(1).to(torch.int8).argmax(dim=1)
    return activation[torch.arange(len(last), device=last.device), last]


def _real_tokens(activation: Tensor, tokens: TokenMask, _channel: int) -> Tensor:
    every = activation.flatten(end_dim=1)
    return every if tokens.full else every[tokens.positions_on(activation.device)]


POLICIES: Mapping[str, Mapping[int, _Policy]] = {
    "auto": {2: _as_is, 3: _token_mean, 4: _flatten},
    "flatten": {2: _as_is, 3: _flatten, 4: _flatten, 5: _flatten},
    "mean": {2: _as_is, 3: _token_mean, 4: _position_mean},
    "cls": {2: _as_is, 3: _first_token},
    "last": {2: _as_is, 3: _last_token},
    "token": {3: _real_tokens},
}
"""For each policy, what to do with an activation of 2, 3, ... dimensions. A shape that is not here
gives no rows. A new policy is a new entry."""
