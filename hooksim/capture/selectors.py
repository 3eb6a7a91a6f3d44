"""The language in which layers are named: names, patterns, firings, regular expressions."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from hooksim.errors import ConfigError
from hooksim.spelling import close_names

__all__ = [
    "WRAPPED",
    "Selectors",
    "as_list",
    "close_layers",
    "name_pattern",
    "split_firing",
    "stripped",
]

Selectors: TypeAlias = str | Sequence[str] | None
"""A name, a pattern, `re:` and a regular expression, a list of these, or None for the default."""

WRAPPED = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What wrappers add to names."""


def as_list(selectors: Any) -> list[str]:
    """Give selectors one by one.

    Args:
        selectors: A selector or several; not None.

    Returns:
        The selectors.

    Raises:
        ConfigError: One is no string, or there is none.

    Example:
        >>> as_list("encoder.*")
        ['encoder.*']
    """
    if isinstance(selectors, str):
        return [selectors]
    several = list(selectors) if isinstance(selectors, Iterable) else [selectors]
    for selector in several:
        if not isinstance(selector, str):
            raise ConfigError(
                "layers: expected a string such as 'encoder.layer.0' or a list of strings, got "
                f"{type(selector).__name__}. hooksim.list_layers(model) shows the names."
            )
    if not several:
        raise ConfigError("layers: the list is empty. Give a name, or None for the default.")
    return several


def split_firing(selector: str) -> tuple[str, int | None]:
    """Take the number of a firing off a selector.

    Args:
        selector: A selector.

    Returns:
        The rest, and the number; None where it asks for all firings.

    Example:
        >>> split_firing("block#1"), split_firing("block")
        (('block', 1), ('block', None))
    """
    if selector.startswith("re:"):
        return selector, None
    name, mark, firing = selector.rpartition("#")
    return (name, int(firing)) if mark and firing.isdecimal() else (selector, None)


def stripped(name: str) -> str:
    """Drop what wrappers add to names, for names copied from `model.named_modules()`.

    Args:
        name: A dotted name.

    Returns:
        The name inside the wrappers.

    Example:
        >>> stripped("module._orig_mod.encoder.0")
        'encoder.0'
    """
    kept = ".".join(part for part in name.split(".") if part not in WRAPPED)
    return kept.removeprefix("module.")


def name_pattern(selector: str) -> re.Pattern[str]:
    """Turn a selector without a firing into what a whole name must match.

    Args:
        selector: A name, a pattern, or `re:` and a regular expression.

    Returns:
        A regular expression.

    Raises:
        ConfigError: It is not valid.

    Example:
        >>> [bool(name_pattern("a.*").fullmatch(name)) for name in ("a.b", "a.b.c")]
        [True, False]
    """
    if selector.startswith("re:"):
        try:
            return re.compile(selector.removeprefix("re:"))
        except re.error as error:
            raise ConfigError(
                f"layers: {selector!r} is not a regular expression: {error}."
            ) from error
    parts = re.split(r"(\*\*\.|\.\*\*$|\*\*|\*)", selector)
    stands_for = {"**.": r"(?:[^.]+\.)*", ".**": r"(?:\.[^.]+)+", "**": ".*", "*": "[^.]*"}
    return re.compile("".join(stands_for.get(part, re.escape(part)) for part in parts))


def close_layers(selector: str, known: Iterable[str]) -> str:
    """Say which layers resemble a selector that matched nothing.

    Args:
        selector: The selector.
        known: The names that exist.

    Returns:
        A sentence that ends in a space, or the empty string.

    Example:
        >>> close_layers("layerx.*", ["layer1", "layer2", "head"])
        "Close names: 'layer2', 'layer1'. "
    """
    return close_names(selector.replace(".*", "").replace("*", ""), known)
