"""What is said of each layer beside every matrix, from the same pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hooksim.accumulators.base import Accumulator, SidePair
from hooksim.accumulators.gram import GramAccumulator
from hooksim.accumulators.order import OrderAccumulator
from hooksim.accumulators.rows import RowAccumulator

__all__ = ["Diagnostics"]


class Diagnostics(NamedTuple):
    """The accumulators that tell how each layer's rows lie.

    Attributes:
        rows: Width, directions and duplicates.
        order: Whether the samples came sorted.
        gram: HSIC of each layer with itself, debiased, linear kernel.
    """

    rows: RowAccumulator
    order: OrderAccumulator
    gram: GramAccumulator

    @classmethod
    def beside(cls, others: Sequence[Accumulator], pairs: Sequence[SidePair]) -> "Diagnostics":
        """Choose the accumulators; one that a measure has already is not made again.

        Args:
            others: Those of the measures.
            pairs: Pairs of sides.

        Returns:
            Accumulators for all sides of the pairs.
        """
        sides = sorted({side for pair in pairs for side in pair[:2]})
        own = GramAccumulator(pairs=[SidePair(side, side, aligned=True) for side in sides])
        suited = (
            each
            for each in others
            if isinstance(each, GramAccumulator) and each.debiased and each.kernel == "linear"
        )
        return cls(RowAccumulator(pairs=pairs), OrderAccumulator(pairs=pairs), next(suited, own))

    def read(self, side: int, layers: Sequence[str]) -> list[dict[str, Any]]:
        """What is known of the layers of a side.

        Args:
            side: Which side.
            layers: Their names, in axis order.

        Returns:
            For each layer plain data: `layer`, `width`, `rows_per_dimension`,
            `participation_ratio`, `duplicate_rows`, `largest_share`, `order`, NaN where undefined.
        """
        widths, directions, duplicates = self.rows.of_side(side)
        columns = {
            "layer": list(layers),
            "width": [int(width) for width in widths.tolist()],
            "rows_per_dimension": (self.rows.n / widths).tolist(),
            "participation_ratio": directions.tolist(),
            "duplicate_rows": duplicates.tolist(),
            "largest_share": self.gram.largest_shares(side).tolist(),
            "order": self.order.ratios(side).tolist(),
        }
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
