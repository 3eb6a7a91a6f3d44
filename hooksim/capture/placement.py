"""Where and how a model runs while it is read: its device and mode, put back afterwards."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from hooksim.errors import ConfigError, HooksimError, MissingWeightsError

__all__ = [
    "as_device",
    "can_stop_early",
    "check_values",
    "evaluating",
    "input_device",
    "is_sharded",
    "other_precision",
    "placed",
]

_SHARDED = frozenset({"FullyShardedDataParallel", "FSDPModule"})


def as_device(device: torch.device | str | None) -> torch.device | None:
    """Accept a device by its name.

    Args:
        device: A device, its name, or None.

    Returns:
        The device, or None.

    Raises:
        ConfigError: There is no such kind of device, or it holds no values.

    Example:
        >>> as_device("cpu")
        device(type='cpu')
    """
    expected = "device: expected a name such as 'cpu' or 'cuda:0', a torch.device or None, got "
    try:
        found = None if device is None else torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"{expected}{device!r}.") from error
    if found is not None and found.type == "meta":
        raise ConfigError(f"{expected}{device!r}, which holds no values.")
    return found


def check_values(model: nn.Module, title: str) -> None:
    """Refuse a model whose weights were never loaded.

    Args:
        model: Any module; one whose weights accelerate brings in when they are needed passes.
        title: The model in the message.

    Raises:
        MissingWeightsError: A parameter or buffer is on the meta device.
    """
    tensors = [*model.named_parameters(), *model.named_buffers()]
    empty = [name for name, tensor in tensors if tensor.is_meta]
    if empty and not any(hasattr(module, "_hf_hook") for module in model.modules()):
        raise MissingWeightsError(
            f"{title}: {len(empty)} of its {len(tensors)} parameters and buffers are on the meta "
            f"device, which holds no values ({empty[0]!r}, ...). Load its weights first."
        )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode, then give every module its own mode back.

    Args:
        model: Any module.

    Yields:
        None.

    Raises:
        HooksimError: It has no eval mode, as what `torch.export` made.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        _to_eval(model)
        yield
    finally:
        for module, training in modes:
            if module.training is not training:
                module.train(training)  # a layer of the user's may undo what its own eval did
        for module, training in modes:  # `train` reaches children, whose own mode may be another
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
        ConfigError: The device is not there; or the model is spread over several or offloaded, so
            that it could not be put back.
    """
    before = {tensor.device for tensor in [*model.parameters(), *model.buffers()]}
    if device is None or before <= {device}:
        yield
        return
    if len(before) > 1 or torch.device("meta") in before:
        raise ConfigError(
            f"device: {type(model).__name__} is on {', '.join(sorted(map(str, before)))} and could "
            "not be put back. Leave device=None to run it where it is."
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
        The device of its first parameter or buffer that has memory; where none has, the one that
        accelerate runs it on; the CPU where there is neither.
    """
    devices = [tensor.device for tensor in [*model.parameters(), *model.buffers()]]
    real = [device for device in devices if device.type != "meta"]
    return next(iter([*real, *_execution_devices(model), *devices]), torch.device("cpu"))


def other_precision(model: nn.Module, given: Mapping[str, Any]) -> str:
    """Say that a batch and a model differ in precision, for the message of a forward that failed.

    Nothing is cast for the user: a model may have parameters of several types, and cast itself.

    Args:
        model: Any module.
        given: What it was given.

    Returns:
        The end of a sentence; empty where a parameter has the type of each input, or there is none.

    Example:
        >>> other_precision(nn.Linear(2, 2), {"x": torch.zeros(3, 2)})
        ''
    """
    own = _precisions(model.parameters())
    others = _precisions(value for value in given.values() if isinstance(value, torch.Tensor))
    if not own or others <= own:
        return ""
    return (
        f"; its parameters are {', '.join(sorted(own))}: give it batches of that type, in a "
        "PairedBatch where the other model takes another"
    )


def _precisions(tensors: Iterable[torch.Tensor]) -> set[str]:
    floating = (tensor.dtype for tensor in tensors if tensor.is_floating_point())
    return {str(dtype).removeprefix("torch.") for dtype in floating}


def can_stop_early(model: nn.Module) -> bool:
    """Tell whether a forward of this model may end in the middle.

    Args:
        model: Any module.

    Returns:
        False for models whose parameters are sharded, which must be gathered and freed in step,
        and for scripted ones, which turn our exception into their own.
    """
    if _has(model, _SHARDED | {"ScriptModule"}):
        return False
    return not any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def is_sharded(model: nn.Module) -> bool:
    """Tell whether the processes of a group must run a model together, batch by batch.

    Args:
        model: Any module.

    Returns:
        True where a process holds a part of some parameter: FSDP, DeepSpeed ZeRO-3, DTensor.

    Example:
        >>> is_sharded(nn.Linear(2, 2))
        False
    """
    return _has(model, _SHARDED) or any(
        hasattr(parameter, "ds_id") or type(parameter.data).__name__ == "DTensor"
        for parameter in model.parameters()
    )


def _has(model: nn.Module, kinds: frozenset[str]) -> bool:
    """Whether a module is of one of the kinds, known by their names."""
    return any(
        not kinds.isdisjoint(base.__name__ for base in type(module).__mro__)
        for module in model.modules()
    )


def _execution_devices(model: nn.Module) -> Iterator[torch.device]:
    """Where accelerate runs the parts that it has offloaded, the first part first."""
    for module in model.modules():
        hook = getattr(module, "_hf_hook", None)
        for each in getattr(hook, "hooks", [hook]):  # several hooks of one module are one
            device = getattr(each, "execution_device", None)
            if device is not None:
                yield torch.device(device)


def _to_eval(model: nn.Module) -> None:
    try:
        model.eval()
    except NotImplementedError as error:
        raise HooksimError(
            f"{type(model).__name__} has no eval mode, and its layers are not called one by one: "
            "torch.export made it. Give the module that it was made from."
        ) from error


def _check_device(device: torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ConfigError(
            f"device: {str(device)!r} cannot be used here: {reason}. Leave device=None to run "
            "every model where it is."
        ) from error
