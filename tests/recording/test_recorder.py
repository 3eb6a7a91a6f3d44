"""Recorders of live sides: in memory, over a budget, on disk."""

import gc
import tempfile
from pathlib import Path

import pytest
import torch

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.stream import stream
from hooksim.errors import HooksimError
from hooksim.recording import Recorder, Recording
from tests.capture.tiny_models import Stack, text_batch, tiny
from tests.recording.recorded import DATA, Twice, apart_from, live, same_bits

DESCRIPTORS = Path("/proc/self/fd")
counts_files = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="no way to count open files")


def opened() -> int:
    return len(list(DESCRIPTORS.iterdir()))


def gathered(model, loader, layers=None, rows="auto", **options):
    """A recording of one of two views, as a run makes it."""
    views = [View("A", layers, Rows(rows)), View("B", layers, Rows(rows))]
    with ModelReader(model, views) as reader, Recorder(reader, 1, **options) as recorder:
        for slices in stream([reader], loader, lambda _: None):
            recorder.put(slices[1])
        return recorder.finish()


@pytest.mark.parametrize("budget", [None, 0, 300, 10**9])
@pytest.mark.parametrize("apart", [2, 9])
def test_whatever_the_budget_rows_are_the_same(budget, apart):
    model, loader = Twice().double(), [each.double() for each in apart_from(apart)]
    recording = gathered(model, loader, "*", budget=budget)
    names, slices = live(model, loader, "*")
    for layer, name in enumerate(names):
        assert same_bits(recording[name], torch.cat([part.values[layer] for part in slices]))
    assert len(recording.tensors) == (3 if apart == 2 else 2)
    assert recording.inputs is None and recording.rows is None and recording.path is None


def test_token_rows_over_a_budget():
    batches = [text_batch([3, 5, 2]), text_batch([4, 4])]
    options = {"layers": "encoder.layer.0", "rows": "token"}
    recording = gathered(tiny("Bert"), batches, **options, budget=100)
    _, slices = live(tiny("Bert"), batches, **options)
    assert same_bits(recording.tensors[0], torch.cat([part.values[0] for part in slices]))
    assert recording.lengths == [3, 5, 2, 4, 4]


@counts_files
def test_files_over_a_budget_have_no_name_and_do_not_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = opened()
    recording = gathered(Stack(3), DATA.split(4), budget=50)
    assert list(tmp_path.iterdir()) == []
    assert recording["blocks.2"].shape == (20, 4)
    recording.tensors[0][0] = 7  # a private file: nothing else changes
    del recording
    gc.collect()
    assert opened() == before


@counts_files
def test_an_error_lets_go_of_the_files():
    before = opened()

    def loader():
        yield from DATA.split(4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gathered(Stack(3), loader(), budget=50)
    assert opened() == before


@counts_files
def test_a_recorder_that_is_dropped_lets_go_of_the_files():
    before = opened()
    with ModelReader(Stack(3), [View("A")]) as reader:
        recorder = Recorder(reader, budget=50)
        for [part] in stream([reader], DATA.split(4), lambda _: None):
            recorder.put(part)
    assert opened() == before + 3
    del recorder
    gc.collect()
    assert opened() == before


def test_too_many_files_is_one_line(monkeypatch):
    files = []

    def few():
        if len(files) == 2:
            raise OSError(24, "Too many open files")
        files.append(tempfile.TemporaryFile())  # noqa: SIM115
        return files[-1]

    monkeypatch.setattr("hooksim.recording.held_rows.TemporaryFile", few)
    with pytest.raises(HooksimError) as error:
        gathered(Stack(3), DATA.split(4), budget=50)
    assert str(error.value) == (
        "the rows exceed memory_budget, and there is no temporary file for them: Too many open "
        "files. Select fewer layers, allow more open files (ulimit -n), or record to a path."
    )
    assert all(file.closed for file in files)


def test_without_finish_there_is_no_recording(tmp_path):
    with ModelReader(Stack(2), [View("A")]) as reader:
        with Recorder(reader, path=tmp_path / "r") as recorder:
            for [part] in stream([reader], DATA.split(4), lambda _: None):
                recorder.put(part)
        assert recorder.n_samples == 20
    assert not Recording.load(tmp_path / "r").complete


@pytest.mark.parametrize("fails", ["write_rows", "map_open_file"])
def test_a_full_disk_of_temporary_files_is_one_line(monkeypatch, fails):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"hooksim.recording.held_rows.{fails}", full)
    with pytest.raises(HooksimError) as caught:
        gathered(Stack(3), DATA.split(4), budget=50)
    assert str(caught.value) == (
        "the rows exceed memory_budget, and cannot be written to a temporary file: No space left "
        "on device. Select fewer layers, make room, or name a larger disk by the environment "
        "variable TMPDIR."
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_what_cannot_be_written_at_last_is_no_second_error(monkeypatch):
    def full_disk():
        return Path("/dev/full").open("wb")

    monkeypatch.setattr("hooksim.recording.held_rows._nameless_file", full_disk)
    with pytest.raises(HooksimError, match="cannot be written to a temporary file: No space left"):
        gathered(Stack(3), DATA.split(4), budget=50)
    gc.collect()
