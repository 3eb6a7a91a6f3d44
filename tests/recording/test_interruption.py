"""Recordings that do not come to their end: what they leave, and what they do not."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hooksim.errors import ConfigError, HooksimError, LayerNotFoundError
from hooksim.recording import Recording
from tests.capture.tiny_models import Stack
from tests.recording.recorded import DATA, Twice, apart_from, live, recorded, same_bits

ENDLESS = """
import itertools, sys, torch
import hooksim.recording

model = torch.nn.Sequential(torch.nn.Linear(50, 40), torch.nn.Linear(40, 30))
torch.manual_seed(0)
torch.nn.init.ones_(model[0].weight), torch.nn.init.zeros_(model[0].bias)
batches = (torch.full((64, 50), float(i)) for i in itertools.count())
hooksim.recording.record(model, batches, "0", path=sys.argv[1], progress=False)
"""


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_killed_process_leaves_whole_batches_and_no_other_file(tmp_path):
    folder = tmp_path / "deep" / "recording"
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(folder)], env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    try:
        log, deadline = folder / "batches.jsonl", time.monotonic() + 120
        while not log.exists() or log.read_bytes().count(b"\n") < 20:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        running = Recording.load(folder)
        assert not running.complete and running.n_samples >= 19 * 64
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert names(folder) == ["0.bin", "batches.jsonl"]
    assert names(tmp_path) == ["deep"] and names(tmp_path / "deep") == ["recording"]
    recording = Recording.load(folder)
    assert recording.n_samples == 64 * len(recording.batch_lengths) >= running.n_samples
    assert f"incomplete: {recording.n_samples:,} samples" in repr(recording)
    expected = 50 * torch.arange(len(recording.batch_lengths)).repeat_interleave(64).float()
    assert torch.equal(recording["0"], expected[:, None].expand(-1, 40))
    recorded(Stack(2), DATA.split(8), path=folder, overwrite=True)
    assert names(folder) == ["0.bin", "1.bin", "metadata.json"]


def interrupted(batches, after, error=KeyboardInterrupt):
    yield from batches[:after]
    raise error


def test_ctrl_c_leaves_what_was_read(tmp_path):
    folder = tmp_path / "r"
    with pytest.raises(KeyboardInterrupt):
        recorded(Stack(2), interrupted(DATA.split(4), 3), path=folder)
    assert names(folder) == ["0.bin", "1.bin", "metadata.json"]
    recording = Recording.load(folder)
    assert (recording.complete, recording.n_samples) == (False, 12)
    assert [note.code for note in recording.notes] == ["incomplete_recording"]
    assert recording.notes[0].text == "incomplete: it was interrupted after 12 samples"
    assert repr(recording).startswith("Recording of Stack: 2 layers, incomplete: 12 samples, ")


@pytest.mark.parametrize("kept", [False, True], ids=["made by us", "there before"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_end_before_the_first_batch_leaves_nothing(tmp_path, error, kept):
    folder = tmp_path / "a" / "b"
    if kept:
        folder.mkdir(parents=True)
    with pytest.raises(error):
        recorded(Stack(2), interrupted([], 0, error), path=folder)
    assert names(tmp_path) == (["a"] if kept else [])
    assert not kept or names(folder) == []


def test_an_error_while_the_first_batch_is_written_leaves_nothing(tmp_path, monkeypatch):
    def full(file, rows, checksum):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hooksim.recording.folder_store.write_rows", full)
    with pytest.raises(HooksimError, match=r"'.*r': the recording cannot be written: No sp"):
        recorded(Stack(2), DATA.split(4), path=tmp_path / "new" / "r")
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("calls", [5, 6, 7])
def test_half_a_batch_is_cut_off(tmp_path, monkeypatch, calls, error):
    from hooksim.recording.row_files import write_rows

    left = [calls]

    def failing(file, rows, checksum):
        left[0] -= 1
        checksum = write_rows(file, rows[: 2 if left[0] == 0 else None], checksum)
        if left[0] == 0:
            raise error
        return checksum

    monkeypatch.setattr("hooksim.recording.folder_store.write_rows", failing)
    model, batches = Twice(), apart_from(2)
    with pytest.raises((HooksimError, KeyboardInterrupt)):
        recorded(model, batches, "*", path=tmp_path / "r")
    recording = Recording.load(tmp_path / "r")
    assert recording.n_samples == 8 and recording.positions == [0, 0, 1]
    layers, slices = live(model, batches[:2], "*")
    for layer, name in enumerate(layers):
        assert same_bits(recording[name], torch.cat([part.values[layer] for part in slices]))
    assert names(tmp_path / "r") == ["0.bin", "1.bin", "metadata.json"]


def test_a_disk_that_stays_full_leaves_the_log(tmp_path, monkeypatch):
    def full(description):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hooksim.recording.folder_store.document", full)
    with pytest.raises(HooksimError, match="cannot be written: No space left"):
        recorded(Stack(2), DATA.split(4), path=tmp_path / "r")
    assert names(tmp_path / "r") == ["0.bin", "1.bin", "batches.jsonl"]
    recording = Recording.load(tmp_path / "r")  # the log's last line says that it had ended
    assert recording.complete and recording.n_samples == 20


def test_an_older_recording_stays_until_the_first_batch(tmp_path):
    folder = tmp_path / "r"
    before = recorded(Stack(2), DATA.split(4), path=folder)
    with pytest.raises(ConfigError, match="already holds a result"):
        recorded(Stack(2), DATA.split(4), path=folder)
    with pytest.raises(LayerNotFoundError):
        recorded(Stack(2), DATA.split(4), "nothing", path=folder, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        recorded(Stack(2), interrupted([], 0), path=folder, overwrite=True)
    assert Recording.load(folder).n_samples == 20
    kept = before["blocks.0"].clone()
    after = recorded(Stack(1), DATA.split(4), "blocks.0", path=folder, overwrite=True)
    assert names(folder) == ["0.bin", "metadata.json"]
    assert torch.equal(before["blocks.0"], kept)  # whoever reads the old one goes on reading it
    assert not torch.equal(after["blocks.0"], kept)


def test_two_at_once_do_not_write_into_each_other(tmp_path):
    folder = tmp_path / "r"

    def loader():
        yield DATA[:4]
        yield DATA[4:8]
        with pytest.raises(ConfigError, match="already holds a result"):
            recorded(Stack(2), DATA.split(4), path=folder)

    recorded(Stack(2), loader(), path=folder)
    assert Recording.load(folder).n_samples == 8


def test_another_that_began_at_the_same_moment(tmp_path):
    folder = tmp_path / "r"

    def loader():
        recorded(Stack(1), DATA.split(4), "blocks.0", path=folder)
        yield DATA

    with pytest.raises(ConfigError, match="already holds a result"):
        recorded(Stack(2), loader(), path=folder)
    assert Recording.load(folder).layers == ["blocks.0"]
