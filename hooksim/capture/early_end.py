"""Why a forward pass must be seen through: hooks of other people, and what a model does at its end.

Only what modules hold is looked at. A counter in a closure or in a list that stays, or a file,
cannot be seen.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.modules import module as torch_module

__all__ = ["LateChanges", "hooked_modules", "ours"]


_Hook = TypeVar("_Hook", bound=Callable[..., None])
_OURS = "_may_miss_a_call"

_INTERNAL = frozenset(vars(nn.Module()))
_PLAIN = (bool, int, float, complex, str, bytes)
_SIZED = (list, dict, set)


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


class LateChanges:
    """Sees whether a whole forward changes its modules after the last layer that is read.

    Such a model (one that counts its calls, or puts something back at its end) would be left in
    another state by a forward that ends early. Looked at are the attributes and buffers of every
    module, when the last of these layers in the model's order was called, and after the forward.

    Args:
        model: The unwrapped model, before its forward.
        read: The modules whose outputs are read, one at least.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> watch = LateChanges(model, [model[0]])
        >>> for module, hook in watch.hooks():
        ...     hook(module, None, None)
        >>> model[1].inplace = True
        >>> watch.found()
        "'inplace' of '1' (ReLU)"
    """

    def __init__(self, model: nn.Module, read: Collection[nn.Module]) -> None:
        self._model = model
        self._last = next(each for each in reversed(list(model.modules())) if each in read)
        self._seen = _state(model)

    def hooks(self) -> Iterator[tuple[nn.Module, Callable[[nn.Module, Any, Any], None]]]:
        """Give the hook that looks at the model.

        Yields:
            A module and a hook to call with its input and output.
        """
        yield self._last, self._look

    def found(self) -> str:
        """Say, after the forward, what changed since the last look.

        Returns:
            The first attribute that did; empty where none did.
        """
        for name, module in self._model.named_modules():
            before, after = self._seen.get(module, {}), _attributes(module)
            for key in after.keys() | before.keys():
                if not _same(before.get(key), after.get(key)):
                    return f"{key!r} of {name!r} ({type(module).__name__})"
        return ""

    @ours
    def _look(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._seen = _state(self._model)


_Held = tuple[Any, int]


def _state(model: nn.Module) -> dict[nn.Module, dict[str, _Held]]:
    return {module: _attributes(module) for module in model.modules()}


def _attributes(module: nn.Module) -> dict[str, _Held]:
    """What a module holds besides parameters, each with what shows a change in place."""
    held = {key: value for key, value in vars(module).items() if key not in _INTERNAL}
    return {key: (value, _size(value)) for key, value in {**held, **module._buffers}.items()}


def _size(value: Any) -> int:
    if isinstance(value, Tensor):
        return -1 if value.is_inference() else value._version
    return len(value) if isinstance(value, _SIZED) else 0


def _same(before: _Held | None, after: _Held | None) -> bool:
    if before is None or after is None:
        return before is after
    equal = isinstance(before[0], _PLAIN) and type(before[0]) is type(after[0])
    same = before[0] is after[0] or (equal and before[0] == after[0])
    return bool(same) and before[1] == after[1]
