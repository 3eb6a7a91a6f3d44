"""What a probe has measured in the course of a run, and the trajectory that it makes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hooksim.errors import ConfigError
from hooksim.results import Comparison, Trajectory
from hooksim.spelling import close_names

__all__ = ["Course", "Measurement", "choose_reference", "trajectory_of"]

_TAKEN = ("first", "last", "all")  # what a trajectory takes for one of its own steps


class Measurement(NamedTuple):
    """What was measured at one step.

    Attributes:
        step: Of the training.
        scalars: `NAME_KEY_diagonal_mean` and so on.
        seconds: How long it took.
        results: The comparisons by the names of their references.
    """

    step: int
    scalars: dict[str, float]
    seconds: float
    results: dict[str, Comparison]


class Course:
    """The measurements of a run, in the order in which they were made.

    State:
        measurements: One for each measure; grows by a comparison for each reference.

    Example:
        >>> course = Course()
        >>> for step in (10, 20, 30):
        ...     course.measurements.append(Measurement(step, {}, 0.1, {}))
        >>> course.rewind(20)
        True
        >>> course.last_step
        20
    """

    def __init__(self, measurements: Iterable[Measurement] = ()) -> None:
        self.measurements = list(measurements)

    @property
    def last_step(self) -> int | None:
        """Step of the last measurement, None where there is none."""
        return self.measurements[-1].step if self.measurements else None

    def rewind(self, step: int) -> bool:
        """Forget what was measured after a step, and after a step that did not come later.

        Args:
            step: The last that counts.

        Returns:
            Whether anything was forgotten.
        """
        kept: list[Measurement] = []
        for each in self.measurements:
            if each.step > step or (kept and each.step <= kept[-1].step):
                break
            kept.append(each)
        forgotten = len(kept) < len(self.measurements)
        self.measurements = kept
        return forgotten

    def trajectory(self, name: str | None, names: Sequence[str]) -> Trajectory:
        """Put the comparisons with one reference together.

        Args:
            name: Of the reference; None where there is only one.
            names: Of all references.

        Returns:
            The trajectory.

        Raises:
            ConfigError: There is no such reference, several and none named, or no comparison yet.
        """
        chosen = choose_reference(name, names)
        measured = [each for each in self.measurements if chosen in each.results]
        found = {each.step: each.results[chosen] for each in measured}
        if not found:
            raise ConfigError(
                f"trajectory: nothing was compared with {chosen!r} yet. Call probe.measure first; "
                "with 'previous' twice."
            )
        return trajectory_of(chosen, found)


def choose_reference(name: str | None, names: Sequence[str]) -> str:
    """Say which reference is meant.

    Args:
        name: What was asked for, or None.
        names: Of all references.

    Returns:
        Its name.

    Raises:
        ConfigError: There is no such reference, or several and none named.

    Example:
        >>> choose_reference(None, ["initial"])
        'initial'
    """
    listed = ", ".join(map(repr, names))
    if name is None and len(names) != 1:
        raise ConfigError(f"reference: there are several: {listed}. Name one of them.")
    if name is not None and name not in names:
        raise ConfigError(
            f"reference: there is no {name!r}. {close_names(name, names)}There is: {listed}."
        )
    return names[0] if name is None else name


def trajectory_of(name: str, results: Mapping[int, Comparison]) -> Trajectory:
    """Put the comparisons with one reference together.

    Args:
        name: The reference's.
        results: By their steps, in any order.

    Returns:
        The trajectory, in the order of the steps.

    Raises:
        ConfigError: There is none, or they cannot be compared with each other.
    """
    steps = sorted(results)
    # A reference of the probe that is called so is none of the steps.
    word = f"reference {name!r}" if name in _TAKEN else name
    return Trajectory.from_comparisons(steps, [results[step] for step in steps], word)
