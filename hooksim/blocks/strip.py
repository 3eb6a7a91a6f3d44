"""Rows of the kernel matrices of all layers of a block, and what accumulators share of them."""

from functools import cached_property

import torch
from torch import Tensor

from hooksim.functional.hsic import u_centred
from hooksim.functional.ranks import Distances, sort_rows, squared_distances

__all__ = ["Strip"]


class Strip:
    """Rows of the kernel matrices of all layers of a block.

    Attributes:
        rows: Which samples of the block these are: a slice, or their places in any order.
        kernel: `(layers, m, n)` inner products of centred, scaled rows.
        norms: `(layers, n)` the diagonal of the whole matrices.
        units: `(layers, 1, 1)`, as of `Distances`; None in float64.
    """

    def __init__(
        self, rows: slice | Tensor, kernel: Tensor, norms: Tensor, units: Tensor | None = None
    ) -> None:
        self.rows = rows
        self.kernel = kernel
        self.norms = norms
        self.units = units

    @property
    def start(self) -> int:
        """Position of the first row in the block, of rows that follow each other."""
        return int(self._range.start)

    @property
    def stop(self) -> int:
        """Position after the last row in the block, of rows that follow each other."""
        return int(self._range.stop)

    @property
    def _range(self) -> slice:
        if isinstance(self.rows, slice):
            return self.rows
        raise ValueError("strip: picked rows do not follow each other.")

    def has(self, row: int) -> bool:
        """Whether a row of the block is one of the strip's, where these follow each other."""
        return self.start <= row < self.stop

    @cached_property
    def distances(self) -> Distances:
        """Squared distances, `(layers, m, n)`, made once for all that ask."""
        if self.units is None:
            return squared_distances(self.kernel, self.norms, self.rows)
        return squared_distances(self.kernel, self.norms, self.rows, self.units)

    @cached_property
    def u_centred(self) -> Tensor:
        """The linear kernel U-centred, `(layers, m, n)`: its row sums are known, for rows are."""
        return u_centred(self.kernel, -self.norms, self.start)

    @cached_property
    def u_norms(self) -> Tensor:
        """The norm of each row of `u_centred`, `(layers, m)`."""
        norms: Tensor = torch.linalg.vector_norm(self.u_centred, dim=-1)  # faster than vecdot
        return norms

    @cached_property
    def ordered(self) -> Tensor:
        """The squared distances of each row in ascending order, `(layers, m, n)`."""
        return sort_rows(self.distances.values)
