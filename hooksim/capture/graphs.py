"""Modules that are a graph of their own, whose layers no hook sees."""

import torch
from torch import nn

from hooksim.errors import ConfigError

__all__ = ["check_hookable"]


def check_hookable(module: nn.Module, where: str) -> None:
    """Refuse a module that `torch.jit` made: it takes no hooks, or never calls them.

    Args:
        module: A model, or a layer of one.
        where: Its name in the message.

    Raises:
        ConfigError: It is scripted or traced.

    Example:
        >>> check_hookable(nn.Linear(2, 2), "layer 'head'")
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ConfigError(
            f"{where}: torch.jit made it, and calls no hooks inside. Give the module that it was "
            "made from."
        )
