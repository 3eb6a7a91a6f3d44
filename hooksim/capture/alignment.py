"""Do all sides see the same samples? By ids, by what went in, by the number of rows."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple
from urllib.parse import unquote

from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition, Slice
from hooksim.errors import AlignmentError, ShapeError

__all__ = ["RepeatedIds", "check_aligned", "matched_by"]

_SAME = "Both must see the same samples in the same order."
_WAY_OUT = "If each model has its own preprocessing or tokenizer, give both sides sample_ids."


class RepeatedIds(list[str]):
    """Sample ids of a side on which some id occurs more than once, in this batch or another.

    Equal ids then do not show that samples are the same.
    """


class _Entry(NamedTuple):
    """An input that two samples both have, with the same type and shape."""

    name: str
    kind: str
    first: str
    other: str


def check_aligned(
    readers: Sequence[Reader], slices: Sequence[Sequence[Slice]], at: BatchPosition
) -> None:
    """Check that the sides have seen the same samples of one batch, or of all batches at once.

    Where both have sample ids, these are compared; where there are none, or where some are
    repeated, the fingerprints are, input by input: of another shape, by padding, or under another
    name, samples may be the same.

    Args:
        readers: Who gave the slices, for messages.
        slices: What each reader gave.
        at: The batch's position in the data.

    Raises:
        AlignmentError: A sample differs; it is named.
        ShapeError: Other numbers of rows or, with token rows, of tokens of a sample.
    """
    sides = [
        (_short(title), each)
        for reader, part in zip(readers, slices, strict=True)
        for title, each in zip(reader.titles, part, strict=True)
    ]
    side, first = sides[0]
    for other_side, other in sides[1:]:
        _check_same_samples((side, other_side), first, other, at)
        place = _first_other_length(first, other)
        if first.n == other.n and place is None:
            continue
        detail = ""
        if place is not None and first.lengths and other.lengths:
            detail = (
                f"; sample {at.first_sample + place} has {first.lengths[place]} tokens for {side}, "
                f"{other.lengths[place]} for {other_side}"
            )
        raise ShapeError(
            f"layer {readers[0].names(0)[0]!r}: {first.n} rows from {side}, {other.n} from "
            f"{other_side}, {at}{detail}. Both models must see the same samples; with token rows, "
            "the same tokens."
        )


def matched_by(first: Slice, other: Slice) -> Literal["sample_ids", "inputs", "counts"]:
    """Tell what `check_aligned` has to go by for two sides.

    Args:
        first: What one side gave.
        other: What the other gave for the same batch.

    Returns:
        `counts` where there are neither ids that stand for one sample each nor, for any sample,
        inputs that can be compared.

    Example:
        >>> matched_by(Slice([], 1, 1, ids=["a"]), Slice([], 1, 1, ids=["a"]))
        'sample_ids'
    """
    if _told_apart(first, other):
        return "sample_ids"
    if not first.inputs or not other.inputs:
        return "counts"
    if first.inputs == other.inputs:
        return "inputs"
    pairs = zip(first.inputs, other.inputs, strict=False)
    return "inputs" if any(_shows_something(one, two) for one, two in pairs) else "counts"


def _check_same_samples(
    sides: tuple[str, str], first: Slice, other: Slice, at: BatchPosition
) -> None:
    if first.ids is not None and other.ids is not None:
        _check_same_ids(sides, first.ids, other.ids, at)
        if _told_apart(first, other):
            return
    if first.inputs is None or other.inputs is None or first.inputs == other.inputs:
        return
    for place, (one, two) in enumerate(zip(first.inputs, other.inputs, strict=False)):
        for name, kind, hash_one, hash_two in _common(_entries(one), _entries(two)):
            if hash_one != hash_two:
                what = f"{name}: {kind}" if name else kind
                raise AlignmentError(
                    f"{at}: sample {at.first_sample + place} went into {sides[0]} with other "
                    f"values than into {sides[1]} ({what}, hashes {hash_one} and {hash_two}). "
                    f"{_SAME} {_WAY_OUT}"
                )


def _check_same_ids(
    sides: tuple[str, str], first: list[str], other: list[str], at: BatchPosition
) -> None:
    if first == other:
        return
    pairs = zip(chain(first, [None]), chain(other, [None]), strict=False)
    place, ids = next(found for found in enumerate(pairs) if found[1][0] != found[1][1])
    raise AlignmentError(
        f"{at}: the sample ids of {sides[0]} and {sides[1]} differ: sample "
        f"{at.first_sample + place} is {ids[0]!r} for {sides[0]}, {ids[1]!r} for {sides[1]}. "
        + _SAME
    )


def _told_apart(first: Slice, other: Slice) -> bool:
    """Whether both sides have ids, and each of them stands for one sample."""
    return not any(ids is None or isinstance(ids, RepeatedIds) for ids in (first.ids, other.ids))


def _entries(fingerprint: str) -> dict[str, tuple[str, str]]:
    """By name the type and shape of an input, and its hash."""
    found = {}
    for entry in fingerprint.split(";"):
        name, _, value = entry.rpartition(":")
        kind, _, digest = value.rpartition(" ")
        found[name] = kind, digest
    return found


def _common(
    first: Mapping[str, tuple[str, str]], other: Mapping[str, tuple[str, str]]
) -> list[_Entry]:
    """The inputs of two samples that can be compared; one without a name with the only other."""
    if "" in first and "" not in other and len(other) == 1:
        other = dict(zip([""], other.values(), strict=True))
    elif "" in other and "" not in first and len(first) == 1:
        first = dict(zip([""], first.values(), strict=True))
    return [
        _Entry(unquote(name), kind, digest, other[name][1])
        for name, (kind, digest) in first.items()
        if name in other and other[name][0] == kind
    ]


def _shows_something(one: str, two: str) -> bool:
    """Whether equal inputs show that two samples are the same.

    A single number, such as a language or a length, does not, where there is more to a sample.
    """
    first, other = _entries(one), _entries(two)
    kinds = {kind for kind, _ in (*first.values(), *other.values())}
    common = _common(first, other)
    if all(kind.endswith("[]") for kind in kinds):
        return bool(common)
    return any(not entry.kind.endswith("[]") for entry in common)


def _short(title: str) -> str:
    """`model A` of `model A (BertModel)`."""
    return title.partition(" (")[0]


def _first_other_length(first: Slice, other: Slice) -> int | None:
    """The first sample of which the sides have another number of tokens, where both tell."""
    pairs = zip(first.lengths or (), other.lengths or (), strict=False)
    return next((place for place, (one, two) in enumerate(pairs) if one != two), None)
