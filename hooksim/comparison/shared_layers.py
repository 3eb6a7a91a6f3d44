"""Layers that two models have in common: what equal values of such layers do not show."""

from collections.abc import Sequence

from torch import nn

from hooksim.capture.layers import select_layers, unwrap
from hooksim.capture.view import View
from hooksim.errors import Note
from hooksim.sides import Side

__all__ = ["shared_layers"]

_SHOWN = 3


def shared_layers(
    sources: Sequence[Side], views: Sequence[View], pairs: Sequence[tuple[int, int]]
) -> list[Note]:
    """Warn of layers of two models that are one: all their parameters are the same tensors.

    Args:
        sources: Models and recordings.
        views: What is wanted of each.
        pairs: Positions of A and B of each pair.

    Returns:
        A warning for each pair of different models that share a compared layer.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> models = [nn.Sequential(layer), nn.Sequential(layer, nn.ReLU())]
        >>> [note.code for note in shared_layers(models, [View("A"), View("B")], [(0, 1)])]
        ['shared_layers']
    """
    found = []
    for a, b in pairs:
        source_a, source_b = sources[a], sources[b]
        if not (isinstance(source_a, nn.Module) and isinstance(source_b, nn.Module)):
            continue
        if unwrap(source_a) is unwrap(source_b):
            continue
        of_a, of_b = _parameters(source_a, views[a]), _parameters(source_b, views[b])
        names = [name for name, own in of_a.items() if own in of_b.values()]
        if names:
            found.append(_warning(names, len(of_a), views[a].label, views[b].label))
    return found


def _parameters(model: nn.Module, view: View) -> dict[str, frozenset[int]]:
    """The parameters of each compared layer that has some."""
    return {
        layer.name: own
        for layer in select_layers(unwrap(model), view.layers, view.label)
        if (own := frozenset(map(id, layer.module.parameters())))
    }


def _warning(names: list[str], of: int, label_a: str, label_b: str) -> Note:
    shown = ", ".join(map(repr, names[:_SHOWN])) + ", ..." * (len(names) > _SHOWN)
    return Note(
        "shared_layers",
        f"models {label_a} and {label_b} share the parameters of {len(names)} of {of} layers of "
        f"{label_a} ({shown}): that these are alike shows nothing. peft changes a base model in "
        "place; load the base a second time.",
    )
