"""Values in float64 for all layer pairs, independent of hooksim.

The definitions are those of `tests/reference.py`, which is too slow for these sizes; a test holds
one against the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.reference import u_centred

__all__ = ["CkaSums", "cka_matrix", "float64_gram", "imbalance_matrices", "layer_outputs"]

Array = NDArray[np.float64]


def float64_gram(rows: Tensor) -> Array:
    """The linear kernel of the centred rows of a block, `(n, n)`."""
    exact = rows.flatten(1).double()
    exact = exact - exact.mean(0)
    kernel: Array = (exact @ exact.T).numpy()
    return kernel


class CkaSums:
    """Debiased CKA of all layer pairs as the ratio of sums over blocks."""

    def __init__(self) -> None:
        self._sums: list[Array] | None = None

    def add(self, kernels_a: Iterable[Array], kernels_b: Iterable[Array]) -> None:
        """Add the kernels of a block, one a layer."""
        centred = [[u_centred(kernel) for kernel in side] for side in (kernels_a, kernels_b)]
        cross = np.array([[np.vdot(a, b) for b in centred[1]] for a in centred[0]])
        own = [np.array([np.vdot(kernel, kernel) for kernel in side]) for side in centred]
        n = len(centred[0][0])
        # The mean of the unbiased HSIC over samples, so that larger blocks weigh more.
        parts = [part / (n - 3) for part in (cross, *own)]
        held = self._sums or [np.zeros_like(part) for part in parts]
        self._sums = [a + b for a, b in zip(held, parts, strict=True)]

    def values(self) -> Array:
        """The matrix, `(layers of A, layers of B)`."""
        if self._sums is None:
            raise ValueError("expected a block before the values are asked for.")
        cross, own_a, own_b = self._sums
        matrix: Array = cross / np.sqrt(np.outer(own_a, own_b))
        return matrix


def cka_matrix(rows_a: Sequence[Tensor], rows_b: Sequence[Tensor]) -> Array:
    """Debiased CKA of all layer pairs on one block."""
    sums = CkaSums()
    sums.add(map(float64_gram, rows_a), map(float64_gram, rows_b))
    return sums.values()


def squared_distances(rows: Tensor) -> Array:
    """Squared distances in float64, infinite to oneself."""
    kernel = float64_gram(rows)
    norms = np.diag(kernel)
    distances: Array = norms[:, None] + norms[None, :] - 2 * kernel
    np.fill_diagonal(distances, np.inf)
    return distances


def imbalance_matrices(rows_a: Sequence[Tensor], rows_b: Sequence[Tensor]) -> tuple[Array, Array]:
    """Information Imbalance of all layer pairs on one block without ties, k = 1.

    Returns:
        From A to B and from B to A, each `(layers of A, layers of B)`.
    """
    nearest = [[squared_distances(rows).argmin(1) for rows in side] for side in (rows_a, rows_b)]
    a_to_b = np.stack([mean_ranks(rows, nearest[0]) for rows in rows_b], axis=1)
    b_to_a = np.stack([mean_ranks(rows, nearest[1]) for rows in rows_a], axis=0)
    return a_to_b, b_to_a


def mean_ranks(rows: Tensor, nearest: Sequence[NDArray[np.int64]]) -> Array:
    """Twice the mean rank, over n, that a layer gives to the neighbours in others."""
    distances = squared_distances(rows)
    n = len(distances)
    found = [np.take_along_axis(distances, each[:, None], axis=1) for each in nearest]
    return np.array([2 * (1 + (distances < each).sum(1).mean()) / n for each in found])


@contextmanager
def layer_outputs(model: nn.Module, names: Sequence[str], take: Any) -> Iterator[dict[str, Any]]:
    """What `take` makes of the output of each layer, at each forward inside the context."""
    outputs: dict[str, Any] = {}

    def hook_for(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            outputs[name] = take(output[0] if isinstance(output, tuple) else output)

        return hook

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(hook_for(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
