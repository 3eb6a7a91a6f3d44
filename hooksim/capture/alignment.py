"""Do all sides see the same samples? By ids, by what went in, by the number of rows."""

from collections.abc import Sequence
from itertools import chain
from typing import Literal

from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition, Slice
from hooksim.errors import AlignmentError, ShapeError

__all__ = ["check_aligned", "matched_by"]

_SAME = "Both must see the same samples in the same order."


def check_aligned(
    readers: Sequence[Reader], slices: Sequence[Sequence[Slice]], at: BatchPosition
) -> None:
    """Check that the sides have seen the same samples of one batch, or of all batches at once.

    Where both have sample ids, these are compared; else, where both have fingerprints, those of
    equally shaped inputs: a sample of another shape, by padding, may be the same.

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
        `counts` where there are neither ids nor, for any sample, inputs of one shape.

    Example:
        >>> matched_by(Slice([], 1, 1, ids=["a"]), Slice([], 1, 1, ids=["a"]))
        'sample_ids'
    """
    if first.ids is not None and other.ids is not None:
        return "sample_ids"
    if first.inputs is None or other.inputs is None:
        return "counts"
    pairs = zip(first.inputs, other.inputs, strict=False)
    return "inputs" if any(_shape(one) == _shape(two) for one, two in pairs) else "counts"


def _check_same_samples(
    sides: tuple[str, str], first: Slice, other: Slice, at: BatchPosition
) -> None:
    if first.ids is not None and other.ids is not None:
        if first.ids == other.ids:
            return
        pairs = zip(chain(first.ids, [None]), chain(other.ids, [None]), strict=False)
        place, ids = next(found for found in enumerate(pairs) if found[1][0] != found[1][1])
        raise AlignmentError(
            f"{at}: the sample ids of {sides[0]} and {sides[1]} differ: sample "
            f"{at.first_sample + place} is {ids[0]!r} for {sides[0]}, {ids[1]!r} for {sides[1]}. "
            + _SAME
        )
    if first.inputs is None or other.inputs is None or first.inputs == other.inputs:
        return
    for place, (one, two) in enumerate(zip(first.inputs, other.inputs, strict=False)):
        if one != two and _shape(one) == _shape(two):
            raise AlignmentError(
                f"{at}: sample {at.first_sample + place} went into {sides[0]} with other values "
                f"than into {sides[1]} ({_shape(one)}, hashes {_hash(one)} and {_hash(two)}). "
                + _SAME
            )


def _shape(fingerprint: str) -> str:
    """Type and shape: what two inputs must share to be compared."""
    return fingerprint.rpartition(" ")[0]


def _hash(fingerprint: str) -> str:
    return fingerprint.rpartition(" ")[2]


def _short(title: str) -> str:
    """`model A` of `model A (BertModel)`."""
    return title.partition(" (")[0]


def _first_other_length(first: Slice, other: Slice) -> int | None:
    """The first sample of which the sides have another number of tokens, where both tell."""
    pairs = zip(first.lengths or (), other.lengths or (), strict=False)
    return next((place for place, (one, two) in enumerate(pairs) if one != two), None)
