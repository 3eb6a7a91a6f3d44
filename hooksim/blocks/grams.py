"""One layer's rows as a block keeps them: as a Gram matrix where it fits, else as they came."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from hooksim.blocks.memory import KernelMemory
from hooksim.blocks.tiles import RowStatistics, centred_tiles, row_statistics
from hooksim.functional.gram import Centred, centre, gram
from hooksim.functional.precision import full_precision
from hooksim.functional.wide_gram import has_wide_gram, wide_gram, workspace_elements

__all__ = [
    "LayerGram",
    "Spread",
    "common_device",
    "layer_gram",
    "statistics_device",
    "wide_layer_gram",
]

_SEQUENCE_ELEMENTS = 1 << 22  # float64 sums over sequences worked on at once: 32 MiB


def statistics_device(device: torch.device) -> torch.device:
    """Where the statistics of rows on a device are computed: there, unless it has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


def common_device(devices: Iterable[torch.device]) -> torch.device:
    """Where the statistics of rows on several devices are computed: on an accelerator if any is.

    Args:
        devices: Of the rows, such as those of a recording and of a model.

    Example:
        >>> common_device([torch.device("cpu"), torch.device("cuda", 0)])
        device(type='cuda', index=0)
    """
    usable = [statistics_device(device) for device in devices]
    return next((device for device in usable if device.type != "cpu"), usable[0])


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
        rows: `(n, d)` the rows as they were given, not a copy; None where nobody needs them.
        mean: `(d,)` float64, the column means.
        rest: `(d,)` float64, what the rounding of `mean` left of them.
        norms: `(n,)` squared norms of the centred, scaled rows; where there is a kernel its
            diagonal, a view.
        scale: `()` float64, root of the mean squared norm of the centred rows; 0 where the rows
            are constant.
        finite: `(n,)` bool, False for rows with NaN or infinity.
        signature: `(n,)` float64, the same for equal rows, to the bit.
        spread: For the check of the samples' order.
        exact_norms: `(n,)` norms in float64 where they are of less precision and there are rows.
    """

    kernel: Tensor | None
    rows: Tensor | None
    mean: Tensor
    rest: Tensor
    norms: Tensor
    scale: Tensor
    finite: Tensor
    signature: Tensor
    spread: Spread
    exact_norms: Tensor | None = None

    @property
    def factor(self) -> Tensor:
        """What centred rows are multiplied by, `()` float64: 0 where they are constant."""
        return _factor(self.scale)

    def centred(self, start: int, stop: int, columns: slice = slice(None)) -> Tensor:
        """Some of the rows, centred and scaled, made at each call.

        Args:
            start: The first row.
            stop: The row after the last one.
            columns: Which columns of them.

        Returns:
            `(stop - start, d)` or fewer columns, in the dtype of the Gram matrix.

        Raises:
            ValueError: No rows were kept.
        """
        if self.rows is None:
            raise ValueError("centred rows: this layer's Gram matrix was made, its rows not kept.")
        rows, factor = self.rows[start:stop, columns], self.factor
        out = torch.empty(rows.shape, dtype=self.norms.dtype, device=rows.device)
        for part, some, tile in centred_tiles(rows, self.mean[columns], self.rest[columns]):
            out[part, some] = tile.mul_(factor)
        return out

    def exact(self) -> Self:
        """The same without a Gram matrix, for one in float64 that is made of the rows.

        Raises:
            ValueError: No rows were kept.
        """
        if self.exact_norms is None:
            raise ValueError("float64 Gram matrix: this layer's rows were not kept.")
        return self._replace(kernel=None, norms=self.exact_norms, exact_norms=None)

    def to(self, device: torch.device) -> Self:
        """The same on another device; itself where it is there already."""
        if self.norms.device == device:
            return self
        moved = {
            name: part.to(device)
            for name, part in self._asdict().items()
            if isinstance(part, Tensor)
        }
        spread = Spread(*(part.to(device) for part in self.spread))
        return self._replace(**moved, spread=spread)


def _factor(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 0.0, scale.reciprocal())


def _spread(centred: Centred, groups: Tensor | None) -> Spread:
    """The spread of samples, or of sequences where rows are their tokens."""
    n = centred.rows.shape[0]
    if groups is None:
        count = torch.full_like(centred.scale, n)
        return Spread(count, centred.mean, n * centred.scale.square())
    sizes = _sequence_sizes(groups, n)
    sums = torch.zeros_like(centred.rows).index_add_(0, groups, centred.rows)
    shift, within = _between_sequences(sums, sizes)
    count = (sizes > 0).sum().to(torch.float64)
    return Spread(count, centred.mean + shift * centred.scale, within * centred.scale.square())


def _spread_of_kept(
    rows: Tensor, found: RowStatistics, groups: Tensor | None, sequences: int | None
) -> Spread:
    """The same for rows of which there is no centred copy, by a few columns at a time if wide."""
    n, d = rows.shape
    if groups is None:
        count = torch.full_like(found.scale, n)
        return Spread(count, found.mean, n * found.scale.square())
    slots = n if sequences is None else min(n, sequences)
    sizes = _sequence_sizes(groups, slots)
    mean, within = found.mean.clone(), torch.zeros_like(found.scale)
    width = max(1, _SEQUENCE_ELEMENTS // max(1, slots))
    for begin in range(0, d, width):
        some = slice(begin, begin + width)
        chosen, centre_of_rows = rows[:, some], (found.mean[some], found.rest[some])
        sums = mean.new_zeros(slots, chosen.shape[1])
        for part, columns, tile in centred_tiles(chosen, *centre_of_rows):
            sums[:, columns].index_add_(0, groups[part], tile)
        shift, squares = _between_sequences(sums, sizes)
        mean[some] += shift
        within += squares
    # Constant rows are centred to rounding errors, not to a scale.
    within = torch.where(found.scale == 0, 0.0, within)
    return Spread((sizes > 0).sum().to(torch.float64), mean, within)


def _sequence_sizes(groups: Tensor, slots: int) -> Tensor:
    """Rows of each sequence, (slots,) float64; there may be more slots than sequences."""
    ones = torch.ones((), dtype=torch.float64, device=groups.device).expand(len(groups))
    return torch.zeros(slots, dtype=torch.float64, device=groups.device).index_add_(0, groups, ones)


def _between_sequences(sums: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Of sums over each sequence (slots, w): the mean of their means, and its squared distances."""
    filled = sizes > 0  # empty slots weigh nothing
    means = torch.where(filled[:, None], sums / sizes[:, None], 0.0)
    centre_of_means = means.sum(0, dtype=torch.float64) / filled.sum()
    deviations = torch.where(filled[:, None], means - centre_of_means, 0.0)
    return centre_of_means, deviations.square().sum(dtype=torch.float64)


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
    sequences: int | None = None,
) -> LayerGram:
    """Make of one layer's rows what a block keeps of them.

    Args:
        rows: `(n, d)`.
        groups: `(n,)` sequence of each row, from 0; None where each row is a sample.
        dtype: Of the Gram matrix; float64 rows give a float64 one all the same.
        out: Where to write the Gram matrix, `(n, n)`.
        with_kernel: Make the Gram matrix; without it the rows are kept, for strips of it.
        with_rows: Keep the rows in any case.
        sequences: At least as many as there are in `groups`, where that is known.
    """
    rows = rows.detach().to(statistics_device(rows.device))
    groups = None if groups is None else groups.to(rows.device)
    dtype = torch.promote_types(dtype, rows.dtype)
    if not with_kernel:
        return _kept(rows, groups, dtype, sequences)
    centred = centre(rows, dtype)
    kernel = gram(centred.rows, out)
    return LayerGram(
        kernel,
        rows if with_rows else None,
        centred.mean,
        torch.zeros_like(centred.mean),
        kernel.diagonal(),
        centred.scale,
        centred.finite,
        centred.signature,
        _spread(centred, groups),
        centred.norms if with_rows and dtype != torch.float64 else None,
    )


@full_precision()
def wide_layer_gram(
    rows: Tensor,
    groups: Tensor | None = None,
    *,
    dtype: torch.dtype,
    memory: KernelMemory | None = None,
) -> LayerGram:
    """Like `layer_gram` for wide rows that are let go, by way of no centred copy where it can be.

    In float32 that costs half the time. Mean and scale are then of float32 precision, too.

    Args:
        rows: `(n, d)`.
        groups: `(n,)` sequence of each row, from 0; None where each row is a sample.
        dtype: Of the Gram matrix; float64 rows give a float64 one all the same.
        memory: To work in, layer after layer.
    """
    if groups is not None or dtype != torch.float32 or not has_wide_gram(rows.dtype):
        return layer_gram(rows, groups, dtype=dtype)
    rows = rows.detach().to(statistics_device(rows.device))
    n, d = rows.shape
    elements = workspace_elements(n, d, rows.device)
    workspace = (memory or KernelMemory()).take((elements,), dtype, rows.device)
    found = wide_gram(rows, workspace=workspace)
    within = n * found.scale.square()
    spread = Spread(torch.full_like(found.scale, n), found.mean, within)
    return LayerGram(
        found.kernel,
        None,
        found.mean,
        torch.zeros_like(found.mean),
        found.kernel.diagonal(),
        found.scale,
        found.finite,
        found.signature,
        spread,
    )


def _kept(
    rows: Tensor, groups: Tensor | None, dtype: torch.dtype, sequences: int | None
) -> LayerGram:
    """Rows whose Gram matrix is made strip by strip."""
    found = row_statistics(rows)
    return LayerGram(
        None,
        rows,
        found.mean,
        found.rest,
        (found.squares * _factor(found.scale).square()).to(dtype),
        found.scale,
        found.signature.isfinite(),
        found.signature,
        _spread_of_kept(rows, found, groups, sequences),
    )
