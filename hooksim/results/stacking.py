"""Comparisons at several steps put together: their matrices in stacks, their metadata in one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from hooksim.errors import ConfigError
from hooksim.results.comparison import Comparison
from hooksim.results.directions import reversed_key
from hooksim.results.halves import half_of, is_of_a_side
from hooksim.results.matrix import Meaning
from hooksim.results.stack import MatrixStack

__all__ = ["Stacked", "Step", "stack_comparisons"]

Step: TypeAlias = int | str
"""Where in a run a checkpoint is: a number, or a word where there is none."""

_Place: TypeAlias = tuple[int, ...]  # the step, or the steps of A and B


class Stacked(NamedTuple):
    """What a trajectory is made of.

    Attributes:
        steps: In their order.
        stacks: One for each matrix of the comparisons.
        n_samples: Number of samples, the same for all.
        metadata: What is common, and what each side and each step has of its own.
    """

    steps: list[Step]
    stacks: dict[str, MatrixStack]
    n_samples: int
    metadata: dict[str, Any]


class _Cells(NamedTuple):
    """The matrix of one place in the stack."""

    place: _Place
    values: Tensor
    stderr: Tensor
    layers_a: Sequence[str]
    layers_b: Sequence[str]


def stack_comparisons(
    steps: Sequence[Step], comparisons: Sequence[Comparison], reference: str
) -> Stacked:
    """Put comparisons together; see `Trajectory.from_comparisons`.

    Args:
        steps: Where each is in the run.
        comparisons: One a step, or the upper triangle of all pairs of steps.
        reference: What A is.

    Returns:
        The parts of a trajectory.

    Raises:
        ConfigError: The comparisons do not belong together.
    """
    steps = list(steps)
    places = _places(len(steps), reference)
    _check(steps, comparisons, places)
    stacks = {
        key: _stack(key, list(_cells(key, comparisons, places)), comparisons[0][key].meaning)
        for key in comparisons[0]
    }
    describe = _describe_pairs if reference == "all" else _describe_steps
    metadata = describe(steps, [comparison.metadata for comparison in comparisons], reference)
    return Stacked(steps, stacks, comparisons[0].n_samples, metadata)


def _places(count: int, reference: str) -> list[_Place]:
    """Say where in the stack each comparison belongs."""
    if reference == "all":
        return [(i, j) for i in range(count) for j in range(i, count)]
    return [(i,) for i in range(count)]


def _check(
    steps: Sequence[Step], comparisons: Sequence[Comparison], places: Sequence[_Place]
) -> None:
    """Refuse what makes no trajectory."""
    if not steps or len(comparisons) != len(places):
        raise ConfigError(
            f"trajectory: expected {len(places)} comparisons for {len(steps)} steps, got "
            f"{len(comparisons)}. At least one step is needed."
        )
    repeated = [step for i, step in enumerate(steps) if step in steps[:i]]
    if repeated:
        raise ConfigError(f"trajectory: expected every step once, got {repeated[0]!r} twice.")
    first = comparisons[0]
    for place, other in zip(places, comparisons, strict=True):
        where = " and ".join(repr(steps[i]) for i in place)
        if set(other) != set(first):
            raise ConfigError(
                f"trajectory: step {where} has {_quoted(other.keys())}, step {steps[0]!r} has "
                f"{_quoted(first.keys())}. All steps need the same measures."
            )
        if other.n_samples != first.n_samples:
            raise ConfigError(
                f"trajectory: step {where} rests on {other.n_samples:,} samples, step "
                f"{steps[0]!r} on {first.n_samples:,}. Values are compared at equal numbers only."
            )
        _check_settings(f"step {where}", other, f"step {steps[0]!r}", first)


def _check_settings(where: str, other: Comparison, where_first: str, first: Comparison) -> None:
    """Refuse values that were measured otherwise, so that their differences mean nothing."""
    for key in first:
        if other[key].meaning != first[key].meaning:
            raise ConfigError(
                f"trajectory: {key!r} of {where} is {_words(other[key].meaning)}, that of "
                f"{where_first} {_words(first[key].meaning)}. All steps need the same settings."
            )
    measures = [sorted(each.metadata.get("measures") or [], key=str) for each in (other, first)]
    if measures[0] != measures[1]:
        raise ConfigError(
            f"trajectory: {where} was measured by {measures[0]}, {where_first} by {measures[1]}. "
            "All steps need the same settings."
        )
    rows = [each.metadata.get("rows") or {} for each in (other, first)]
    if rows[0] != rows[1]:
        raise ConfigError(
            f"trajectory: {where} has rows by {_unlike(*rows)}, {where_first} by "
            f"{_unlike(*rows[::-1])}. All steps need the same settings."
        )
    # A rank is one among the rows of a block.
    blocks = [each.metadata.get("blocks") for each in (other, first)]
    directed = [key for key in first if first[key].meaning.direction]
    if directed and blocks[0] != blocks[1]:
        raise ConfigError(
            f"trajectory: {where} has blocks of {blocks[0]} rows, {where_first} of {blocks[1]}. "
            f"{directed[0]!r} is compared at equal blocks only: give all steps one block_size."
        )


def _words(meaning: Meaning) -> str:
    """All that a meaning says, in one line."""
    low, high = meaning.range
    return f"{meaning.title} ({meaning.best} is closest, {low:g} to {high:g})"


def _unlike(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What the row policies of A and B have that others have not."""
    found = {}
    for side, policy in own.items():
        theirs = other.get(side, {})
        unlike = {name: value for name, value in policy.items() if theirs.get(name) != value}
        if unlike:
            found[side] = unlike
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"


def _cells(
    key: str, comparisons: Sequence[Comparison], places: Sequence[_Place]
) -> Iterator[_Cells]:
    """Give the matrices of one measure, and of pairs of steps their transposes too."""
    for place, comparison in zip(places, comparisons, strict=True):
        m = comparison[key]
        yield _Cells(place, m.values, m.stderr, m.layers_a, m.layers_b)
        if len(set(place)) == 2:
            back = comparison[reversed_key(key, comparison)]
            yield _Cells(place[::-1], back.values.T, back.stderr.T, back.layers_b, back.layers_a)


def _stack(key: str, cells: Sequence[_Cells], meaning: Any) -> MatrixStack:
    """Lay matrices one upon the other, by the names of their layers; NaN where one is missing."""
    layers_a = list(dict.fromkeys(chain.from_iterable(cell.layers_a for cell in cells)))
    layers_b = list(dict.fromkeys(chain.from_iterable(cell.layers_b for cell in cells)))
    sizes = [1 + max(place) for place in zip(*(cell.place for cell in cells), strict=True)]
    values = torch.full((*sizes, len(layers_a), len(layers_b)), torch.nan, dtype=torch.float64)
    stderr = values.clone()
    for cell in cells:
        down = torch.tensor([layers_a.index(name) for name in cell.layers_a])[:, None]
        across = torch.tensor([layers_b.index(name) for name in cell.layers_b])
        values[cell.place][down, across] = cell.values
        stderr[cell.place][down, across] = cell.stderr
    return MatrixStack(key, values, stderr, layers_a, layers_b, meaning)


def _describe_steps(
    steps: Sequence[Step], metadatas: Sequence[Mapping[str, Any]], reference: str
) -> dict[str, Any]:
    """Describe comparisons with a reference: what is common, and what each step has of its own."""
    common = _common(metadatas)
    references = [half_of(metadata, "a") for metadata in metadatas]
    one_reference = len(set(map(repr, references))) == 1
    checkpoints = []
    for step, metadata, half in zip(steps, metadatas, references, strict=True):
        own = {
            key: value
            for key, value in metadata.items()
            if key not in common and not is_of_a_side(key)
        }
        if not one_reference:
            own["reference_side"] = half
        checkpoints.append({"step": step, **half_of(metadata, "b"), **own})
    return {
        **common,
        "warnings": _united(metadatas, "warnings"),
        "reference": reference,
        "reference_step": {"first": steps[0], "last": steps[-1]}.get(reference),
        "reference_side": references[0] if one_reference else None,
        "checkpoints": checkpoints,
    }


def _describe_pairs(
    steps: Sequence[Step], metadatas: Sequence[Mapping[str, Any]], reference: str
) -> dict[str, Any]:
    """Describe comparisons of all pairs of steps."""
    places = _places(len(steps), reference)
    apart = [m for place, m in zip(places, metadatas, strict=True) if len(set(place)) == 2]
    alone = [m for place, m in zip(places, metadatas, strict=True) if len(set(place)) == 1]
    return {
        **_common(apart or alone),
        "warnings": _united(metadatas, "warnings"),
        "reference": reference,
        "reference_step": None,
        "reference_side": None,
        "checkpoints": [
            {"step": step, **half_of(metadata, "a")}
            for step, metadata in zip(steps, alone, strict=True)
        ],
    }


def _common(metadatas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Take the entries that are the same in all, NaN being the same as NaN."""
    first, *others = metadatas
    return {
        key: value
        for key, value in first.items()
        if not is_of_a_side(key)
        and all(key in other and repr(other[key]) == repr(value) for other in others)
    }


def _united(metadatas: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """Join the lists under a key, each item once."""
    found = chain.from_iterable(metadata.get(key) or [] for metadata in metadatas)
    return list({repr(item): item for item in found}.values())
