"""Centered kernel alignment as a measure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from hooksim.accumulators.base import Accumulator, Estimate, SidePair
from hooksim.accumulators.covariance import CovarianceAccumulator
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
        kernel: `"linear"`, or `"rbf"` with a width of its own for each block.
        bandwidth: Of the RBF kernel, as a multiple of the median distance within the block.
        exact: The value of all samples as one block, in one pass, whatever the blocks; standard
            errors come from the blocks. Costs memory by the square of the layers' widths.
        key: Name of the matrix in the result.

    Raises:
        ConfigError: Another kernel.

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
        self.accumulators(())  # refuses what it cannot do
        if self.exact and self.kernel != "linear":
            raise ConfigError(f"exact=True: expected kernel='linear', got {self.kernel!r}.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its matrices in a result."""
        return (self.key,)

    @property
    def title(self) -> str:
        """The measure in words, for messages."""
        words = [self.kernel, "debiased" if self.debiased else "biased", *["exact"] * self.exact]
        return f"CKA ({', '.join(words)})"

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""
        return max(accumulator.minimum for accumulator in self.accumulators(()))

    def options(self) -> dict[str, Any]:
        """Name and options, for the metadata."""
        return {"name": self.name, **asdict(self)}

    def accumulators(self, pairs: Sequence[SidePair]) -> list[Accumulator]:
        """Fresh accumulators for pairs of sides: that of the values last."""
        blocks = GramAccumulator(self.debiased, self.kernel, self.bandwidth, pairs=pairs)
        return (
            [blocks, CovarianceAccumulator(self.debiased, pairs=pairs)] if self.exact else [blocks]
        )

    def read(self, accumulators: Sequence[Any], pair: int) -> list[Reading]:
        """The matrix for one pair, of accumulators that it made."""
        values = accumulators[-1].compute(pair).values
        stderr = accumulators[0].compute(pair).stderr
        return [Reading(self.key, self.title, "max", (0.0, 1.0), "", Estimate(values, stderr))]
