"""Contestants take turns: A B C A B C, each in the environment that has it."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from scripts.benchmarks.case import Case, Contestant, Outcome, Outcomes, error_of

__all__ = ["Asked", "Measured", "joined", "measure"]


class Asked(Protocol):
    """Whoever answers requests: a `Worker`, or a `Bench` in this process."""

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer."""
        ...


class Measured(NamedTuple):
    """A case that was measured.

    Attributes:
        outcomes: By contestant, in the order of the case, but those without an environment.
        load: Average load of the machine before and after.
    """

    outcomes: Outcomes
    load: tuple[float, float]


def measure(
    key: str,
    case: Case,
    workers: Sequence[Asked],
    *,
    small: bool,
    repeats: int,
    device: str = "cpu",
) -> Measured:
    """Measure the contestants of a case.

    Args:
        key: The name of the case.
        case: What it is.
        workers: The environments: hooksim's own, then those of the other tools.
        small: Whether the small sizes are run.
        repeats: Runs of each contestant.
        device: Where models and rows are.

    Returns:
        What came of it.

    Raises:
        RuntimeError: The environments made different inputs.
    """
    places = assigned(case, workers)
    prints = []
    for worker in workers:
        modules = {each.module for each in case.contestants if places.get(each.name) is worker}
        if modules or worker is workers[0]:  # the first one makes the references, too
            request = {"do": "prepare", "case": key, "small": small, "modules": sorted(modules)}
            request["device"] = device
            prints.append(worker.ask(request)["fingerprint"])
    check_same(key, prints)
    before = load()
    outcomes = {name: Outcome() for name in places}
    for turn in range(repeats):
        for name, worker in places.items():
            if not outcomes[name].failure:
                print(f"{key}: {name}, {turn + 1} of {repeats}", file=sys.stderr)
                outcomes[name] = with_run(outcomes[name], worker.ask({"do": "run", "name": name}))
    after = load()
    scaled = {
        each.name: with_scale(each, case, outcomes)
        for each in case.contestants
        if each.name in places
    }
    judged = {
        each.name: with_error(scaled[each.name], each, places[each.name], workers[0])
        for each in case.contestants
        if each.name in places
    }
    return Measured(judged, (before, after))


def joined(parts: Sequence[Measured]) -> Measured:
    """What came of a case whose contestants were measured one after the other."""
    outcomes = {name: each for part in parts for name, each in part.outcomes.items()}
    return Measured(outcomes, (parts[0].load[0], parts[-1].load[1]))


def assigned(case: Case, workers: Sequence[Asked]) -> dict[str, Asked]:
    """The first environment that has what a contestant imports; hooksim only in its own.

    For one that runs apart it is the last one, of which there are two.
    """
    places: dict[str, Asked] = {}
    modules = [set(worker.ask({"do": "surroundings"})["modules"]) for worker in workers]
    for contestant in case.contestants:
        if contestant.module == "hooksim":
            places[contestant.name] = workers[0]
            continue
        found = list(zip(workers, modules, strict=True))
        for worker, installed in reversed(found) if contestant.apart else found:
            if contestant.module in installed:
                places[contestant.name] = worker
                break
    return places


def check_same(key: str, prints: Sequence[Sequence[float]]) -> None:
    """Refuse to put times beside each other that belong to different inputs."""
    for other in prints[1:]:
        if len(other) != len(prints[0]) or not all(
            math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6)
            for a, b in zip(prints[0], other, strict=True)
        ):
            raise RuntimeError(
                f"case {key!r}: the environments made different inputs ({prints[0]} and {other}). "
                "Install the same torch and transformers in both."
            )


def load() -> float:
    """Average number of running processes over the last minute."""
    return round(os.getloadavg()[0], 2)


def with_run(outcome: Outcome, answer: Mapping[str, Any]) -> Outcome:
    """The outcome with one more run."""
    if answer["failure"]:
        return replace(outcome, failure=answer["failure"])
    return replace(
        outcome,
        seconds=[*outcome.seconds, answer["seconds"]],
        processor_seconds=[*outcome.processor_seconds, answer["processor_seconds"]],
        peaks=[*outcome.peaks, answer["peak"]],
    )


def with_scale(contestant: Contestant, case: Case, outcomes: Outcomes) -> Outcome:
    """The outcome with the factor from the pairs that were run to all."""
    outcome = outcomes[contestant.name]
    if not contestant.pairs:
        return outcome
    unscaled = min(outcomes[contestant.above].seconds) if contestant.above else 0.0
    return replace(outcome, factor=case.parts / len(contestant.pairs), unscaled=unscaled)


def with_error(outcome: Outcome, contestant: Contestant, worker: Asked, own: Asked) -> Outcome:
    """The outcome with the distance of its latest values from float64."""
    if not contestant.quantities or outcome.failure:
        return outcome
    values = worker.ask({"do": "values", "name": contestant.name})["values"]
    truth: dict[str, Any] = {}
    for quantity in contestant.quantities:
        truth |= own.ask({"do": "reference", "quantity": quantity})["values"]
    return replace(outcome, error=error_of(values, truth, contestant.pairs))
