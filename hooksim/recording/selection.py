"""Layers of a recording by name: the same language as for those of a model."""

from collections.abc import Sequence

from hooksim.capture.selectors import (
    Selectors,
    as_list,
    close_layers,
    name_pattern,
    split_firing,
    stripped,
)
from hooksim.errors import LayerNotFoundError

__all__ = ["matches_all", "select_recorded"]


def select_recorded(names: Sequence[str], selectors: Selectors, title: str) -> list[str]:
    """Find the recorded layers that selectors pick.

    A plain name stands for all recorded firings `name#0`, `name#1`, ... too.

    Args:
        names: The recorded layers.
        selectors: What to pick; None for all.
        title: What the recording is called in messages.

    Returns:
        Names, in the order of the list of selectors, each pattern in the recorded order.

    Raises:
        LayerNotFoundError: A selector matches nothing.
        ConfigError: A selector is no string, or not a valid regular expression.

    Example:
        >>> select_recorded(["block#0", "block#1", "head"], ["head", "block"], "recording A")
        ['head', 'block#0', 'block#1']
    """
    if selectors is None:
        return list(names)
    found = [name for each in as_list(selectors) for name in _select(names, each, title)]
    return list(dict.fromkeys(found))


def matches_all(names: Sequence[str], selectors: Selectors) -> bool:
    """Tell whether every selector matches a recorded layer.

    Args:
        names: The recorded layers.
        selectors: What to pick.

    Returns:
        False where `select_recorded` would not find one.

    Raises:
        ConfigError: A selector is no string, or not a valid regular expression.
    """
    try:
        select_recorded(names, selectors, "")
    except LayerNotFoundError:
        return False
    return True


def _select(names: Sequence[str], selector: str, title: str) -> list[str]:
    for known in (selector, stripped(selector)):
        if known in names:
            return [known]
    wanted, firing = split_firing(selector)
    for known in (wanted, stripped(wanted)):
        firings = [name for name in names if _is_firing(name, known, firing)]
        if firings:
            return firings
    pattern = name_pattern(wanted)
    found = [name for name in names if firing is None and pattern.fullmatch(name)]
    found += [
        name
        for name in names
        if name not in found and firing in (None, split_firing(name)[1])
        if pattern.fullmatch(split_firing(name)[0])
    ]
    if not found:
        raise LayerNotFoundError(
            f"no layer of {title} matches {selector!r}. {close_layers(wanted, names)}"
            "recording.layers shows all."
        )
    return [name for name in names if name in found]


def _is_firing(name: str, wanted: str, firing: int | None) -> bool:
    base, number = split_firing(name)
    return base == wanted and number is not None and firing in (None, number)
