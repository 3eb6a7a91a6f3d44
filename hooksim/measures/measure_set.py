"""Several measures at once: what they need of the blocks, each sum taken once."""

from collections.abc import Sequence
from typing import Any

from hooksim.accumulators.base import Accumulator, SidePair
from hooksim.measures.base import Measure, Reading
from hooksim.measures.diagnostics import Diagnostics

__all__ = ["MeasureSet"]


class MeasureSet:
    """The accumulators of several measures and of the diagnostics, for some pairs of sides.

    Two measures that would take the same sums share an accumulator.

    State: the accumulators.

    Args:
        measures: What was asked for.
        pairs: Pairs of sides.

    Attributes:
        measures: The same.
        accumulators: All of them, each once.
        speaking: Those of them whose notes concern what was asked for.
    """

    def __init__(self, measures: Sequence[Measure], pairs: Sequence[SidePair]) -> None:
        self.measures = list(measures)
        self.accumulators: list[Accumulator] = []
        self._own = [
            [self._shared(each) for each in measure.accumulators(pairs)] for measure in measures
        ]
        self.speaking = list(self.accumulators)
        self._diagnostics = Diagnostics(
            *(self._shared(each) for each in Diagnostics.beside(self.accumulators, pairs))
        )
        self.speaking.append(self._diagnostics.order)

    @property
    def most_demanding(self) -> Measure:
        """The measure whose blocks must be the largest."""
        return max(self.measures, key=lambda measure: measure.minimum)

    def readings(self, pair: int = 0) -> list[Reading]:
        """The matrices of all measures for one pair.

        Args:
            pair: Position of the pair.
        """
        return [
            reading
            for measure, own in zip(self.measures, self._own, strict=True)
            for reading in measure.read(own, pair)
        ]

    def diagnostics(self, side: int, layers: Sequence[str]) -> list[dict[str, Any]]:
        """What is known of the layers of a side.

        Args:
            side: Which side.
            layers: Their names, in axis order.
        """
        return self._diagnostics.read(side, layers)

    def _shared(self, accumulator: Any) -> Any:
        """An accumulator that takes the same sums, if there is one, else this one."""
        for known in self.accumulators:
            if known.matches(accumulator):
                return known
        self.accumulators.append(accumulator)
        return accumulator
