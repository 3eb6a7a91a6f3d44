"""Hooks that are always removed: the one mechanism that registers them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from torch import Tensor, nn

from hooksim.capture.activations import ActivationStore
from hooksim.capture.eager import eager
from hooksim.capture.feeding import InputHook, OutputHook
from hooksim.capture.graphs import check_hookable
from hooksim.capture.layers import Selectors, model_title, select_layers, unwrap
from hooksim.capture.rows import Rows, as_rows

__all__ = ["capture_activations", "forward_hooks", "input_hooks", "output_hooks"]

_ForwardHook: TypeAlias = Callable[[nn.Module, Any, Any], None]


@contextmanager
def forward_hooks(hooks: Iterable[tuple[nn.Module, _ForwardHook]]) -> Iterator[None]:
    """Hold forward hooks for as long as the context lasts.

    Args:
        hooks: Each module and the function to call with it, its input and its output.

    Yields:
        None, with every hook in place.
    """
    with ExitStack() as handles:
        for module, hook in hooks:
            handles.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def input_hooks(hooks: Iterable[tuple[nn.Module, InputHook]]) -> Iterator[None]:
    """Hold hooks on the input of modules for as long as the context lasts.

    Args:
        hooks: Each module and the function to call with it, its arguments and its keywords.

    Yields:
        None, with every hook in place.
    """
    with ExitStack() as handles:
        for module, hook in hooks:
            handle = module.register_forward_pre_hook(hook, with_kwargs=True)
            handles.callback(handle.remove)
        yield


@contextmanager
def output_hooks(hooks: Iterable[tuple[nn.Module, OutputHook]]) -> Iterator[None]:
    """Hold hooks on the output of modules that see their input too.

    Args:
        hooks: Each module and the function to call with it, its arguments, its keywords and its
            output.

    Yields:
        None, with every hook in place.
    """
    with ExitStack() as handles:
        for module, hook in hooks:
            handles.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        yield


@contextmanager
def capture_activations(
    model: nn.Module, layers: Selectors = None, rows: str | Rows | None = None
) -> Iterator[dict[str, Tensor]]:
    """Keep what layers give while you call the model yourself.

    Every forward overwrites what the one before left. A module that is called several times in a
    forward is kept as `name#0`, `name#1`, ... The model's mode and gradients are left as they are.

    Args:
        model: Any module; what was compiled runs eagerly inside the context.
        layers: As for `hooksim.compare`: names, patterns, or None for the repeated blocks.
        rows: A row policy to apply; None keeps activations as they are.

    Yields:
        A dict from layer name to a detached copy of its output: the activation, or with `rows` its
        rows `(n, d)`. Filled by each forward.

    Raises:
        LayerNotFoundError: A selector matches nothing; or in a forward of the model a named layer
            is not called or gives no tensor or rows, or no layer does.
        ConfigError: It is no module; or the model or a layer was made by `torch.jit` and takes no
            hooks.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True))
        >>> with capture_activations(model, "0") as activations:
        ...     output = model(torch.ones(5, 3))
        >>> {name: tuple(value.shape) for name, value in activations.items()}
        {'0': (5, 2)}
    """
    inner = unwrap(model)
    check_hookable(inner, model_title(inner, ""))
    selected = select_layers(inner, layers)
    for layer in selected:
        check_hookable(layer.module, f"layer {layer.name!r}")
    store = ActivationStore(inner, selected, None if rows is None else as_rows(rows))
    with ExitStack() as stack:
        stack.enter_context(eager())
        stack.enter_context(input_hooks(store.input_hooks()))
        stack.enter_context(output_hooks(store.output_hooks()))
        stack.enter_context(forward_hooks(store.forward_hooks()))
        yield store.activations
