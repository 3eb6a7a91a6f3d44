"""Slow float64 NumPy definitions, written from the papers and held against everything fast.

Nothing here is imported from the package. Rows are `(n, d)`, a block is a pair of them, blocks
are a list of pairs; `groups` holds for each block the sequence of each row (token rows).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Estimate",
    "block_cka",
    "block_information_imbalance",
    "cka",
    "double_centred",
    "gram",
    "hsic_biased",
    "hsic_biased_per_sample",
    "hsic_song",
    "hsic_unbiased",
    "hsic_unbiased_per_sample",
    "imbalance_parts",
    "information_imbalance",
    "mid_ranks",
    "neighbour_weights",
    "order_f",
    "rows64",
    "squared_distances",
    "u_centred",
]

Array = NDArray[np.float64]
Blocks = Sequence[tuple[ArrayLike, ArrayLike]]
Groups = Sequence[ArrayLike] | None

EPS = float(np.finfo(np.float64).eps)
TIE = 256 * EPS


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    stderr: float


def rows64(x: ArrayLike) -> Array:
    """Rows as float64, `(n, d)`; a torch tensor of any dtype is converted exactly."""
    if hasattr(x, "detach"):
        x = x.detach().cpu().double().numpy()
    return np.asarray(x, dtype=np.float64)


# ----------------------------------------------------------------------------- kernels and HSIC


def centred(x: ArrayLike) -> Array:
    """Rows minus their column means; exactly zero where all rows are the same but for rounding."""
    rows = rows64(x)
    result = rows - rows.mean(axis=0)
    result -= result.mean(axis=0)
    spread = np.sqrt((result**2).sum(axis=1).mean())
    if spread <= len(rows) * EPS * np.abs(rows).max(initial=0.0):
        return np.zeros_like(result)
    return result


def gram(x: ArrayLike) -> Array:
    """The linear kernel matrix of the centred rows, `(n, n)`."""
    rows = centred(x)
    return rows @ rows.T


def double_centred(kernel: Array) -> Array:
    """H K H with H = I - 1/n."""
    n = len(kernel)
    projection = np.eye(n) - np.full((n, n), 1 / n)
    return projection @ kernel @ projection


def u_centred(kernel: Array) -> Array:
    """U-centring of Szekely and Rizzo (2014); the diagonal is zero."""
    n = len(kernel)
    bare = kernel - np.diag(np.diag(kernel))
    rows, total = bare.sum(axis=1), bare.sum()
    result = bare - rows[:, None] / (n - 2) - rows[None, :] / (n - 2)
    result += total / ((n - 1) * (n - 2))
    return result - np.diag(np.diag(result))


def hsic_song(kernel: Array, other: Array) -> float:
    """Unbiased HSIC by the closed form of Song et al. (2012), eq. 5."""
    n = len(kernel)
    k = kernel - np.diag(np.diag(kernel))
    m = other - np.diag(np.diag(other))
    ones = np.ones(n)
    value = np.trace(k @ m)
    value += (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    value -= 2 / (n - 2) * (ones @ k @ m @ ones)
    return float(value / (n * (n - 3)))


def hsic_unbiased_per_sample(kernel: Array, other: Array) -> Array:
    """The terms h_i whose mean is the unbiased HSIC, `(n,)`; n >= 4."""
    n = len(kernel)
    return (u_centred(kernel) * u_centred(other)).sum(axis=1) / (n - 3)


def hsic_unbiased(kernel: Array, other: Array) -> float:
    """Unbiased HSIC as the mean of its per-sample terms."""
    return float(hsic_unbiased_per_sample(kernel, other).mean())


def hsic_biased_per_sample(kernel: Array, other: Array) -> Array:
    """The terms h_i whose mean is the biased HSIC, `(n,)`."""
    n = len(kernel)
    return n / (n - 1) ** 2 * (double_centred(kernel) * double_centred(other)).sum(axis=1)


def hsic_biased(kernel: Array, other: Array) -> float:
    """Biased HSIC: tr(K H L H) / (n - 1)^2."""
    n = len(kernel)
    return float(np.trace(double_centred(kernel) @ other) / (n - 1) ** 2)


# ------------------------------------------------------------------------------------------ CKA


def cka(x: ArrayLike, y: ArrayLike, *, debiased: bool = True) -> float:
    """Linear CKA of one block (Kornblith et al. 2019); NaN for a side without variance."""
    if debiased and len(rows64(x)) < 4:
        return float("nan")
    hsic = hsic_song if debiased else hsic_biased
    k, m = gram(x), gram(y)
    own_x, own_y = hsic(k, k), hsic(m, m)
    if not (own_x > 0 and own_y > 0):
        return float("nan")
    return float(hsic(k, m) / (np.sqrt(own_x) * np.sqrt(own_y)))


def sum_by(values: Array, groups: ArrayLike | None) -> Array:
    """Sums over each group of one block; the values themselves without groups."""
    if groups is None:
        return values
    labels = np.asarray(groups)
    return np.array([values[labels == label].sum() for label in np.unique(labels)])


def block_cka(blocks: Blocks, *, debiased: bool = True, groups: Groups = None) -> Estimate:
    """CKA over blocks as a ratio of sums, with the influence-function standard error."""
    per_sample = hsic_unbiased_per_sample if debiased else hsic_biased_per_sample
    kernels = [(gram(x), gram(y)) for x, y in blocks]
    n = sum(len(k) for k, _ in kernels)
    h_xy = [per_sample(k, m) for k, m in kernels]
    h_xx = [per_sample(k, k) for k, _ in kernels]
    h_yy = [per_sample(m, m) for _, m in kernels]
    mean_xy, mean_xx, mean_yy = (sum(part.sum() for part in h) / n for h in (h_xy, h_xx, h_yy))
    if not (mean_xx > 0 and mean_yy > 0):
        return Estimate(float("nan"), float("nan"))
    g = np.sqrt(mean_xx) * np.sqrt(mean_yy)
    value = mean_xy / g
    squares = 0.0
    for b in range(len(kernels)):
        u = 2 * (h_xy[b] / g - value / 2 * (h_xx[b] / mean_xx + h_yy[b] / mean_yy))
        squares += (sum_by(u, None if groups is None else groups[b]) ** 2).sum()
    return Estimate(float(value), float(np.sqrt(squares) / n))


# ------------------------------------------------------------------------ Information Imbalance


def squared_distances(x: ArrayLike) -> Array:
    """Squared Euclidean distances by subtraction, never through a Gram, `(n, n)`."""
    rows = rows64(x)
    return np.array([((rows - row) ** 2).sum(axis=1) for row in rows])


def distances_and_tolerances(x: ArrayLike, p: float) -> tuple[Array, Array]:
    """What is ranked, and by how much two of them may differ and be equal, `(n, n)` each.

    Entry `(i, j)` of the tolerance belongs to the sample j whose rank from i is asked.
    """
    if p == 2:
        norms = (centred(x) ** 2).sum(axis=1)
        return squared_distances(x), TIE * (norms[:, None] + norms[None, :])
    rows = rows64(x)
    order = np.inf if np.isinf(p) else p
    distances = np.array([np.linalg.norm(rows - row, ord=order, axis=1) for row in rows])
    return distances, TIE * distances


def mid_ranks(x: ArrayLike, *, p: float = 2.0) -> Array:
    """Expected rank of j among the others of i under random tie-breaking, from 1; 0 for j = i."""
    distances, tolerances = distances_and_tolerances(x, p)
    n = len(distances)
    ranks = np.zeros((n, n))
    for i in range(n):
        j = np.delete(np.arange(n), i)
        gaps = distances[i, j][None, :] - distances[i, j][:, None]  # (asked, other)
        allowed = tolerances[i, j][:, None]
        nearer = (gaps < -allowed).sum(axis=1)
        tied = (np.abs(gaps) <= allowed).sum(axis=1)
        ranks[i, j] = nearer + (tied + 1) / 2
    return ranks


def neighbour_weights(x: ArrayLike, *, k: int = 1, p: float = 2.0) -> Array:
    """Chance of j to be one of the k nearest of i under random tie-breaking; rows sum to k."""
    distances, tolerances = distances_and_tolerances(x, p)
    n = len(distances)
    weights = np.zeros((n, n))
    for i in range(n):
        others = np.delete(np.arange(n), i)
        last = others[np.argsort(distances[i, others], kind="stable")[k - 1]]
        gaps = distances[i, others] - distances[i, last]
        nearer = others[gaps < -tolerances[i, last]]
        tied = others[np.abs(gaps) <= tolerances[i, last]]
        weights[i, nearer] = 1.0
        weights[i, tied] = (k - len(nearer)) / len(tied)
    return weights


def information_imbalance(
    x: ArrayLike, y: ArrayLike, *, k: int = 1, p: float = 2.0
) -> tuple[float, float]:
    """Information Imbalance from x to y and from y to x (Glielmo et al. 2022), ties averaged."""
    n = len(rows64(x))
    weights_x, weights_y = neighbour_weights(x, k=k, p=p), neighbour_weights(y, k=k, p=p)
    ranks_x, ranks_y = mid_ranks(x, p=p), mid_ranks(y, p=p)
    scale = 2 / (n * n * k)
    return float((weights_x * ranks_y).sum() * scale), float((weights_y * ranks_x).sum() * scale)


class ImbalanceParts(NamedTuple):
    """Per block and direction: the rows' numbers and the scalar sums of the standard error."""

    a: Array
    c: Array
    q: Array
    p: Array
    gg: float
    gw: float
    ww: float


def column_means(relative: Array, k: int) -> Array:
    """q_v: k times the mean of R_iv - 1 over i, all of them up to n = 128, else 128 of them."""
    n = len(relative)
    chosen = range(n) if n <= 128 else [(m * n) // 128 for m in range(128)]
    return k * np.array([np.mean([relative[i, v] - 1 for i in chosen if i != v]) for v in range(n)])


def imbalance_parts(source: ArrayLike, target: ArrayLike, *, k: int = 1) -> ImbalanceParts:
    """The numbers of design section 7 for one block, by dense `(n, n)` matrices."""
    w = neighbour_weights(source, k=k)
    r = 2 * mid_ranks(target) / len(w)
    p = w * r
    return ImbalanceParts(
        a=p.sum(axis=1) + p.sum(axis=0),
        c=w.sum(axis=1) + w.sum(axis=0),
        q=column_means(r, k),
        p=p.sum(axis=1),
        gg=float((p * p + p * p.T).sum()),
        gw=float((p * w + p * w.T).sum()),
        ww=float((w * w + w * w.T).sum()),
    )


def directed_imbalance(blocks: Blocks, k: int, groups: Groups) -> Estimate:
    """One direction over blocks, with the dyadic standard error; NaN error for N < 10."""
    parts = [imbalance_parts(source, target, k=k) for source, target in blocks]
    labels = [None] * len(parts) if groups is None else list(groups)
    n = sum(len(part.p) for part in parts)
    value = sum(part.p.sum() for part in parts) / (n * k)
    if n < 10:
        return Estimate(float(value), float("nan"))
    level = min(value, 1.0) ** 2
    dyadic = plain = 0.0
    for part, label in zip(parts, labels, strict=True):
        a, c, q, p = (sum_by(v, label) for v in (part.a, part.c, part.q, part.p))
        sizes = sum_by(np.ones_like(part.p), label)
        dyadic += ((a - value * c - level * q) ** 2).sum()
        dyadic -= part.gg - 2 * value * part.gw + value**2 * part.ww
        plain += ((p - sizes * k * value) ** 2).sum()
    return Estimate(float(value), float(np.sqrt(max(dyadic, plain, 0.0)) / (n * k)))


def block_information_imbalance(
    blocks: Blocks, *, k: int = 1, groups: Groups = None
) -> tuple[Estimate, Estimate]:
    """Both directions over blocks: every row once, ranks within its block."""
    turned = [(y, x) for x, y in blocks]
    return directed_imbalance(blocks, k, groups), directed_imbalance(turned, k, groups)


# ---------------------------------------------------------------------------- order of the data


def order_f(blocks: Sequence[ArrayLike]) -> float:
    """F of the block means of one layer: large where the samples come sorted."""
    parts = [rows64(block) for block in blocks]
    rows = np.concatenate(parts)
    mean = rows.mean(axis=0)
    between = sum(len(part) * ((part.mean(axis=0) - mean) ** 2).sum() for part in parts)
    within = sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts)
    count = len(parts)
    return float((between / (count - 1)) / (within / (len(rows) - count)))
