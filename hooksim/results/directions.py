"""Keys of measures that have two directions: from A to B, and from B to A."""

from collections.abc import Iterable

__all__ = ["BACK", "FORTH", "directed_stems", "reversed_key"]

FORTH, BACK = "_a_to_b", "_b_to_a"


def directed_stems(keys: Iterable[str]) -> list[str]:
    """List the measures of which both directions are there.

    Args:
        keys: Names of matrices.

    Returns:
        What the two names begin with, in the order of the keys.

    Example:
        >>> directed_stems(["cka", "imbalance_a_to_b", "imbalance_b_to_a"])
        ['imbalance']
    """
    known = list(keys)
    stems = [key.removesuffix(FORTH) for key in known if key.endswith(FORTH)]
    return [stem for stem in stems if stem + BACK in known]


def reversed_key(key: str, keys: Iterable[str]) -> str:
    """Name the matrix that holds the same quantity where A and B change places.

    Args:
        key: Name of a matrix.
        keys: All names.

    Returns:
        The other direction of a measure that has two, else the same name.

    Example:
        >>> keys = ["cka", "imbalance_a_to_b", "imbalance_b_to_a"]
        >>> [reversed_key(key, keys) for key in keys]
        ['cka', 'imbalance_b_to_a', 'imbalance_a_to_b']
    """
    for stem in directed_stems(keys):
        for here, there in ((FORTH, BACK), (BACK, FORTH)):
            if key == stem + here:
                return stem + there
    return key
