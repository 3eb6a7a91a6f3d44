"""Where and how a model runs while it is read: its device and mode, put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hooksim.errors import ConfigError

__all__ = ["as_device", "can_stop_early", "evaluating", "input_device", "placed"]

_SHARDED = frozenset({"FullyShardedDataParallel", "FSDPModule", "ScriptModule"})


def as_device(device: torch.device | str | None) -> torch.device | None:
    """Accept a device by its name.

    Args:
        device: A device, its name, or None.

    Returns:
        The device, or None.

    Raises:
        ConfigError: There is no such kind of device.

    Example:
        >>> as_device("cpu")
        device(type='cpu')
    """
    try:
        return None if device is None else torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"device: expected a name such as 'cpu' or 'cuda:0', a torch.device or None, got "
            f"{device!r}."
        ) from error


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
        ConfigError: The device is not there, or the model is spread over several, so that it could
            not be put back.
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
    _check_device(device)
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


def _check_device(device: torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ConfigError(
            f"device: {str(device)!r} cannot be used here: {reason}. Leave device=None to run "
            "every model where it is."
        ) from error
