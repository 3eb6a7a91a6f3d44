"""Where and how a model runs while it is read: its device and mode, put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hooksim.errors import ConfigError

__all__ = ["can_stop_early", "evaluating", "input_device", "placed"]

_SHARDED = frozenset({"FullyShardedDataParallel", "FSDPModule", "ScriptModule"})


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode, then give every module its own mode back.

    Args:
        model: Any module.

    Yields:
        None.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def placed(model: nn.Module, device: torch.device | None) -> Iterator[None]:
    """Hold a model on a device, then move it back.

    Args:
        model: Any module.
        device: Where to; None leaves the model where it is.

    Yields:
        None.

    Raises:
        ConfigError: The model is spread over several devices, so it could not be put back.
    """
    before = {tensor.device for tensor in [*model.parameters(), *model.buffers()]}
    if device is None or before <= {device}:
        yield
        return
    if len(before) > 1:
        raise ConfigError(
            f"device: {type(model).__name__} is spread over {', '.join(sorted(map(str, before)))}. "
            "Leave device=None to run it where it is."
        )
    try:
        model.to(device)
        yield
    finally:
        model.to(before.pop())


def input_device(model: nn.Module) -> torch.device:
    """Tell where a model wants its input.

    Args:
        model: Any module, possibly with parts offloaded to disk.

    Returns:
        The device of its first parameter or buffer that has memory; the CPU where it has none.
    """
    devices = [tensor.device for tensor in [*model.parameters(), *model.buffers()]]
    real = [device for device in devices if device.type != "meta"]
    execution = getattr(getattr(model, "_hf_hook", None), "execution_device", None)
    if not real and execution is not None:
        return torch.device(execution)
    return next(iter([*real, *devices]), torch.device("cpu"))


def can_stop_early(model: nn.Module) -> bool:
    """Tell whether a forward of this model may end in the middle.

    Args:
        model: Any module.

    Returns:
        False for models whose parameters are sharded, which must be gathered and freed in step,
        and for scripted ones, which turn our exception into their own.
    """
    for module in model.modules():
        if not _SHARDED.isdisjoint(base.__name__ for base in type(module).__mro__):
            return False
    return not any(hasattr(parameter, "ds_id") for parameter in model.parameters())
