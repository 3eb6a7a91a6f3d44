"""The metadata of a comparison taken apart into what concerns A, what concerns B, and the rest."""

from collections.abc import Mapping
from typing import Any

__all__ = ["half_of", "is_half", "is_of_a_side", "joined"]

_SIDES = "ab"
_NAMED = ("name", "model", "layers")  # `name_a`, `name_b` in the metadata
_MAPPED = {"rows": "rows", "recordings": "recording", "diagnostics": "diagnostics"}  # of a and b
_LISTED = "device"  # of A, then of B


def is_of_a_side(key: str) -> bool:
    """Say whether an entry of the metadata of a comparison is one of its two sides'.

    Args:
        key: Name of the entry.

    Example:
        >>> is_of_a_side("model_a"), is_of_a_side("blocks")
        (True, False)
    """
    suffixed = {f"{word}_{side}" for word in _NAMED for side in _SIDES}
    return key in suffixed or key in _MAPPED or key == _LISTED


def is_half(key: str) -> bool:
    """Say whether an entry is one of those that `half_of` gives.

    Args:
        key: Name of the entry.

    Example:
        >>> is_half("model"), is_half("blocks")
        (True, False)
    """
    return key in _NAMED or key in _MAPPED.values() or key == _LISTED


def half_of(metadata: Mapping[str, Any], side: str) -> dict[str, Any]:
    """Take out what concerns one side.

    Args:
        metadata: Of a comparison.
        side: `"a"` or `"b"`.

    Returns:
        Name, model, layers, rows, recording, diagnostics and device, as far as they are known.

    Example:
        >>> half_of({"model_a": "ViT", "model_b": "BERT", "device": ["cpu", "cuda:0"]}, "b")
        {'model': 'BERT', 'device': 'cuda:0'}
    """
    found = {word: metadata[f"{word}_{side}"] for word in _NAMED if f"{word}_{side}" in metadata}
    found |= {word: metadata[key][side] for key, word in _MAPPED.items() if key in metadata}
    if _LISTED in metadata:
        found[_LISTED] = metadata[_LISTED][_SIDES.index(side)]
    return found


def joined(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Put two halves together; the opposite of `half_of`.

    Args:
        a: What concerns A.
        b: What concerns B.

    Returns:
        Entries for the metadata of a comparison.

    Example:
        >>> joined({"model": "ViT", "device": "cpu"}, {"model": "BERT", "device": "cpu"})
        {'model_a': 'ViT', 'model_b': 'BERT', 'device': ['cpu', 'cpu']}
    """
    both = {"a": a, "b": b}
    found: dict[str, Any] = {
        f"{word}_{side}": half[word]
        for word in _NAMED
        for side, half in both.items()
        if word in half
    }
    for key, word in _MAPPED.items():
        if all(word in half for half in both.values()):
            found[key] = {side: half[word] for side, half in both.items()}
    if all(_LISTED in half for half in both.values()):
        found[_LISTED] = [half[_LISTED] for half in both.values()]
    return found
