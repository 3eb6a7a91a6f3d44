"""The numbers that promises are held against, from the outcomes of a case."""

from collections.abc import Callable

from scripts.benchmarks.case import Outcome, Outcomes

__all__ = ["error", "extra_memory", "faster", "ratio"]

Number = Callable[[Outcomes], float | None]


def measured(outcomes: Outcomes, *names: str) -> list[Outcome] | None:
    """The outcomes of these contestants, where all of them ended well."""
    found = [outcomes[name] for name in names if name in outcomes]
    if len(found) < len(names) or any(each.failure or not each.seconds for each in found):
        return None
    return found


def ratio(name: str, to: str) -> Number:
    """The time of a contestant over that of another."""

    def number(outcomes: Outcomes) -> float | None:
        found = measured(outcomes, name, to)
        return None if found is None else found[0].best / found[1].best

    return number


def faster(name: str, than: str) -> Number:
    """How many times faster a contestant is than another."""
    return ratio(than, name)


def error(name: str) -> Number:
    """The error of a contestant."""

    def number(outcomes: Outcomes) -> float | None:
        found = measured(outcomes, name)
        return None if found is None else found[0].error

    return number


def extra_memory(name: str, above: str, other: str, other_above: str) -> Number:
    """What a contestant takes above one, over what another takes above its own."""

    def number(outcomes: Outcomes) -> float | None:
        found = measured(outcomes, name, above, other, other_above)
        if found is None:
            return None
        peaks = [each.peak for each in found]
        if any(peak is None for peak in peaks):
            return None
        own, own_base, others, others_base = (peak or 0 for peak in peaks)
        return max(own - own_base, 0) / max(others - others_base, 1)

    return number
