"""The contract of all measures."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from hooksim.accumulators.base import Accumulator, Estimate, SidePair

__all__ = ["Measure", "Reading"]


class Reading(NamedTuple):
    """One matrix of a measure and how it is to be read.

    Attributes:
        key: Its name in the result.
        label: What it is, in words, with the options that matter.
        best: Which values mean "closest".
        range: The ends of its scale; values beyond are legitimate.
        direction: Such as `A to B`; empty where there is none.
        estimate: Values and standard errors.
    """

    key: str
    label: str
    best: Literal["max", "min"]
    range: tuple[float, float]
    direction: str
    estimate: Estimate


@runtime_checkable
class Measure(Protocol):
    """Knows which accumulators it needs and what to read off them."""

    name: ClassVar[str]
    """What a config calls the measure."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its matrices in a result."""

    @property
    def title(self) -> str:
        """The measure in words, for messages."""

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""

    def options(self) -> dict[str, Any]:
        """Name and options, for the metadata."""

    def accumulators(self, pairs: Sequence[SidePair]) -> list[Accumulator]:
        """Fresh accumulators for pairs of sides."""

    def read(self, accumulators: Sequence[Any], pair: int) -> list[Reading]:
        """The matrices for one pair, of accumulators that it made."""
