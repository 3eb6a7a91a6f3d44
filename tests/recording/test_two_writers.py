"""Two who record into one folder: one of them does, and nothing is mixed."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hooksim.errors import ConfigError, HooksimError
from hooksim.recording import Recording
from hooksim.recording.folder import LOG, METADATA
from hooksim.recording.log_lock import is_held, lock_log
from tests.capture.tiny_models import Stack
from tests.recording.recorded import DATA, recorded

SLOW = """
import sys, time, torch
import hooksim.recording

model = torch.nn.Sequential(torch.nn.Linear(3, 4))
torch.nn.init.zeros_(model[0].weight), torch.nn.init.constant_(model[0].bias, float(sys.argv[2]))

def loader():
    for _ in range(int(sys.argv[3])):
        yield torch.zeros(5, 3)
        time.sleep(0.02)

try:
    hooksim.recording.record(
        model, loader(), path=sys.argv[1], overwrite=True, progress=False
    )
except hooksim.HooksimError as error:
    sys.exit(str(error))
"""


def start(folder, value, count):
    command = [sys.executable, "-c", "import hooksim\n" + SLOW, str(folder), str(value), str(count)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_batches(process, folder, count=3):
    deadline = time.monotonic() + 120
    while not (folder / LOG).exists() or (folder / LOG).read_bytes().count(b"\n") <= count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_of_two_processes_that_overwrite_one_is_refused(tmp_path):
    folder = tmp_path / "r"
    first = start(folder, 1, 200)
    try:
        wait_for_batches(first, folder)
        second = start(folder, 2, 5)
        _, said = second.communicate(timeout=120)
        assert second.returncode == 1
        assert said == f"'{folder}': somebody else records there now. Choose another folder.\n"
        assert first.wait(timeout=120) == 0
    finally:
        first.kill()
        first.communicate()
    recording = Recording.load(folder)
    assert recording.complete and recording.n_samples == 1000
    assert torch.equal(recording["0"], torch.ones(1000, 4))
    assert names(folder) == ["0.bin", METADATA]


def test_two_processes_that_begin_at_once(tmp_path):
    folder = tmp_path / "r"
    both = [start(folder, value, 40) for value in (1, 2)]
    for process in both:
        process.communicate(timeout=120)
    assert 0 in [process.returncode for process in both]
    recording = Recording.load(folder)
    assert recording.complete and recording.n_samples == 200 and recording["0"].std() == 0
    assert names(folder) == ["0.bin", METADATA]


def test_a_killed_process_holds_nothing(tmp_path):
    folder = tmp_path / "r"
    process = start(folder, 1, 9999)
    wait_for_batches(process, folder)
    assert is_held(folder / LOG)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not is_held(folder / LOG)
    assert recorded(Stack(2), DATA.split(4), path=folder, overwrite=True).n_samples == 20
    assert names(folder) == ["0.bin", "1.bin", METADATA]


def while_recording(folder, act, **options):
    def loader():
        yield from DATA.split(8)[:2]
        act()
        yield DATA[:4]

    return recorded(Stack(2), loader(), path=folder, **options)


def test_nobody_else_may_overwrite_or_save_there_meanwhile(tmp_path):
    folder = tmp_path / "r"

    def act():
        other = Recording.from_tensors({"x": DATA})
        message = r"r': somebody else records there now\. Choose another folder\."
        with pytest.raises(ConfigError, match=message):
            recorded(Stack(1), DATA.split(4), path=folder, overwrite=True)
        with pytest.raises(ConfigError, match=message):
            other.save(folder, overwrite=True)

    assert while_recording(folder, act).n_samples == 20
    assert Recording.load(folder).layers == ["blocks.0", "blocks.1"]


def test_one_who_began_before_the_first_batch_of_another(tmp_path):
    folder = tmp_path / "r"
    recorded(Stack(2), DATA.split(4), path=folder)
    held = []

    def loader():
        held.append(lock_log(folder / LOG))
        yield DATA

    with pytest.raises(ConfigError, match="somebody else records there now"):
        recorded(Stack(1), loader(), path=folder, overwrite=True)
    held[0].close()
    (folder / LOG).unlink()
    assert Recording.load(folder).n_samples == 20


@pytest.mark.parametrize("end", ["finish", "abandon"])
def test_a_folder_that_somebody_else_has_taken_is_not_touched(tmp_path, end):
    folder, kept = tmp_path / "r", {}

    def act():
        folder.rename(tmp_path / "away")
        recorded(Stack(1), DATA.split(4), "blocks.0", path=folder)
        kept.update({file.name: file.read_bytes() for file in folder.iterdir()})
        if end == "abandon":
            raise KeyboardInterrupt

    def run():
        while_recording(folder, act)

    if end == "abandon":
        with pytest.raises(KeyboardInterrupt):
            run()
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == kept
        return
    with pytest.raises(HooksimError, match=r"r': its batches.jsonl is not the one that was begun"):
        run()


def test_rows_that_somebody_else_has_cut_are_not_filled_with_zeros(tmp_path):
    folder = tmp_path / "r"
    with pytest.raises(HooksimError) as error:
        while_recording(folder, lambda: os.truncate(folder / "1.bin", 10))
    assert str(error.value).startswith(f"'{folder}': the recording cannot be written: 1.bin holds ")
    assert "somebody else has changed it" in str(error.value)
    assert names(folder) == ["0.bin", "1.bin", LOG]
    assert not is_held(folder / LOG)


@pytest.mark.parametrize("beside", [False, True])
def test_an_empty_log_left_by_a_crash_is_overwritten(tmp_path, beside):
    folder = tmp_path / "r"
    folder.mkdir()
    if beside:
        recorded(Stack(1), DATA.split(4), path=folder)
    (folder / LOG).touch()
    if beside:
        assert Recording.load(folder).n_samples == 20
    else:
        with pytest.raises(HooksimError, match=r"no batch was written: batches\.jsonl is empty"):
            Recording.load(folder)
    with pytest.raises(ConfigError, match="already holds a result"):
        recorded(Stack(2), DATA.split(4), path=folder)
    recorded(Stack(2), DATA.split(4), path=folder, overwrite=True)
    assert names(folder) == ["0.bin", "1.bin", METADATA]


def test_an_empty_log_beside_foreign_files_is_not(tmp_path):
    (tmp_path / LOG).touch()
    (tmp_path / "0.bin").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds files that are not part of .*'0\.bin'"):
        recorded(Stack(2), DATA.split(4), path=tmp_path, overwrite=True)
    assert names(tmp_path) == ["0.bin", LOG]


def test_a_system_without_locks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    recorded(Stack(1), DATA.split(4), path=tmp_path / "r")
    recorded(Stack(2), DATA.split(4), path=tmp_path / "r", overwrite=True)
    assert names(tmp_path / "r") == ["0.bin", "1.bin", METADATA]
    assert not is_held(tmp_path / "r" / METADATA)


def test_a_disk_without_locks(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert recorded(Stack(1), DATA.split(4), path=tmp_path / "r").n_samples == 20
