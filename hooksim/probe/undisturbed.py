"""What a measure must leave as it was: random numbers, buffers, precision, accelerate's state."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from hooksim.capture.placement import is_sharded
from hooksim.errors import HooksimError

__all__ = ["in_full_precision", "keeping_buffers", "undisturbed"]

_SMALL = 1 << 16  # numbers: scales and shifts, of which a copy costs next to nothing
_PLACE = ("end_of_dataloader", "remainder", "iteration")  # of a loader that accelerate prepared


@contextmanager
def undisturbed(loader: Any, device: torch.device | str | None) -> Iterator[None]:
    """Keep the surroundings out, and put back every random state.

    Inside, there are no gradients, no inference mode and no autocast, whatever is around; values
    do not depend on where in a training loop they are measured. What accelerate knows of the
    loaders that are being read, by which it accumulates gradients, is put back too.

    Args:
        loader: Its own generator is put back too, which it may share with other loaders.
        device: The device that is asked for, which may not have been used yet.

    Yields:
        None.

    Example:
        >>> before = torch.random.get_rng_state()
        >>> with torch.autocast("cpu", torch.bfloat16), undisturbed([], None):
        ...     (torch.rand(2, 2) @ torch.rand(2, 2)).dtype
        torch.float32
        >>> torch.equal(before, torch.random.get_rng_state())
        True
    """
    accelerator = torch.accelerator.current_accelerator()
    kinds = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    with ExitStack() as stack:
        for put_back in _random_states(loader, accelerator, device) + _gradient_state(loader):
            stack.callback(put_back)
        for kind in kinds:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        yield


def _random_states(
    loader: Any, accelerator: torch.device | None, device: torch.device | str | None
) -> list[Callable[[], object]]:
    """What puts each random state back to what it is now."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    found: list[Callable[[], object]] = [
        lambda: random.setstate(python),
        lambda: np.random.set_state(numpy),
        lambda: torch.random.set_rng_state(cpu),
    ]
    generator = getattr(loader, "generator", None)
    if isinstance(generator, torch.Generator):
        own = generator.get_state()
        found.append(lambda: generator.set_state(own))
    if accelerator is not None:
        found += _accelerator_states(accelerator, device)
    return found


def _accelerator_states(
    accelerator: torch.device, device: torch.device | str | None
) -> list[Callable[[], object]]:
    module: Any = torch.get_device_module(accelerator)
    if accelerator.type == "mps":
        state = module.get_rng_state()
        return [lambda: module.set_rng_state(state)]
    # Asking an accelerator that nobody has used yet would start it, for nothing.
    wanted = device is not None and torch.device(device).type == accelerator.type
    if not (wanted or module.is_initialized()):
        return []
    states = module.get_rng_state_all()
    return [lambda: module.set_rng_state_all(states)]


def _gradient_state(loader: Any) -> list[Callable[[], object]]:
    """What puts back which loaders accelerate takes for being read, and where in them it is."""
    kind: Any = getattr(sys.modules.get("accelerate.state"), "GradientState", None)
    if kind is None or not kind._shared_state:
        return []
    state = kind()
    # A loader that accelerate has prepared enters itself here, and leaves only when it is read to
    # its end; until then accelerate would take it for that of the training.
    loaders, synced = list(state.dataloader_references), state.sync_gradients
    places = [
        (each, {name: vars(each)[name] for name in _PLACE if name in vars(each)})
        for each in (loader, *loaders)
        if hasattr(each, "gradient_state")
    ]

    def put_back() -> None:
        state.dataloader_references, state.sync_gradients = loaders, synced
        for each, place in places:
            vars(each).update(place)

    return [put_back]


@contextmanager
def keeping_buffers(model: nn.Module) -> Iterator[None]:
    """Put back what a forward counts, averages or begins with, in evaluation mode too.

    These are the buffers, those that are None and those that it registers among them; the
    attributes that it sets; and the values of small parameters, such as a scale that is taken from
    the first batch. Large parameters are not copied, what is changed inside a list or another
    object stays, and of sharded models only the buffers are put back.

    Args:
        model: Any module.

    Yields:
        None.

    Raises:
        HooksimError: A parameter has no shape yet, which the first batch would give it.

    Example:
        >>> class Counting(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.register_buffer("calls", torch.zeros(1))
        ...
        ...     def forward(self, x):
        ...         self.calls += 1
        ...         return x
        >>> model = Counting()
        >>> with keeping_buffers(model):
        ...     _ = model(torch.zeros(1))
        >>> model.calls
        tensor([0.])
    """
    _refuse_lazy(model)
    sharded = is_sharded(model)
    tensors = [each for module in model.modules() for each in module._buffers.values()]
    if not sharded:
        tensors += [each for each in model.parameters() if each.numel() <= _SMALL]
    # The counter tells without a look at the values; inference tensors have none.
    values = [
        (each, each.detach().clone(), each._version)
        for each in tensors
        if each is not None and not each.is_inference()
    ]
    held = [content for module in model.modules() for content in _held(module, sharded)]
    try:
        yield
    finally:
        for content, before in held:
            _put_back(content, before)
        for tensor, value, version in values:
            # Written through `.data`, as scales often are, a parameter counts nothing.
            if isinstance(tensor, nn.Parameter):
                tensor.data.copy_(value)
            elif tensor._version != version:
                with torch.no_grad():
                    tensor.copy_(value)


def _refuse_lazy(model: nn.Module) -> None:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name in (name for name, each in tensors if is_lazy(each)):
        raise HooksimError(
            f"model: '{name}' of {type(model).__name__} has no shape yet, and the probe's samples "
            "would give it its first values. Run one batch through the model first."
        )


def _held(module: nn.Module, sharded: bool) -> list[tuple[Any, Any]]:
    """What a module holds by name, each with a shallow copy."""
    contents: list[Any] = [module._buffers, module._non_persistent_buffers_set]
    # What shards a model sets itself up in the first forward, which must stay.
    contents += [] if sharded else [module._parameters, vars(module)]
    return [(each, each.copy()) for each in contents]


def _put_back(content: Any, before: Any) -> None:
    for name in set(content) - set(before):
        content.remove(name) if isinstance(content, set) else content.pop(name)
    content.update(before)


@contextmanager
def in_full_precision(model: nn.Module) -> Iterator[None]:
    """Take away the autocast that accelerate, and with it transformers' Trainer, puts into a model.

    With `bf16=True` and the like the model's `forward` is replaced by one that switches autocast on
    wherever it is called from; the reference was recorded without.

    Args:
        model: Any module.

    Yields:
        None; inside, forwards are the model's own.
    """
    replaced = [
        (module, vars(module)["forward"])
        for module in model.modules()
        if "_original_forward" in vars(module)
        and hasattr(vars(module).get("forward"), "__wrapped__")
    ]
    try:
        for module, _ in replaced:
            module.forward = vars(module)["_original_forward"]
        yield
    finally:
        for module, forward in replaced:
            module.forward = forward
