"""A comparison in a few numbers, for curves over the steps of a run."""

import math
from collections.abc import Iterable
from itertools import product
from statistics import fmean

from hooksim.errors import ConfigError
from hooksim.results import Comparison, SimilarityMatrix

__all__ = ["check_names", "scalar_names", "summary_scalars"]


def check_names(names: Iterable[str], keys: Iterable[str]) -> None:
    """Refuse references and matrices whose scalars would have one name.

    Args:
        names: Of the references.
        keys: Of the matrices.

    Raises:
        ConfigError: Two pairs of them have the same name.
    """
    seen: dict[str, tuple[str, str]] = {}
    for name, key in product(names, list(keys)):
        other = seen.setdefault(f"{name}_{key}", (name, key))
        if other != (name, key):
            raise ConfigError(
                f"reference {name!r} with key {key!r} and reference {other[0]!r} with key "
                f"{other[1]!r}: the scalars of both would be called '{name}_{key}_...'. Give one "
                "of the references another name."
            )


def scalar_names(name: str, keys: Iterable[str]) -> set[str]:
    """Say what the scalars of a reference may be called.

    Args:
        name: The reference's.
        keys: Of the matrices.

    Returns:
        All names that `summary_scalars` may give.

    Example:
        >>> sorted(scalar_names("last", ["cka"]))
        ['last_cka_best_match_mean', 'last_cka_diagonal_mean']
    """
    return {f"{name}_{key}_{kind}_mean" for key in keys for kind in ("diagonal", "best_match")}


def summary_scalars(name: str, result: Comparison) -> dict[str, float]:
    """Sum a comparison up: how like the reference are its layers, on average?

    Args:
        name: The reference's, which the keys begin with.
        result: The comparison.

    Returns:
        For each matrix `NAME_KEY_diagonal_mean`, the mean over the layers that both sides have by
        the same name; where they have none in common `NAME_KEY_best_match_mean`, the mean of the
        closest layer's value over the layers of the model. What is NaN is left out.

    Example:
        >>> import torch
        >>> from hooksim.results import Meaning
        >>> values, layers = torch.tensor([[0.5, 0.1], [0.2, 0.75]]), ["0", "1"]
        >>> cka = SimilarityMatrix("cka", values, 0 * values, layers, layers, Meaning("CKA", "max"))
        >>> summary_scalars("initial", Comparison({"cka": cka}, 100, {}))
        {'initial_cka_diagonal_mean': 0.625}
    """
    scalars = {}
    for key in result:
        kind, values = _values(result[key])
        finite = [value for value in values if not math.isnan(value)]
        if finite:
            scalars[f"{name}_{key}_{kind}_mean"] = fmean(finite)
    return scalars


def _values(matrix: SimilarityMatrix) -> tuple[str, list[float]]:
    place = {layer: index for index, layer in enumerate(matrix.layers_b)}
    shared = [
        matrix.values[index, place[layer]].item()
        for index, layer in enumerate(matrix.layers_a)
        if layer in place
    ]
    if shared:
        return "diagonal", shared
    return "best_match", [match.value for match in matrix.best_match("b")]
