"""What a case of the benchmark is: who runs on what, what is right, and what was promised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Case", "Contestant", "Limit", "Outcome", "Outcomes", "Values", "error_of"]

Values = Mapping[str, NDArray[np.float64]]
"""Numbers by what they are, such as `cka` and `a_to_b`."""


@dataclass(frozen=True)
class Contestant:
    """Something that is run and timed.

    Attributes:
        name: Its row of the table.
        call: What is called.
        run: The inputs of the case to values, which may be none.
        module: What it imports, which decides the environment that it runs in.
        quantities: Keys of the case's references: what the call claims to compute.
        pairs: Positions of the layer pairs that are run, where all of them would take too long.
        above: Whose time is not scaled when that of these pairs is; empty where all of it is.
        apart: Whether it runs in a process of its own: one that takes gigabytes leaves the
            allocator so much memory that all who come later there need no fresh pages.
    """

    name: str
    call: str
    run: Callable[[Any], Values]
    module: str = "hooksim"
    quantities: Sequence[str] = ()
    pairs: Sequence[tuple[int, int]] = ()
    above: str = ""
    apart: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a contestant.

    Attributes:
        seconds: Of each run, as measured.
        processor_seconds: Of each run, over all threads.
        peaks: Bytes that each run took above what the process held before; None where unknown.
        failure: First line of the exception that ended it, or nothing.
        error: Largest distance of a value from float64; None where it gives none.
        factor: What the seconds are multiplied by, where some pairs stand for all.
        unscaled: Seconds that are not multiplied, such as those of the forward passes.
    """

    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    peaks: list[int | None] = field(default_factory=list)
    failure: str = ""
    error: float | None = None
    factor: float = 1.0
    unscaled: float = 0.0

    @property
    def best(self) -> float:
        """The best time, scaled to all pairs; infinite where there is none."""
        shortest = min(self.seconds, default=float("inf"))
        return self.unscaled + max(shortest - self.unscaled, 0.0) * self.factor

    @property
    def peak(self) -> int | None:
        """The largest peak."""
        return max((peak for peak in self.peaks if peak is not None), default=None)


Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True)
class Limit:
    """A promise, and the number that it is held against.

    Attributes:
        text: What the number is.
        bound: What it may be at most, or at least.
        value: The number; None where nobody measured it.
        at_least: Whether larger is better.
    """

    text: str
    bound: float
    value: Callable[[Outcomes], float | None]
    at_least: bool = False

    def kept(self, outcomes: Outcomes) -> bool | None:
        """Whether it holds; None where nobody measured it."""
        value = self.value(outcomes)
        if value is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Case:
    """Contestants on the same inputs.

    Attributes:
        title: What is measured, with its sizes.
        prepare: Makes the inputs; the same ones at every call and in every environment.
        contestants: In the order in which they take turns.
        references: The values in float64, by what a contestant claims to compute.
        base: The contestant to whose time the others' are ratios; empty for none.
        limits: What was promised.
        parts: How many layer pairs there are.
        fingerprint: Of the inputs; equal ones are the same.
        note: What a reader of the table must know.
        apart: Whether each contestant has processes of its own: what others leave there would
            count as its memory, or hide it.
        extra_column: Heading of one more column.
        extra: Its cell for each contestant that has one.
        curves: Draws pictures: `(outcomes, folder) -> file names`.
    """

    title: str
    prepare: Callable[[], Any]
    contestants: Sequence[Contestant]
    references: Mapping[str, Callable[[Any], Values]] = field(default_factory=dict)
    base: str = ""
    limits: Sequence[Limit] = ()
    parts: int = 1
    fingerprint: Callable[[Any], list[float]] = lambda _: []
    note: str = ""
    apart: bool = False
    extra_column: str = ""
    extra: Callable[[Outcomes], Mapping[str, str]] = lambda _: {}
    curves: Callable[[Outcomes, Any], list[str]] | None = None


def error_of(values: Values, reference: Values, pairs: Sequence[tuple[int, int]] = ()) -> float:
    """The largest distance from the reference, NaN where only one of the two is NaN.

    Args:
        values: What a contestant gave: whole matrices, or the entries of `pairs` in a list.
        reference: Whole matrices in float64; those that the contestant does not give are left out.
        pairs: The entries.

    Returns:
        The error; infinite where a value is.
    """
    worst = 0.0
    for key, found in values.items():
        truth = np.asarray(reference[key])
        if pairs:
            truth = truth[tuple(np.array(pairs).T)]
        found = np.asarray(found, dtype=np.float64).reshape(truth.shape)
        if (np.isnan(found) != np.isnan(truth)).any():
            return float("nan")
        there = ~np.isnan(truth)
        worst = max(worst, float(np.abs(found - truth)[there].max(initial=0.0)))
    return worst
