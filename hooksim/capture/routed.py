"""Experts: parts that a model chooses tokens for, so that their rows are no samples."""

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any, NamedTuple

from torch import Tensor, nn

from hooksim.capture.feeding import InputHook
from hooksim.capture.selectors import stripped

__all__ = ["Routed"]

_LISTS = (nn.ModuleList, nn.ModuleDict)


class _Experts(NamedTuple):
    """Members of one class in a list, and the module that calls them."""

    owner: str
    members: dict[str, nn.Module]


class Routed:
    """Watches whether a model hands out the rows of its batch, in one forward pass.

    An expert that happens to be given as many tokens as the batch has samples looks like a layer
    with a row for each sample. What tells is beside it: another member of its list is given some
    rows, and not so many for each sample; or the module that calls them has its samples and tokens
    in one dimension.

    Args:
        model: The unwrapped model.

    Example:
        >>> import torch
        >>> model = nn.Module()
        >>> model.experts = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        >>> watch = Routed(model)
        >>> watch.begin(3)
        >>> for (module, hook), rows in zip(watch.hooks(), [3, 5], strict=False):
        ...     hook(module, (torch.zeros(rows, 4),), {})
        >>> watch.reasons()[model.experts[0]]
        "its rows are tokens that the model chose for it: 'experts.1' beside it was given 5, for...
        >>> model in watch.reasons()
        False
    """

    def __init__(self, model: nn.Module) -> None:
        self._size = 1
        self._modules = dict(model.named_modules())
        self._experts = list(_found(self._modules))
        self._given: dict[str, list[tuple[int, ...]]] = {}

    def begin(self, size: int) -> None:
        """Say that a forward begins.

        Args:
            size: Number of samples of its batch.
        """
        self._size = size
        self._given.clear()

    def hooks(self) -> Iterator[tuple[nn.Module, InputHook]]:
        """Give hooks that look at the inputs.

        Yields:
            Each module and a hook to call with its input.
        """
        watched: dict[str, nn.Module] = {}
        for owner, members in self._experts:
            watched |= members
            watched |= {name: self._modules[name] for name in (owner, *self._beside(owner))}
        for name, module in watched.items():
            yield module, partial(self._look, name)

    def reasons(self) -> dict[nn.Module, str]:
        """Say, after the forward, of which modules the rows are no samples.

        Returns:
            By module the end of a message; empty where nothing is handed out.
        """
        found = {}
        for group in self._experts:
            sign = self._sign(group)
            if sign:
                owner = stripped(group.owner)
                around = f"Select {owner!r} around it." if owner else "Leave it out."
                reason = f"its rows are tokens that the model chose for it: {sign}. {around}"
                parts = (part for each in group.members.values() for part in each.modules())
                found.update(dict.fromkeys(parts, reason))
        return found

    def _look(
        self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        values = (*args, *kwargs.values())
        tensors = (each for each in values if isinstance(each, Tensor) and not each.is_nested)
        first = next(tensors, None)
        if first is not None and first.is_floating_point() and first.ndim >= 2:
            self._given.setdefault(name, []).append(tuple(first.shape))

    def _sign(self, group: _Experts) -> str:
        """What says that the samples of a batch are handed out; empty where nothing does."""
        rows = {
            name: {shape[0] for shape in self._given.get(name, []) if len(shape) == 2}
            for name in group.members
        }
        for name, counts in rows.items():
            # What has some rows for each sample, or is shared with prototypes, is no expert.
            odd = next((count for count in counts if count % self._size), None)
            if odd is not None and self._size not in counts:
                return f"{stripped(name)!r} beside it was given {odd}, for {self._size} samples"
        if not any(rows.values()):
            return ""
        whole = self._given.get(group.owner, [])
        numbers = {prod(shape) for shape in whole if shape[0] == self._size}
        for name in (group.owner, *self._beside(group.owner)):
            for shape in self._given.get(name, []):
                flat = len(shape) == 2 and shape[0] != self._size
                if flat and (name == group.owner or prod(shape) in numbers):
                    called = f"{stripped(name)!r} " if stripped(name) else "the model "
                    return f"{called}was given {shape[0]} rows, for {self._size} samples"
        return ""

    def _beside(self, owner: str) -> list[str]:
        """The parts of a module that are no lists."""
        parts = self._modules[owner].named_children()
        return [f"{owner}.{key}".removeprefix(".") for key, part in parts if _is_part(part)]


def _is_part(module: nn.Module) -> bool:
    return not isinstance(module, _LISTS)


def _found(modules: dict[str, nn.Module]) -> Iterator[_Experts]:
    for name, container in modules.items():
        if not isinstance(container, _LISTS):
            continue
        owner = name
        while owner and isinstance(modules.get(owner), _LISTS):
            owner = owner.rpartition(".")[0]
        by_class: dict[type[nn.Module], dict[str, nn.Module]] = {}
        for key, member in container.named_children():
            by_class.setdefault(type(member), {})[f"{name}.{key}".removeprefix(".")] = member
        for members in by_class.values():
            if len(members) > 1 and owner in modules:
                yield _Experts(owner, {each: modules[each] for each in members if each in modules})
