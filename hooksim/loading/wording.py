"""Phrases that error messages share: close names, lists cut short, counts."""

from collections.abc import Iterable, Sized
from difflib import get_close_matches

__all__ = ["count", "did_you_mean", "first_line", "listed", "shown"]

_NAMES_SHOWN = 5


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `, did you mean ...?`, or nothing where no candidate is close.

    Example:
        >>> did_you_mean("shunk", ["chunk", "length"])
        ", did you mean 'chunk'?"
    """
    names = list(candidates)
    same_letters = [name for name in names if name.lower() == word.lower()]
    close = same_letters or get_close_matches(word, names, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


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
