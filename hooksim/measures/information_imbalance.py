"""Information Imbalance as a measure, in both directions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from hooksim.accumulators.base import Accumulator, SidePair
from hooksim.accumulators.ranks import RankAccumulator
from hooksim.measures.base import Reading

__all__ = ["InformationImbalance"]


@dataclass(frozen=True)
class InformationImbalance:
    """Ask for Information Imbalance, both ways.

    From A to B: `(k + 1) / n` means that a layer of A holds all the information of the layer of B,
    1 that it holds none. It depends on n, the size of the blocks in which neighbours are sought.

    Args:
        k: Number of neighbours; a block needs at least k + 2 samples.
        key: Prefix of the two matrices' names, `..._a_to_b` and `..._b_to_a`.

    Raises:
        ConfigError: `k` below 1.

    Example:
        >>> InformationImbalance(k=3).keys
        ('information_imbalance_a_to_b', 'information_imbalance_b_to_a')

    Source: Glielmo et al. 2022, "Ranking the information content of distance measures".
    """

    name: ClassVar[str] = "information_imbalance"

    k: int = 1
    key: str = "information_imbalance"

    def __post_init__(self) -> None:
        self.accumulators(())  # refuses what it cannot do

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its matrices in a result."""
        return (f"{self.key}_a_to_b", f"{self.key}_b_to_a")

    @property
    def title(self) -> str:
        """The measure in words, for messages."""
        return f"Information Imbalance (k = {self.k})"

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""
        return max(accumulator.minimum for accumulator in self.accumulators(()))

    def options(self) -> dict[str, Any]:
        """Name and options, for the metadata."""
        return {"name": self.name, **asdict(self)}

    def accumulators(self, pairs: Sequence[SidePair]) -> list[Accumulator]:
        """Fresh accumulators for pairs of sides."""
        return [RankAccumulator(self.k, pairs=pairs)]

    def read(self, accumulators: Sequence[Any], pair: int) -> list[Reading]:
        """The two matrices for one pair, of accumulators that it made."""
        return [
            Reading(key, self.title, "min", (0.0, 1.0), direction, estimate)
            for key, direction, estimate in zip(
                self.keys, ("A to B", "B to A"), accumulators[0].compute(pair), strict=True
            )
        ]
