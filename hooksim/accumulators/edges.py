"""What the standard error of the imbalance sums over the neighbour edges of one source layer.

An edge leads from a sample to one of its k nearest in the source layer; its weight W is its share
of the k places, its value R the neighbour's rank in the target layer, `2 rank / n`.
"""

import torch
from torch import Tensor

__all__ = ["PAIR_SUMS", "SOURCE_SUMS", "SourceEdges", "by_group", "sample_sums"]

PAIR_SUMS = ("p", "a_a", "a_c", "a_q", "c_q", "g_g", "g_w", "p_p", "p_n")
SOURCE_SUMS = ("c_c", "w_w")


class SourceEdges:
    """All edges from one source layer of a block, prepared for any number of targets.

    Args:
        columns: `(n, width)` int64, where each edge leads.
        weights: `(n, width)` float64, W of each edge.
        groups: `(n,)` sequence of each sample, from 0; None where samples are independent.
    """

    def __init__(self, columns: Tensor, weights: Tensor, groups: Tensor | None) -> None:
        self._groups = groups
        self._columns = columns.flatten()
        self._weights = weights
        received = weights.new_zeros(len(weights)).index_add_(0, self._columns, weights.flatten())
        self._c = by_group(weights.sum(-1) + received, groups)
        self._back, self._mutual = _reverse_edges(columns)
        self._flat = weights.flatten()
        self._with_back = self._flat + self._flat[self._back] * self._mutual

    def own_sums(self) -> dict[str, Tensor]:
        """`c_c` sum c^2 and `w_w` sum W o (W + W^T), each `()`, with c = row + column sums of W."""
        return {"c_c": self._c.square().sum(), "w_w": (self._flat * self._with_back).sum()}

    def pair_sums(self, values: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """The sums that depend on the target layer too.

        Args:
            values: `(targets, n, width)` R of each edge.
            expected: `(targets, n)` q_v: k times the mean excess of sample v as a target.

        Returns:
            `(targets,)` for each of `PAIR_SUMS`. With P = W o R and a its row + column sums:
            `p` sum P, `a_a` sum a^2, `a_c` sum a c, `a_q` sum a q, `c_q` sum c q, `g_g` sum
            P o (P + P^T), `g_w` sum P o (W + W^T), `p_p` the squared row sums of P and `p_n` the
            row sums times the sequence's length.
        """
        products = (values * self._weights).flatten(1)
        sent = products.view(values.shape).sum(-1)
        received = torch.zeros_like(sent).index_add_(1, self._columns, products)
        back = products[:, self._back] * self._mutual
        return sample_sums(sent, received, self._c, expected, self._groups) | {
            "g_g": (products * back.add_(products)).sum(-1),
            "g_w": (products * self._with_back).sum(-1),
        }


def sample_sums(
    sent: Tensor, received: Tensor, c: Tensor, expected: Tensor, groups: Tensor | None
) -> dict[str, Tensor]:
    """Those of `PAIR_SUMS` that ask each sample only for what its edges add up to.

    Args:
        sent: `(targets, n)` row sums of P.
        received: `(targets, n)` column sums of P.
        c: `(n,)` row + column sums of W, by sequence already.
        expected: `(targets, n)` q_v.
        groups: `(n,)` sequence of each sample, from 0; None where samples are independent.

    Returns:
        `(targets,)` each: all but `g_g` and `g_w`.
    """
    a, q, by_row = (by_group(each, groups) for each in (sent + received, expected, sent))
    sizes = by_group(torch.ones_like(c), groups)
    return {
        "p": sent.sum(-1),
        "a_a": a.square().sum(-1),
        "a_c": (a * c).sum(-1),
        "a_q": (a * q).sum(-1),
        "c_q": (c * q).sum(-1),
        "p_p": by_row.square().sum(-1),
        "p_n": (by_row * sizes).sum(-1),
    }


def by_group(values: Tensor, groups: Tensor | None) -> Tensor:
    """Values `(..., n)` summed over each sequence, `(..., n)` with 0 in the slots left over.

    Args:
        values: One for each sample.
        groups: `(n,)` sequence of each sample, from 0; None where samples are independent.
    """
    if groups is None:
        return values
    return torch.zeros_like(values).index_add_(-1, groups, values)


def _reverse_edges(columns: Tensor) -> tuple[Tensor, Tensor]:
    """For each edge i -> j of lists (n, width) where the edge j -> i stands, and whether it does.

    Returns:
        Positions in the flattened lists and truth values, each `(n * width,)`.
    """
    n, width = columns.shape
    rows = torch.arange(n, device=columns.device)[:, None]
    wanted = (columns * n + rows).flatten()
    ordered, order = (rows * n + columns).flatten().sort()
    places = torch.searchsorted(ordered, wanted).clamp_(max=n * width - 1)
    return order[places], ordered[places] == wanted
