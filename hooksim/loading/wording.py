"""Phrases that error messages share: lists cut short, counts, first lines."""

from collections.abc import Iterable, Sized

__all__ = ["count", "first_line", "listed", "shown"]

_NAMES_SHOWN = 5


def listed(names: Iterable[object]) -> str:
    """Return the first few names in quotes, with dots for the rest.

    Example:
        >>> listed(["a", "b"])
        "'a', 'b'"
    """
    return shown([repr(name) for name in names])


def shown(words: Iterable[str]) -> str:
    """Return the first few words with commas, with dots for the rest."""
    words = list(words)
    return ", ".join([*words[:_NAMES_SHOWN], *(["..."] if len(words) > _NAMES_SHOWN else [])])


def count(names: Sized, noun: str) -> str:
    """Return the number of names with the noun, in the plural where there are several.

    Example:
        >>> count(["a", "b"], "weight")
        '2 weights'
    """
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its class where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
