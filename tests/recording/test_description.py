import pytest

from hooksim.errors import Note
from hooksim.recording.description import BatchEntry, Description


def description(**options):
    return Description(["a", "b"], [0, 0], [3], ["float64"], None, "Model", **options)


def test_it_grows_batch_by_batch():
    grown = description()
    grown.add(BatchEntry(2, 5, ["x", "y"], ["f 0", "f 1"], [2, 3], [Note("n", "first")]))
    grown.add(BatchEntry(1, 4, ["z"], ["f 2"], [4], positions=[0, 1]))
    assert (grown.n_samples, grown.n_rows, grown.batch_lengths) == (3, 9, [2, 1])
    assert grown.sample_ids == ["x", "y", "z"] and grown.inputs == ["f 0", "f 1", "f 2"]
    assert grown.lengths == [2, 3, 4] and grown.notes == [Note("n", "first")]
    assert (grown.positions, grown.widths, grown.dtypes) == ([0, 1], [3, 3], ["float64"] * 2)
    assert [grown.row_bytes(stored) for stored in (0, 1)] == [9 * 3 * 8] * 2
    assert grown.fault() is None


@pytest.mark.parametrize("order", [1, -1])
def test_what_only_some_batches_have_is_dropped_and_noted(order):
    grown = description()
    entries = [BatchEntry(1, 1, ["x"], ["f 0"]), BatchEntry(1, 1), BatchEntry(1, 1, ["y"])]
    for entry in entries[::order]:
        grown.add(entry)
    assert grown.sample_ids is grown.inputs is grown.lengths is None
    assert sorted(note.code for note in grown.notes) == ["partial_inputs", "partial_sample_ids"]
    assert grown.fault() is None


def test_what_no_batch_has_is_not_noted():
    grown = description()
    for _ in range(2):
        grown.add(BatchEntry(1, 1))
    assert grown.notes == [] and grown.inputs is None


def test_the_end_notes_repeated_ids_once():
    grown = description()
    grown.add(BatchEntry(2, 2, ["x", "x"]))
    grown.close(complete=False)
    grown.close(complete=True)
    assert grown.complete and [note.code for note in grown.notes] == ["repeated_sample_ids"]
