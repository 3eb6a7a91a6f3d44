"""The names closest to one that was not found, as error messages say it."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["close_names", "did_you_mean"]

_CUTOFF = 0.5  # `tokens` still finds `token`, and `layerx.*` finds `layer1`


def close_names(word: str, known: Iterable[str]) -> str:
    """Say which known names resemble a word, as a sentence that ends in a space.

    Args:
        word: The name that was not found.
        known: The names that exist.

    Returns:
        Up to three names, closest first, or the empty string where none is close.

    Example:
        >>> close_names("layer3", ["layer1", "layer2", "head"])
        "Close names: 'layer2', 'layer1'. "
    """
    found = _closest(word, known, 3)
    return f"Close names: {', '.join(map(repr, found))}. " if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ask for the one known name that resembles a word most, as the end of a sentence.

    Args:
        word: The name that was not found.
        known: The names that exist.

    Returns:
        A clause with the name, or the empty string where none is close.

    Example:
        >>> did_you_mean("shunk", ["chunk", "length"])
        ", did you mean 'chunk'?"
    """
    found = _closest(word, known, 1)
    return f", did you mean {found[0]!r}?" if found else ""


def _closest(word: str, known: Iterable[str], count: int) -> list[str]:
    """Up to `count` names, closest first; capital letters do not matter."""
    names = list(dict.fromkeys(known))
    folded = list(dict.fromkeys(name.lower() for name in names))
    close = get_close_matches(word.lower(), folded, n=count, cutoff=_CUTOFF)
    return [name for each in close for name in names if name.lower() == each][:count]
