"""What was measured as Markdown and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.benchmarks.case import Case, Contestant, Outcome, Outcomes
from scripts.benchmarks.turns import Measured

__all__ = ["MEBIBYTE", "as_json", "line", "machine", "markdown", "versions"]

MEBIBYTE = 1 << 20


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def machine(described: Mapping[str, Any], device: str) -> str:
    """The machine in a line."""
    where = "" if device == "cpu" else f"{device}: {described['accelerator'] or 'unnamed'}; "
    return (
        f"{where}{described['system']}, {described['processor']} ({described['capability']}), "
        f"{described['processors']} processors, {described['threads']} threads"
    )


def versions(described: Mapping[str, Any]) -> str:
    """The versions in a line."""
    listed = (f"{name} {number}" for name, number in described["versions"].items())
    return ", ".join([f"Python {described['python']}", *listed])


def markdown(case: Case, measured: Measured) -> str:
    """The table of a case, the promises under it, and the load.

    Args:
        case: What was measured.
        measured: What came of it.

    Returns:
        Markdown, without a line break at the end.
    """
    outcomes = measured.outcomes
    heads = ["", "what is called", "best, s", "processor, s", "ratio", "peak, MiB", "error"]
    heads += [case.extra_column] if case.extra_column else []
    lines = [f"### {case.title}", "", line(heads), "|---|---|" + "---:|" * (len(heads) - 2)]
    extra = case.extra(outcomes) if case.extra_column else {}
    for contestant in case.contestants:
        if contestant.name in outcomes:
            cells = row(contestant, case, outcomes)
            cells += [extra.get(contestant.name, "")] if case.extra_column else []
            lines.append(line(cells))
    lines += ["", *promises(case, outcomes)]
    lines += [f"Load: {measured.load[0]} before, {measured.load[1]} after."]
    return "\n".join([*lines, *([case.note] if case.note else [])])


def row(contestant: Contestant, case: Case, outcomes: Outcomes) -> list[str]:
    """The cells of a contestant."""
    outcome = outcomes[contestant.name]
    called = f"`{contestant.call}`"
    if contestant.pairs:
        called += f"; {len(contestant.pairs)} of {case.parts} pairs timed, scaled"
    if outcome.failure:
        return [contestant.name, called, f"**{outcome.failure.split(':')[0]}**", "", "", "", ""]
    base = outcomes.get(case.base)
    ratio = "" if base is None or not base.seconds else f"{outcome.best / base.best:.3g}"
    peak = "" if outcome.peak is None else f"{outcome.peak / MEBIBYTE:.0f}"
    error = "" if outcome.error is None else f"{outcome.error:.1g}"
    processor = f"{min(outcome.processor_seconds):.3g}"
    return [contestant.name, called, f"{outcome.best:.3g}", processor, ratio, peak, error]


def promises(case: Case, outcomes: Outcomes) -> list[str]:
    """Each promise, its number and whether it is kept."""
    lines = []
    for limit in case.limits:
        value, kept = limit.value(outcomes), limit.kept(outcomes)
        verdict = {True: "kept", False: "**missed**", None: "not measured"}[kept]
        shown = "" if value is None else f" {value:.3g},"
        sign = ">=" if limit.at_least else "<="
        lines.append(f"- {limit.text}:{shown} promised {sign} {limit.bound:g}: {verdict}")
    return [*lines, ""] if lines else []


def as_json(case: Case, measured: Measured) -> dict[str, Any]:
    """All numbers of a case, for JSON."""
    return {
        "title": case.title,
        "load": list(measured.load),
        "outcomes": {name: numbers(each) for name, each in measured.outcomes.items()},
        "promises": [
            {
                "text": limit.text,
                "bound": limit.bound,
                "at_least": limit.at_least,
                "value": finite(limit.value(measured.outcomes)),
                "kept": limit.kept(measured.outcomes),
            }
            for limit in case.limits
        ],
    }


def numbers(outcome: Outcome) -> Mapping[str, Any]:
    """All numbers of a contestant."""
    return {
        "seconds": outcome.seconds,
        "processor_seconds": outcome.processor_seconds,
        "peaks": outcome.peaks,
        "factor": outcome.factor,
        "best": finite(outcome.best),
        "error": finite(outcome.error),
        "failure": outcome.failure,
    }


def finite(value: float | None) -> float | str | None:
    """A number for strict JSON, which has no NaN and no infinity."""
    if value is None or abs(value) < float("inf"):
        return value
    return str(value)
