"""The names closest to one that was not found, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["close_names"]


def close_names(word: str, known: Iterable[str]) -> str:
    """Say which known names resemble `word`, as a sentence that ends in a space.

    Args:
        word: The name that was not found.
        known: The names that exist.

    Returns:
        Up to three names, closest first, or the empty string where none is close.

    Example:
        >>> close_names("layer3", ["layer1", "layer2", "head"])
        "Close names: 'layer2', 'layer1'. "
    """
    found = get_close_matches(word, list(dict.fromkeys(known)), n=3, cutoff=0.5)
    return f"Close names: {', '.join(map(repr, found))}. " if found else ""
