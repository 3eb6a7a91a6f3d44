"""The layers a person of the field would draw: a model's repeated blocks, found by structure.

A block is a module with submodules whose class occurs several times among the members of
containers (ModuleList, Sequential), or that stands in a ModuleList named like one of theirs. A
stage, a block that is little more than a row of blocks, hands over to these: so ResNet and Swin
give residual blocks, not four stages.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from hooksim.capture.selectors import WRAPPED

__all__ = ["default_layers", "is_one_layer"]

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
    chosen = set(_repeated_blocks(model) or _leaves(model))
    names = []
    for name, module in layers.items():
        if module in chosen:
            names.append(name)
            chosen.remove(module)  # an alias that comes later is not a second layer
    return names


def is_one_layer(module: nn.Module) -> bool:
    """Tell whether a module is one layer, with parameters and nothing inside that is called.

    Args:
        module: Any module.

    Returns:
        True for leaves with parameters. What parametrizes their weights (spectral norm) or holds
        them packed (quantization) is no part of theirs, nor is the `out_proj` of attention, whose
        weights are used without a call.
    """
    whole = isinstance(module, nn.MultiheadAttention) or _is_packed(module)
    numbers = any(True for _ in module.parameters()) or _weights(module) > 0
    return numbers and (whole or not _parts(module))


class _Member(NamedTuple):
    """A block in a container: the container's own name, its class, and the block."""

    row: str
    container: type[nn.Module]
    block: nn.Module


def _repeated_blocks(model: nn.Module) -> list[nn.Module]:
    members = list(_members(model))
    counts = Counter(type(member.block) for member in members)
    # Layers of another kind stand beside these: one of attention among many of Mamba, the only
    # layer of a distilled decoder.
    rows = {row for row, container, block in members if counts[type(block)] >= 2}
    repeated = [
        member.block
        for member in members
        if counts[type(member.block)] >= 2
        or (member.container is nn.ModuleList and member.row in rows)
    ]
    single = [member.block for member in members if member.container is nn.ModuleList]
    # A convolution with its norm is a block only where nothing larger repeats.
    for candidates, weights in ((repeated, 2), (repeated, 1), (single, 2)):
        blocks = {block for block in candidates if _weights(block) >= weights}
        if blocks:
            return list(_outermost(model, blocks))
    return []


def _members(model: nn.Module) -> Iterator[_Member]:
    for name, container in model.named_modules():
        if isinstance(container, _CONTAINERS):
            # A list in a list bears the outer one's name.
            row = next((part for part in reversed(name.split(".")) if not part.isdecimal()), "")
            # Not children(): a shared block counts as often as it stands there.
            members: Iterable[nn.Module | None] = container._modules.values()
            for block in (_inside(member) for member in members if member is not None):
                if _is_block(block):
                    yield _Member(row, type(container), block)


def _is_block(module: nn.Module) -> bool:
    """Tell a block from a leaf, and from a container that only holds other blocks."""
    parts = _parts(module)
    if type(module) is nn.Sequential:
        return not any(map(_parts, parts))
    return bool(parts) and type(module) not in (*_CONTAINERS, ParametrizationList)


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
        if isinstance(container, _CONTAINERS) and _is_row(container)
        for member in map(_inside, container.children())
        if _weights(member) >= 2
    ]
    most = all(2 * sum(map(of, inner)) >= of(block) for of in (_weights, _size))
    if inner and blocks.issuperset(inner) and most:
        for member in inner:
            yield from _inside_stage(member, blocks)
    else:
        yield block


def _is_row(container: nn.Module) -> bool:
    """Tell a row of blocks from the parts of one block, each of another class."""
    members = list(map(_inside, container.children()))
    classes = {type(member) for member in members}
    return all(map(_is_block, members)) and len(classes) < max(2, len(members))


def _inside(module: nn.Module) -> nn.Module:
    """Give the module inside what was compiled or wrapped block by block, which bears its name."""
    inner = next((each for key, each in module._modules.items() if key in WRAPPED), None)
    return module if inner is None else _inside(inner)


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    if is_one_layer(module):
        yield module
    else:
        for child in module.children():
            yield from _leaves(child)


def _parts(module: nn.Module) -> list[nn.Module]:
    return [child for name, child in module.named_children() if name != "parametrizations"]


def _weights(module: nn.Module) -> int:
    """Count weight matrices, those of quantized layers too: packed, or buffers of integers."""
    packed = sum(map(_is_packed, module.modules()))
    integers = [each for each in module.buffers() if each.dtype in (torch.int32, torch.uint8)]
    return packed + sum(each.ndim >= 2 for each in (*module.parameters(), *integers))


def _is_packed(module: nn.Module) -> bool:
    # Of the class: to ask a module for a parametrized weight is to compute it.
    return callable(getattr(type(module), "weight", None))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
