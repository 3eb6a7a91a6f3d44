"""One layer's rows as a block keeps them: centred and scaled, as a Gram matrix where it fits."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from hooksim.functional.gram import Centred, centre, gram
from hooksim.functional.precision import full_precision

__all__ = ["LayerGram", "Spread", "layer_gram", "statistics_device"]


def statistics_device(device: torch.device) -> torch.device:
    """Where the statistics of rows on a device are computed: there, unless it has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


class Spread(NamedTuple):
    """Where the samples of one layer lie in one block, and how far apart.

    Attributes:
        samples: `()` float64, number of samples (for token rows, of sequences, each by its mean).
        mean: `(d,)` float64.
        within: `()` float64, sum of squared distances from the mean.
    """

    samples: Tensor
    mean: Tensor
    within: Tensor


class LayerGram(NamedTuple):
    """All that a block keeps of one layer.

    Attributes:
        kernel: `(n, n)` inner products of the centred, scaled rows; None where over budget.
        rows: `(n, d)` those rows; None where nobody needs them.
        mean: `(d,)` float64, what the rows have lost.
        norms: `(n,)` squared norms of those rows; where there is a kernel its diagonal, a view.
        scale: `()` float64, what the rows were divided by; 0 where they are constant.
        finite: `(n,)` bool, False for rows with NaN or infinity.
        spread: For the check of the samples' order.
    """

    kernel: Tensor | None
    rows: Tensor | None
    mean: Tensor
    norms: Tensor
    scale: Tensor
    finite: Tensor
    spread: Spread

    def to(self, device: torch.device) -> Self:
        """The same on another device; itself where it is there already."""
        if self.norms.device == device:
            return self
        kernel = None if self.kernel is None else self.kernel.to(device)
        rows = None if self.rows is None else self.rows.to(device)
        mean, norms, scale, finite = (
            part.to(device) for part in (self.mean, self.norms, self.scale, self.finite)
        )
        spread = Spread(*(part.to(device) for part in self.spread))
        return type(self)(kernel, rows, mean, norms, scale, finite, spread)


def _spread(centred: Centred, groups: Tensor | None) -> Spread:
    """The spread of samples, or of sequences where rows are their tokens."""
    n = centred.rows.shape[0]
    if groups is None:
        count = torch.full_like(centred.scale, n)
        return Spread(count, centred.mean, n * centred.scale.square())
    # There may be fewer sequences than tokens; empty slots weigh nothing.
    sizes = centred.scale.new_zeros(n).index_add_(
        0, groups, torch.ones_like(centred.scale).expand(n)
    )
    sums = torch.zeros_like(centred.rows).index_add_(0, groups, centred.rows)
    filled = sizes > 0
    means = torch.where(filled[:, None], sums / sizes[:, None], 0.0)
    count = filled.sum().to(torch.float64)
    centre_of_means = means.sum(0, dtype=torch.float64) / count
    deviations = torch.where(filled[:, None], means - centre_of_means, 0.0)
    mean = centred.mean + centre_of_means * centred.scale
    return Spread(
        count, mean, deviations.square().sum(dtype=torch.float64) * centred.scale.square()
    )


@torch.no_grad()
@full_precision()
def layer_gram(
    rows: Tensor,
    groups: Tensor | None = None,
    *,
    dtype: torch.dtype,
    out: Tensor | None = None,
    with_kernel: bool = True,
    with_rows: bool = False,
) -> LayerGram:
    """Make of one layer's rows what a block keeps of them.

    Args:
        rows: `(n, d)`.
        groups: `(n,)` sequence of each row, from 0; None where each row is a sample.
        dtype: Of the Gram matrix; float64 rows give a float64 one all the same.
        out: Where to write the Gram matrix, `(n, n)`.
        with_kernel: Make the Gram matrix; without it the rows are kept, for strips of it.
        with_rows: Keep the centred rows in any case.
    """
    rows = rows.to(statistics_device(rows.device))
    groups = None if groups is None else groups.to(rows.device)
    centred = centre(rows, torch.promote_types(dtype, rows.dtype))
    norms = torch.linalg.vecdot(centred.rows, centred.rows)
    kernel = gram(centred.rows, out) if with_kernel else None
    return LayerGram(
        kernel,
        centred.rows if with_rows or kernel is None else None,
        centred.mean,
        norms if kernel is None else kernel.diagonal(),
        centred.scale,
        centred.finite,
        _spread(centred, groups),
    )
