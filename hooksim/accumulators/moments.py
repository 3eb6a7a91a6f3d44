"""Cross-moments of two sets of layers about provisional centres: what exact CKA is made of."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

__all__ = ["Moments"]


class Moments(NamedTuple):
    """Sums over samples of rows x and y of two sides, each minus its centre; all float64.

    The layers of a side stand side by side in the axes `d_x` and `d_y`, so that one product serves
    all pairs of them. With `a = |x|^2` and `b = |y|^2`, one a layer:

    Attributes:
        n: `()`.
        sx: `(d_x,)` sum x.
        sy: `(d_y,)` sum y.
        a: `(layers_x,)` sum a.
        b: `(layers_y,)` sum b.
        p: `(d_x, d_y)` sum x y^T.
        q: `(layers_x, layers_y)` sum a b.
        u: `(layers_x, d_y)` sum a y.
        v: `(d_x, layers_y)` sum b x.
    """

    n: Tensor
    sx: Tensor
    sy: Tensor
    a: Tensor
    b: Tensor
    p: Tensor
    q: Tensor
    u: Tensor
    v: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, widths_x: Sequence[int], widths_y: Sequence[int]) -> Self:
        """The moments of rows that have lost their centres.

        Args:
            x: `(n, d_x)` float64.
            y: `(n, d_y)` float64.
            widths_x: Width of each layer in `x`.
            widths_y: Width of each layer in `y`.
        """
        a = _by_layer(x.square(), widths_x, 1)
        b = _by_layer(y.square(), widths_y, 1)
        n = x.new_full((), len(x))
        return cls(n, x.sum(0), y.sum(0), a.sum(0), b.sum(0), x.T @ y, a.T @ b, a.T @ y, x.T @ b)

    def plus(self, other: Self) -> Self:
        """The moments of both sets of samples, about the same centres."""
        pairs = zip(self, other, strict=True)
        return type(self)(*(mine + theirs.to(mine.device) for mine, theirs in pairs))

    def shifted(
        self, dx: Tensor, dy: Tensor, widths_x: Sequence[int], widths_y: Sequence[int]
    ) -> Self:
        """The moments of `x + dx` and `y + dy`: about centres moved by the opposite.

        Args:
            dx: `(d_x,)`.
            dy: `(d_y,)`.
            widths_x: Width of each layer in `x`.
            widths_y: Width of each layer in `y`.
        """
        n, sx, sy, a, b, p, q, u, v = self
        norm_x, norm_y = _by_layer(dx**2, widths_x, 0), _by_layer(dy**2, widths_y, 0)
        along_x, along_y = _by_layer(dx * sx, widths_x, 0), _by_layer(dy * sy, widths_y, 0)
        p_x = _by_layer(dx[:, None] * p, widths_x, 0)  # (layers_x, d_y)
        p_y = _by_layer(p * dy, widths_y, 1)  # (d_x, layers_y)
        more_a, more_b = a + 2 * along_x + n * norm_x, b + 2 * along_y + n * norm_y
        return type(self)(
            n,
            sx + n * dx,
            sy + n * dy,
            more_a,
            more_b,
            p + torch.outer(sx, dy) + torch.outer(dx, sy) + n * torch.outer(dx, dy),
            q
            + 2 * _by_layer(u * dy, widths_y, 1)
            + 2 * _by_layer(dx[:, None] * v, widths_x, 0)
            + 4 * _by_layer(p_x * dy, widths_y, 1)
            + torch.outer(a + 2 * along_x, norm_y)
            + torch.outer(norm_x, b + 2 * along_y)
            + n * torch.outer(norm_x, norm_y),
            u + 2 * p_x + torch.outer(more_a, dy) + torch.outer(norm_x, sy),
            v + 2 * p_y + torch.outer(dx, more_b) + torch.outer(sx, norm_y),
        )

    def hsic(self, widths_x: Sequence[int], widths_y: Sequence[int], debiased: bool) -> Tensor:
        """HSIC with the linear kernel of every pair of layers, over all samples at once.

        Args:
            widths_x: Width of each layer in `x`.
            widths_y: Width of each layer in `y`.
            debiased: Unbiased, for `n >= 4`, or biased.

        Returns:
            `(layers_x, layers_y)`.

        Source: Song et al. 2012, equation 5, written in cross-moments.
        """
        n = self.n
        _, _, _, a, b, c, q, _, _ = self.shifted(-self.sx / n, -self.sy / n, widths_x, widths_y)
        square = _by_layer(_by_layer(c.square(), widths_x, 0), widths_y, 1)
        if not debiased:
            return square / (n - 1) ** 2
        total: Tensor = square - n / (n - 2) * q + torch.outer(a, b) / ((n - 1) * (n - 2))
        return total / (n * (n - 3))


def _by_layer(values: Tensor, widths: Sequence[int], dim: int) -> Tensor:
    """Sums over the columns of each layer along one axis."""
    return torch.stack([part.sum(dim) for part in torch.split(values, list(widths), dim)], dim)
