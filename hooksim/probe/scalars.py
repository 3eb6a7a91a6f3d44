"""A comparison in a few numbers, for curves over the steps of a run."""

import math
from statistics import fmean

from hooksim.results import Comparison, SimilarityMatrix

__all__ = ["summary_scalars"]


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
