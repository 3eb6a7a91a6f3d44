"""The layers a person of the field would draw: a model's repeated blocks, found by structure.

A block is a module with submodules whose class occurs several times among the members of
containers (ModuleList, Sequential). A stage, a block that is little more than one container of
blocks, hands over to these: so ResNet and Swin give residual blocks, not four stages.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from torch import nn

__all__ = ["default_layers"]

_CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)


def default_layers(model: nn.Module, layers: dict[str, nn.Module]) -> list[str]:
    """Name the layers to look at where the user named none.

    Args:
        model: The unwrapped model.
        layers: Its modules by name, in the model's own order, aliases included.

    Returns:
        The names of the repeated blocks; where nothing repeats, of the only block of a
        ModuleList; else of the leaves with parameters. Empty where there are no parameters.
    """
    chosen = set(_repeated_blocks(model) or _leaves(layers.values()))
    names = []
    for name, module in layers.items():
        if module in chosen:
            names.append(name)
            chosen.remove(module)  # an alias that comes later is not a second layer
    return names


def _repeated_blocks(model: nn.Module) -> list[nn.Module]:
    members = [
        (type(container), member)
        for container in model.modules()
        if isinstance(container, _CONTAINERS)
        for member in filter(None, container._modules.values())
        if _is_block(member)
    ]
    counts = Counter(type(member) for _, member in members)
    repeated = [member for _, member in members if counts[type(member)] >= 2]
    single = [member for container, member in members if container is nn.ModuleList]
    # A convolution with its norm is a block only where nothing larger repeats.
    for candidates, weights in ((repeated, 2), (repeated, 1), (single, 2)):
        blocks = {member for member in candidates if _weights(member) >= weights}
        if blocks:
            return list(_outermost(model, blocks))
    return []


def _is_block(module: nn.Module) -> bool:
    """Tell a block from a leaf, and from a container that only holds other blocks."""
    children = list(module.children())
    if type(module) is nn.Sequential:
        return not any(_has_children(child) for child in children)
    return bool(children) and type(module) not in _CONTAINERS


def _outermost(module: nn.Module, blocks: set[nn.Module]) -> Iterator[nn.Module]:
    for child in module.children():
        if child in blocks:
            yield from _inside_stage(child, blocks)
        else:
            yield from _outermost(child, blocks)


def _inside_stage(block: nn.Module, blocks: set[nn.Module]) -> Iterator[nn.Module]:
    inner = [
        member
        for container in block.children()
        if isinstance(container, _CONTAINERS)
        for member in container.children()
        if len({type(each) for each in container.children()}) == 1 and _weights(member) >= 2
    ]
    if inner and blocks.issuperset(inner) and 2 * sum(map(_size, inner)) >= _size(block):
        for member in inner:
            yield from _inside_stage(member, blocks)
    else:
        yield block


def _leaves(modules: Iterable[nn.Module]) -> list[nn.Module]:
    return [
        module
        for module in modules
        if not _has_children(module) and any(True for _ in module.parameters())
    ]


def _has_children(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def _weights(module: nn.Module) -> int:
    return sum(parameter.ndim >= 2 for parameter in module.parameters())


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
