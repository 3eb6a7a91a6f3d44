import pytest

from hooksim.capture.alignment import RepeatedIds, check_aligned, matched_by
from hooksim.capture.slices import BatchPosition, Slice
from hooksim.errors import AlignmentError, ShapeError

AT = BatchPosition(2, 10)


class Side:
    """Says what it is called."""

    def __init__(self, *titles):
        self.titles = titles

    def names(self, view):
        return ["layer"]


def check(*slices, readers=None):
    titles = [f"model {label} (Stack)" for label in "ABC"[: len(slices)]]
    check_aligned(readers or [Side(title) for title in titles], [[each] for each in slices], AT)


def inputs(*fingerprints):
    return Slice([], len(fingerprints), len(fingerprints), inputs=list(fingerprints))


def ids(*names):
    return Slice([], len(names), len(names), ids=list(names))


def named(name, fingerprint):
    """A sample whose id others have too."""
    return Slice([], 1, 1, ids=RepeatedIds([name]), inputs=[fingerprint])


def test_equal_or_unknown_samples_pass():
    check(ids("a", "b"), ids("a", "b"))
    check(ids("a", "b"), inputs("f[3] 0", "f[3] 1"))
    check(inputs("f[3] 0", "f[3] 1"), inputs("f[3] 0", "f[3] 1"))
    check(Slice([], 2, 2), inputs("f[3] 0", "f[3] 1"), ids("a", "b"))


def test_samples_of_another_shape_are_not_compared():
    check(inputs("f[3] 0", "f[3] 1"), inputs("f[4] 7", "f[3] 1"))
    check(inputs("float32[3, 2] 0"), inputs("float16[3, 2] 1"))


def test_ids_rule_over_inputs():
    same, other = ids("a", "b"), ids("a", "c")
    check(same._replace(inputs=["f 0", "f 1"]), same._replace(inputs=["f 2", "f 3"]))
    with pytest.raises(AlignmentError) as error:
        check(same._replace(inputs=["f 0", "f 1"]), other._replace(inputs=["f 0", "f 1"]))
    assert str(error.value) == (
        "batch 2 (first sample 10): the sample ids of model A and model B differ: sample 11 is 'b' "
        "for model A, 'c' for model B. Both must see the same samples in the same order."
    )


def test_the_first_other_input_is_named():
    one = inputs("f[3] 0", "f[3] 1", "f[3] 2", "f[3] 3")
    with pytest.raises(AlignmentError) as error:
        check(one, inputs("f[9] 9", "f[3] 1", "f[3] 9", "f[3] 8"))
    assert str(error.value) == (
        "batch 2 (first sample 10): sample 12 went into model A with other values than into model "
        "B (f[3], hashes 2 and 9). Both must see the same samples in the same order. If each model "
        "has its own preprocessing or tokenizer, give both sides sample_ids."
    )


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        ("a:f[3] 0;b:f[3] 1", "b:f[3] 2;c:f[3] 1", "b: f[3], hashes 1 and 2"),
        ("a:f[3] 0;b:f[3] 1", "a:f[3] 0;b:f[3] 2", "b: f[3], hashes 1 and 2"),
        ("a:f[3] 0;n:i[] 1", "a:f[4] 0;n:i[] 2", "n: i[], hashes 1 and 2"),
        ("a%3Bb:f[3] 0", "a%3Bb:f[3] 1", "a;b: f[3], hashes 0 and 1"),
        ("f[3] 0", "a:f[3] 1", "f[3], hashes 0 and 1"),
        ("a:f[3] 0", "f[3] 1", "f[3], hashes 0 and 1"),
    ],
)
def test_every_input_that_both_have_is_compared(one, two, what):
    with pytest.raises(AlignmentError) as error:
        check(inputs(one), inputs(two))
    assert f"than into model B ({what})." in str(error.value)


def test_inputs_of_other_names_are_not_compared():
    check(inputs("a:f[3] 0;b:f[3] 1"), inputs("b:f[3] 1;c:f[3] 2"))
    check(inputs("f[3] 0"), inputs("a:f[3] 1;b:f[3] 1"))


def test_inputs_are_compared_where_ids_are_repeated():
    check(named("a", "f[3] 0"), named("a", "f[3] 0"))
    for other in (named("a", "f[3] 1"), ids("a")._replace(inputs=["f[3] 1"])):
        with pytest.raises(AlignmentError, match="with other values"):
            check(named("a", "f[3] 0"), other)
        with pytest.raises(AlignmentError, match="with other values"):
            check(other, named("a", "f[3] 0"))
    with pytest.raises(AlignmentError, match="the sample ids of"):
        check(named("a", "f[3] 0"), named("b", "f[3] 0"))


def test_the_third_side_is_checked_too():
    with pytest.raises(AlignmentError, match="of model A and model C differ: sample 10 is 'a'"):
        check(ids("a"), ids("a"), ids("b"))


def test_other_numbers_of_rows():
    with pytest.raises(ShapeError) as error:
        check(Slice([], 5, 2, lengths=(2, 3)), Slice([], 5, 2, lengths=(3, 2)))
    assert str(error.value) == (
        "layer 'layer': 5 rows from model A, 5 from model B, batch 2 (first sample 10); sample 10 "
        "has 2 tokens for model A, 3 for model B. Both models must see the same samples; with "
        "token rows, the same tokens."
    )


@pytest.mark.parametrize(
    ("first", "other", "expected"),
    [
        (ids("a"), ids("a"), "sample_ids"),
        (ids("a"), inputs("f 0"), "counts"),
        (inputs("f[3] 0", "f[4] 0"), inputs("f[9] 0", "f[4] 0"), "inputs"),
        (inputs("f[3] 0"), inputs("f[4] 0"), "counts"),
        (Slice([], 1, 1), Slice([], 1, 1), "counts"),
        (inputs(), inputs(), "counts"),
        (inputs("a:f[3] 0;b:f[3] 1"), inputs("b:f[3] 1;c:f[3] 2"), "inputs"),
        (inputs("a:f[3] 0;b:f[3] 1"), inputs("b:f[4] 1;c:f[3] 2"), "counts"),
        (inputs("a:f[3] 0"), inputs("f[3] 0"), "inputs"),
        (inputs("f[3] 0"), inputs("a:f[3] 0"), "inputs"),
        (inputs("f[3] 0"), inputs("a:f[3] 0;b:f[3] 0"), "counts"),
        (inputs("f[3] 0;1:f[4] 0"), inputs("a:f[3] 0"), "inputs"),
        (inputs("language:i[] 0;x:f[3] 0"), inputs("language:i[] 0;x:f[4] 1"), "counts"),
        (inputs("language:i[] 0;x:i[] 0"), inputs("language:i[] 0;y:i[] 1"), "inputs"),
        (named("a", "f[3] 0"), named("a", "f[3] 0"), "inputs"),
        (named("a", "f[3] 0"), named("a", "f[4] 0"), "counts"),
        (named("a", "f[3] 0"), ids("a"), "counts"),
        (ids("a"), named("a", "f[3] 0"), "counts"),
    ],
)
def test_what_samples_are_matched_by(first, other, expected):
    assert matched_by(first, other) == expected
