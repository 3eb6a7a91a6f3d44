"""Who else takes part in a forward pass, and so must see it through: other people's hooks."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn
from torch.nn.modules import module as torch_module

__all__ = ["hooked_modules", "ours"]


_Hook = TypeVar("_Hook", bound=Callable[..., None])
_OURS = "_may_miss_a_call"


def ours(hook: _Hook) -> _Hook:
    """Mark a hook of our own, for which no forward pass but its own reader's needs to go on.

    Args:
        hook: A function or method that is registered on modules.

    Returns:
        The same function.
    """
    setattr(hook, _OURS, True)
    return hook


def hooked_modules(model: nn.Module) -> frozenset[nn.Module]:
    """Find the modules whose call a forward pass must not end before.

    Args:
        model: The unwrapped model.

    Returns:
        The modules with a forward hook or forward pre-hook that is not ours, and those whose
        weights accelerate takes away after each call, which an end inside them would leave in
        memory. The model itself where the process has hooks on all modules.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> handle = model[1].register_forward_hook(print)
        >>> hooked_modules(model)
        frozenset({ReLU()})
    """
    found = {module for module in model.modules() if _has_hooks(module) or _is_offloaded(module)}
    if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
        found.add(model)
    return frozenset(found)


def _has_hooks(module: nn.Module) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(not hasattr(hook, _OURS) for hook in hooks)


def _is_offloaded(module: nn.Module) -> bool:
    # Of a kind of hook that we do not know, we suppose that it does something afterwards.
    hook = getattr(module, "_hf_hook", None)
    return hook is not None and bool(getattr(hook, "offload", True))
