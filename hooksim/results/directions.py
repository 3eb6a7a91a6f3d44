"""Measures that have two directions: from A to B, and from B to A."""

from collections.abc import Iterator
from typing import Protocol

from hooksim.results.matrix import Meaning

__all__ = ["BACK", "FORTH", "Named", "directed_stems", "reversed_key"]

FORTH, BACK = "_a_to_b", "_b_to_a"


class _Matrix(Protocol):
    @property
    def meaning(self) -> Meaning: ...


class Named(Protocol):
    """Matrices or stacks by their names, such as a result or a dict of them."""

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        ...

    def __getitem__(self, key: str, /) -> _Matrix:
        """Give one."""
        ...


def directed_stems(matrices: Named) -> list[str]:
    """List the measures of which both directions are there.

    Args:
        matrices: By their names. Two belong together where their names end as directions do and
            their meanings are directions of one quantity: a name alone may be anybody's choice.

    Returns:
        What the two names begin with, in the order of the names.

    Example:
        >>> import torch
        >>> from hooksim.results import SimilarityMatrix
        >>> def imbalance(key, direction):
        ...     meaning = Meaning("II", "min", direction=direction)
        ...     return SimilarityMatrix(key, torch.ones(1, 1), torch.ones(1, 1), "a", "b", meaning)
        >>> forth, back = imbalance("ii_a_to_b", "A to B"), imbalance("ii_b_to_a", "B to A")
        >>> directed_stems({"ii_a_to_b": forth, "ii_b_to_a": back})
        ['ii']
    """
    keys = list(matrices)
    stems = [key.removesuffix(FORTH) for key in keys if key.endswith(FORTH)]
    return [stem for stem in stems if stem + BACK in keys and _is_pair(matrices, stem)]


def _is_pair(matrices: Named, stem: str) -> bool:
    forth, back = matrices[stem + FORTH].meaning, matrices[stem + BACK].meaning
    return bool(forth.direction and back.direction) and forth.label == back.label


def reversed_key(key: str, matrices: Named) -> str:
    """Name the matrix that holds the same quantity where A and B change places.

    Args:
        key: Name of a matrix.
        matrices: All of them, by their names.

    Returns:
        The other direction of a measure that has two, else the same name.

    Example:
        >>> reversed_key("cka", {})
        'cka'
    """
    for stem in directed_stems(matrices):
        for here, there in ((FORTH, BACK), (BACK, FORTH)):
            if key == stem + here:
                return stem + there
    return key
