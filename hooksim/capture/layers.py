"""Layers by their dotted names: what a model has, and what a selector picks."""

from collections.abc import Iterable, Iterator
from inspect import getattr_static
from typing import NamedTuple

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hooksim.capture.default_layers import default_layers, is_one_layer
from hooksim.capture.selectors import (
    WRAPPED,
    Selectors,
    as_list,
    close_layers,
    name_pattern,
    split_firing,
    stripped,
)
from hooksim.errors import ConfigError, LayerNotFoundError

__all__ = [
    "SelectedLayer",
    "Selectors",
    "layers_for_other",
    "list_layers",
    "model_title",
    "named_layers",
    "select_layers",
    "unwrap",
]

_PARALLEL = (nn.DataParallel, DistributedDataParallel)


class SelectedLayer(NamedTuple):
    """A layer that was picked.

    Attributes:
        name: Its dotted name, without a firing.
        module: The module itself.
        firing: The one firing that was asked for; None for all of them.
        by_name: Whether it was named, and not found by a pattern or by default.
    """

    name: str
    module: nn.Module
    firing: int | None
    by_name: bool


def list_layers(model: nn.Module) -> list[str]:
    """List the layers of a model that a selector may name, in the model's own order.

    Containers that are never called (ModuleList, ModuleDict) are left out. A module under several
    names is listed under its first; the others are accepted too.

    Args:
        model: Any module; `torch.compile`, DataParallel and DDP are looked through.

    Returns:
        Dotted names.

    Raises:
        ConfigError: It is no module.

    Example:
        >>> list_layers(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
        ['0', '1']
    """
    return list(_first_names(named_layers(unwrap(model))))


def unwrap(model: nn.Module) -> nn.Module:
    """Give the model inside `torch.compile`, DataParallel and DistributedDataParallel.

    Args:
        model: Any module.

    Returns:
        The innermost model; `model` itself where nothing is wrapped around it.

    Raises:
        ConfigError: It is no module.
    """
    given: object = model
    if not isinstance(given, nn.Module):
        own = " Its own names are in .layers." if hasattr(given, "layers") else ""
        raise ConfigError(f"model: expected a torch.nn.Module, got {type(given).__name__}.{own}")
    while True:
        if isinstance(model, _PARALLEL):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def model_title(model: nn.Module, label: str) -> str:
    """Name a model in a message.

    Args:
        model: The unwrapped model.
        label: `A`, `B`, or empty.

    Returns:
        For example `model A (ResNetModel)`.
    """
    return " ".join(word for word in ("model", label, f"({type(model).__name__})") if word)


def select_layers(model: nn.Module, selectors: Selectors, label: str = "") -> list[SelectedLayer]:
    """Find the layers that selectors pick.

    `*` stands for one segment of a name, `**` for any number, and `name#1` for the second firing
    of a module that is called several times. Patterns look at one name of each module.

    Args:
        model: The unwrapped model.
        selectors: What to pick; None for the model's repeated blocks, or the leaves with
            parameters where nothing repeats.
        label: The model's label in messages.

    Returns:
        The layers, in the order of the list of selectors, each pattern in the model's own order.

    Raises:
        LayerNotFoundError: A selector matches nothing, or names a container.
        ConfigError: A selector is no string, or not a valid regular expression.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
        >>> [layer.name for layer in select_layers(model, ["2", "*"])]
        ['2', '0', '1']
    """
    layers = named_layers(model)
    if selectors is None:
        return _default(model, layers, label)
    found: dict[tuple[str, int | None], SelectedLayer] = {}
    for selector in as_list(selectors):
        for layer in _select(model, layers, selector, label):
            known = found.setdefault((layer.name, layer.firing), layer)
            if layer.by_name and not known.by_name:
                found[layer.name, layer.firing] = known._replace(by_name=True)
    return list(found.values())


def layers_for_other(selectors: Selectors, other: nn.Module) -> Selectors:
    """Decide what to read of model B where only the layers of A were named.

    Args:
        selectors: The selectors of model A.
        other: Model B.

    Returns:
        The same selectors where every one matches in `other`, else None: its default.

    Example:
        >>> layers_for_other("0", nn.Sequential(nn.Linear(3, 2)))
        '0'
        >>> layers_for_other("encoder.*", nn.Sequential(nn.Linear(3, 2))) is None
        True
    """
    try:
        select_layers(unwrap(other), selectors)
    except LayerNotFoundError:
        return None
    return selectors


def named_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Name every module but the root, under each of its names.

    A model that is one layer itself, such as `nn.LSTM`, goes by the name of its class.

    Args:
        model: The unwrapped model.

    Returns:
        The modules in the model's own order, what wrappers add left out of the names.
    """
    itself = {type(model).__name__: model} if is_one_layer(model) else {}
    return {**itself, **dict(_walk(model, "", (model,)))}


def _walk(
    module: nn.Module, prefix: str, above: tuple[nn.Module, ...]
) -> Iterator[tuple[str, nn.Module]]:
    for key, child in module._modules.items():
        if child is None or any(child is ancestor for ancestor in above):
            continue
        wrapped = key in WRAPPED or (key == "module" and isinstance(module, _PARALLEL))
        name = prefix if wrapped else f"{prefix}.{key}".removeprefix(".")
        if name:
            yield name, child
        yield from _walk(child, name, (*above, child))


def _first_names(layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Each module that can be called, once."""
    seen: set[nn.Module] = set()
    first = {}
    for name, module in layers.items():
        if _is_called(module) and module not in seen:
            seen.add(module)
            first[name] = module
    return first


def _is_called(module: nn.Module) -> bool:
    # Asked of the class without looking it up: a scripted module answers with an error.
    forward = getattr_static(type(module), "forward", nn.Module.forward)
    return forward is not nn.Module.forward or "forward" in vars(module)


def _default(model: nn.Module, layers: dict[str, nn.Module], label: str) -> list[SelectedLayer]:
    names = default_layers(model, layers)
    if not names:
        raise LayerNotFoundError(
            f"{model_title(model, label)} has no submodule with parameters. "
            "Name the layers, or wrap the model in torch.nn.Sequential."
        )
    return [SelectedLayer(name, layers[name], None, False) for name in names]


def _select(
    model: nn.Module, layers: dict[str, nn.Module], selector: str, label: str
) -> list[SelectedLayer]:
    name, firing = split_firing(selector)
    exact = next((known for known in (name, stripped(name)) if known in layers), None)
    if exact is not None:
        if not _is_called(layers[exact]):
            raise LayerNotFoundError(_never_called(model, layers[exact], exact, label))
        return [SelectedLayer(exact, layers[exact], firing, True)]
    callable_layers = _first_names(layers)
    matched = _matched(name, callable_layers)
    if not matched and not name.startswith("re:"):
        matched = _matched(stripped(name), callable_layers)
    if not matched:
        raise LayerNotFoundError(
            f"no layer of {model_title(model, label)} matches {selector!r}. "
            f"{close_layers(name, callable_layers)}"
            "hooksim.list_layers(model) shows all."
        )
    return [SelectedLayer(known, layers[known], firing, False) for known in matched]


def _matched(selector: str, known: Iterable[str]) -> list[str]:
    pattern = name_pattern(selector)
    return [name for name in known if pattern.fullmatch(name)]


def _never_called(model: nn.Module, module: nn.Module, name: str, label: str) -> str:
    return (
        f"layer {name!r} of {model_title(model, label)} is a {type(module).__name__}, which is "
        f"never called. Select its members with '{name}.*'."
    )
