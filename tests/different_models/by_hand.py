"""Models run by hand: plain forwards with plain hooks, samples pooled with their masks in NumPy.

Nothing of the package is used. What is compared with it is held against `tests/reference.py`.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tests import reference

Rows = np.ndarray
Pool = Callable[[np.ndarray, np.ndarray | None], Rows]


def mean_of_tokens(tokens: np.ndarray, mask: np.ndarray | None) -> Rows:
    """Mean over real tokens of one sample, `(T, D) -> (1, D)`."""
    weights = np.ones(len(tokens)) if mask is None else mask.astype(float)
    return (tokens * weights[:, None]).sum(axis=0, keepdims=True) / weights.sum()


def first_token(tokens: np.ndarray, mask: np.ndarray | None) -> Rows:
    """The first real token of one sample."""
    return tokens[[0 if mask is None else int(np.flatnonzero(mask)[0])]]


def last_token(tokens: np.ndarray, mask: np.ndarray | None) -> Rows:
    """The last real token of one sample."""
    return tokens[[-1 if mask is None else int(np.flatnonzero(mask)[-1])]]


def flat(activation: np.ndarray, mask: np.ndarray | None) -> Rows:
    """All numbers of one sample in a row."""
    return activation.reshape(1, -1)


def mean_of_positions(activation: np.ndarray, mask: np.ndarray | None) -> Rows:
    """Mean over the positions of `(C, H, W)`."""
    return activation.mean(axis=(1, 2))[None]


def rows_by_hand(
    model: nn.Module, batches: Iterable[dict[str, Any]], layers: Sequence[str], pool: Pool
) -> list[Rows]:
    """Rows `(n, d)` float64 of each layer, sample by sample."""
    kept: dict[str, Any] = {}
    rows: dict[str, list[Rows]] = {name: [] for name in layers}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            kept[name] = (output[0] if isinstance(output, tuple) else output).double().numpy()

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    for batch in batches:
        with torch.no_grad():
            model.eval()(**batch)
        masks = batch.get("attention_mask")
        for name in layers:
            for sample, activation in enumerate(kept[name]):
                mask = None if masks is None else masks[sample].numpy()
                rows[name].append(pool(activation, mask))
    for handle in handles:
        handle.remove()
    return [np.concatenate(rows[name]) for name in layers]


def assert_right(result: Any, a: Sequence[Rows], b: Sequence[Rows], within: float = 1e-4) -> None:
    """Every value of a comparison of one block is that of the float64 reference."""
    n = len(a[0])
    assert result.n_samples == n
    weights, ranks = (
        [[kind(rows) for rows in side] for side in (a, b)]
        for kind in (reference.neighbour_weights, reference.mid_ranks)
    )
    assert result["cka"].values.shape == (len(a), len(b))
    for i, j in itertools.product(range(len(a)), range(len(b))):
        expected = {
            "cka": reference.cka(a[i], b[j]),
            "information_imbalance_a_to_b": 2 * (weights[0][i] * ranks[1][j]).sum() / n**2,
            "information_imbalance_b_to_a": 2 * (weights[1][j] * ranks[0][i]).sum() / n**2,
        }
        for key, value in expected.items():
            found = result[key].values[i, j].item()
            assert abs(found - value) <= within, (key, i, j, found, value)
