"""Centered kernel alignment as a measure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from hooksim.accumulators.base import SidePair
from hooksim.accumulators.gram import GramAccumulator
from hooksim.errors import ConfigError
from hooksim.measures.base import Reading

__all__ = ["CKA"]


@dataclass(frozen=True)
class CKA:
    """Ask for centered kernel alignment, summed over blocks.

    1 means that two layers agree up to rotation, scale and shift; 0 that they share no linear
    structure.

    Args:
        debiased: With unbiased HSIC, whose value does not depend on the block size. The biased
            value of unrelated layers nears 1 as their width over the number of samples grows.
        kernel: `"linear"`.
        bandwidth: Of the RBF kernel; unused by the linear one.
        exact: One value over all samples instead of blocks; not available in this version.
        key: Name of the matrix in the result.

    Raises:
        ConfigError: Another kernel, or `exact=True`.

    Example:
        >>> CKA(debiased=False).title
        'CKA (linear, biased)'

    Source: Kornblith et al. 2019; Nguyen et al. 2021 (over minibatches).
    """

    name: ClassVar[str] = "cka"

    debiased: bool = True
    kernel: str = "linear"
    bandwidth: float = 1.0
    exact: bool = False
    key: str = "cka"

    def __post_init__(self) -> None:
        self.accumulator(())  # refuses what it cannot do
        if self.exact:
            raise ConfigError("exact=True is not available in this version; use exact=False.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its matrices in a result."""
        return (self.key,)

    @property
    def title(self) -> str:
        """The measure in words, for messages."""
        return f"CKA ({self.kernel}, {'debiased' if self.debiased else 'biased'})"

    def options(self) -> dict[str, Any]:
        """Name and options, for the metadata."""
        return {"name": self.name, **asdict(self)}

    def accumulator(self, pairs: Sequence[SidePair]) -> GramAccumulator:
        """A fresh accumulator for pairs of sides."""
        return GramAccumulator(self.debiased, self.kernel, self.bandwidth, pairs=pairs)

    def read(self, accumulator: GramAccumulator, pair: int) -> list[Reading]:
        """The matrix for one pair, of an accumulator that it made."""
        estimate = accumulator.compute(pair)
        return [Reading(self.key, self.title, "max", (0.0, 1.0), "", estimate)]
