"""A recording as a side, held against the live model that it stands for."""

import pytest
import torch

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.side import Reader
from hooksim.capture.slices import BatchPosition
from hooksim.capture.stream import stream
from hooksim.errors import AlignmentError, ConfigError, LayerNotFoundError, ShapeError
from hooksim.recording import Recording, RecordingReader, layers_for_other_recording
from tests.capture.tiny_models import Stack, text_batch, tiny
from tests.recording.recorded import DATA, Twice, live, recorded, same_bits

TEXT = [text_batch([3, 5, 2]), text_batch([4, 4], total=6), text_batch([1])]
START = BatchPosition(0, 0)


def keep(joins_next):
    return None


def reader_of(recording, *views):
    return RecordingReader(recording, views or [View("A")])


def read(reader, sizes, reduce=None):
    return list(stream([reader], [range(size) for size in sizes], lambda _: reduce))


def test_it_has_all_that_the_loop_asks_for():
    reader: Reader = reader_of(recorded(Stack(2), [DATA]))
    assert reader.titles == ["recording A (Stack)"]
    assert reader.names(0) == ["blocks.0", "blocks.1"]


@pytest.mark.parametrize("rows", ["mean", "token"])
def test_slices_are_those_of_the_live_model(rows):
    recording = recorded(tiny("Bert"), TEXT, None, rows)
    _, slices = live(tiny("Bert"), TEXT, None, rows)
    with reader_of(recording) as reader:
        found = [part for [part] in stream([reader], TEXT, keep)]
    for part, expected in zip(found, slices, strict=True):
        assert all(map(same_bits, part.values, expected.values))
        assert part._replace(values=[], groups=None) == expected._replace(values=[], groups=None)
        assert (part.groups is None) == (expected.groups is None) == (rows == "mean")
        if part.groups is not None:
            assert part.groups.dtype == torch.int64 and torch.equal(part.groups, expected.groups)


def test_any_cut_of_the_samples_gives_the_same_rows():
    recording = recorded(tiny("Bert"), TEXT, "encoder.layer.1", "token")
    whole = recording["encoder.layer.1"]
    for sizes in ([6], [1, 1, 1, 1, 1, 1], [4, 2]):
        parts = [part for [part] in read(reader_of(recording), sizes)]
        assert torch.equal(torch.cat([part.values[0] for part in parts]), whole)
        assert sum((part.lengths for part in parts), ()) == (3, 5, 2, 4, 4, 1)
        assert [len(part.groups.unique()) for part in parts] == sizes


def test_shared_layers_are_one_object_and_reduced_once_for_all_views():
    recording = recorded(Twice(), [DATA], "*")
    reduced = []

    def reduce(rows, groups):
        reduced.append(rows.shape)
        return [rows.shape]

    reader = reader_of(recording, View("A", ["same", "last"]), View("B"))
    [a, b] = reader.read(range(5), reduce, START)
    assert reduced == [(5, 3), (5, 2)]
    assert a.values[0] is b.values[0] is b.values[1] and a.values[1] is b.values[2]
    [a, b] = reader.whole(20)
    assert a.values[0] is b.values[0] is b.values[1]
    assert a.values[0].data_ptr() == recording["first"].data_ptr() and a.items == 20


def test_views_select_and_keep_layers():
    recording = recorded(Stack(3), [DATA], "blocks.*")
    reader = reader_of(recording, View("A", ["blocks.2", "blocks.0"]), View("B", "re:.*[12]"))
    assert reader.titles == ["recording A (Stack)", "recording B (Stack)"]
    assert (reader.names(0), reader.names(1)) == (
        ["blocks.2", "blocks.0"],
        ["blocks.1", "blocks.2"],
    )
    for view in (0, 1):
        reader.keep(view, ["blocks.2"])
    [a, b] = reader.read(range(20), None, START)
    assert reader.names(0) == reader.names(1) == ["blocks.2"] and a.values[0] is b.values[0]
    assert same_bits(a.values[0], recording["blocks.2"])


def test_layers_that_are_not_recorded():
    recording = recorded(Stack(3), [DATA], "blocks.*")
    with pytest.raises(LayerNotFoundError) as error:
        reader_of(recording, View("B", "block.1"))
    assert str(error.value) == (
        "no layer of recording B (Stack) matches 'block.1'. Close names: 'blocks.1', 'blocks.2', "
        "'blocks.0'. recording.layers shows all."
    )
    assert layers_for_other_recording("blocks.1", recording) == "blocks.1"
    assert layers_for_other_recording(["blocks.1", "head"], recording) is None


def test_rows_must_be_the_recorded_ones():
    recording = recorded(Stack(2), [DATA], rows=Rows("mean", normalize=True))
    reader_of(recording, View("A", None, Rows()))
    reader_of(recording, View("A", None, Rows("mean", normalize=True)))
    with pytest.raises(ConfigError) as error:
        reader_of(recording, View("A", None, Rows("cls")))
    assert str(error.value).startswith(
        "rows: recording A (Stack) holds rows by Rows(policy='mean', normalize=True, "
    )
    assert str(error.value).endswith(
        ", which cannot become rows by 'cls'. Give 'auto' for that side: rows=(A's, B's)."
    )
    features = Recording.from_tensors({"x": DATA})
    reader_of(features)
    with pytest.raises(ConfigError) as error:
        reader_of(features, View("B", None, Rows("cls")))
    assert str(error.value) == (
        "rows: recording B (features) holds rows as they were given, which cannot become rows by "
        "'cls'. Give 'auto' for that side: rows=(A's, B's)."
    )


def test_a_batch_beyond_the_recording():
    reader = reader_of(recorded(Stack(2), DATA.split(8)))
    with pytest.raises(AlignmentError) as error:
        read(reader, [12, 12])
    assert str(error.value) == (
        "batch 1 (first sample 12): it reaches to sample 23, but recording A (Stack) holds 20 "
        "samples. Both sides must be of the same samples in the same order; max_samples=20 reads "
        "no more."
    )


def test_data_that_end_before_the_recording():
    reader = reader_of(recorded(Stack(2), DATA.split(8)))
    reader.finish(20)
    with pytest.raises(AlignmentError) as error:
        reader.finish(12)
    assert str(error.value) == (
        "the data end after 12 samples, but recording A (Stack) holds 20 samples. Both sides must "
        "be of the same samples in the same order; max_samples=12 compares only the first of them."
    )


def test_an_incomplete_recording_says_so(tmp_path):
    def loader():
        yield from DATA.split(4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorded(Stack(2), loader(), path=tmp_path)
    reader = reader_of(Recording.load(tmp_path))
    [warning] = reader.warnings
    assert warning not in reader.notes
    assert warning == (
        "incomplete_recording",
        "recording A (Stack): incomplete: it was interrupted after 20 samples",
    )
    with pytest.raises(AlignmentError, match=r"recording A \(Stack\), incomplete, holds 20 sampl"):
        read(reader, [24])


def against(recording, model, loader, **options):
    with (
        RecordingReader(recording, [View("A")]) as one,
        ModelReader(model, [View("B")], fingerprint=True, side="b", **options) as two,
    ):
        return list(stream([one, two], loader, keep))


def test_the_same_data_are_aligned_and_other_data_are_not():
    model = Stack(2)
    recording = recorded(model, DATA.split(8))
    for [one, two] in against(recording, model, DATA.split(5)):
        assert all(map(same_bits, one.values, two.values))
    other = DATA.clone()
    other[[9, 10]] = other[[10, 9]]
    with pytest.raises(AlignmentError) as error:
        against(recording, model, other.split(5))
    hashes = [recording.inputs[place].split()[-1] for place in (9, 10)]
    assert str(error.value) == (
        "batch 1 (first sample 5): sample 9 went into recording A with other values than into "
        f"model B (float32[4], hashes {hashes[0]} and {hashes[1]}). Both must see the same samples "
        "in the same order. If each model has its own preprocessing or tokenizer, give both sides "
        "sample_ids."
    )


def test_inputs_padded_otherwise_are_not_compared():
    model = tiny("Bert")
    recording = recorded(model, [text_batch([3, 5, 2])], "encoder.layer.0")
    against(recording, model, [text_batch([3, 5, 2], total=8)])
    other = text_batch([3, 5, 2])
    other["input_ids"] = other["input_ids"].flip(0)
    with pytest.raises(AlignmentError, match="sample 0 went into recording A with other values"):
        against(recording, model, [other])


def test_ids_rule_where_both_sides_have_them():
    first = Recording.from_tensors({"x": DATA}, sample_ids=range(20))
    second = Recording.from_tensors({"y": DATA}, sample_ids=[*range(18), 19, 18])
    readers = [reader_of(first), reader_of(second, View("B"))]
    with pytest.raises(AlignmentError) as error:
        list(stream(readers, [range(10), range(10)], keep))
    assert str(error.value) == (
        "batch 1 (first sample 10): the sample ids of recording A and recording B differ: sample "
        "18 is '18' for recording A, '19' for recording B. Both must see the same samples in the "
        "same order."
    )


def test_other_numbers_of_token_rows():
    first = recorded(tiny("Bert"), [text_batch([3, 5])], "encoder.layer.0", "token")
    second = recorded(tiny("Bert"), [text_batch([3, 4])], "encoder.layer.0", "token")
    readers = [reader_of(first), reader_of(second, View("B"))]
    with pytest.raises(
        ShapeError, match="sample 1 has 5 tokens for recording A, 4 for recording B"
    ):
        list(stream(readers, [range(2)], keep))
