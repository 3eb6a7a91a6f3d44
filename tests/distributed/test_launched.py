"""`hooksim compare` in several processes, as torchrun starts them: one result, or one error."""

import os
import pickle
import signal
import socket
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hooksim import Comparison
from hooksim.cli.main import main
from tests.distributed.launched import CONFIG, EVENTS, run_commands
from tests.distributed.processes import PRELOADED

NOTHING = "none all 0"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a configuration, and the result of one process."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "launched_events.py").write_text(EVENTS)
    (folder / "event").write_text(NOTHING)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["compare", "c.yaml", "--out", "whole"]) == 0
    finally:
        os.chdir(before)
    return folder


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def launch(home, size, *commands):
    """For each process the code, stdout and stderr of each command, as far as it came."""
    ports = free_ports(len(commands))
    listed = [
        (event, port, ["compare", "c.yaml", *words])
        for (event, *words), port in zip(commands, ports, strict=True)
    ]
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    started = [
        context.Process(target=run_commands, args=(rank, size, str(home), listed))
        for rank in range(size)
    ]
    for rank, process in enumerate(started):
        (home / f"found-{rank}").unlink(missing_ok=True)
        process.start()
    for process in started:
        process.join(60)
    alive = [rank for rank, process in enumerate(started) if process.is_alive()]
    for rank in alive:
        started[rank].kill()
    assert not alive, f"processes {alive} of {size} hang"
    files = [home / f"found-{rank}" for rank in range(size)]
    return [pickle.loads(file.read_bytes()) if file.exists() else [] for file in files]


def assert_like_one(home, name):
    one = load_file(home / "whole" / "matrices.safetensors")
    several = load_file(home / name / "matrices.safetensors")
    for key, tensor in one.items():
        torch.testing.assert_close(several[key], tensor, rtol=0, atol=1e-9)
    assert Comparison.load(home / name).n_samples == 192


def test_one_result_or_one_error(home):
    first, second = launch(
        home,
        2,
        (NOTHING, "--out", "several"),
        ("fails 1 5", "--out", "failed"),
        ("fails 0 -1", "--out", "failed"),
        (NOTHING, "--out", "failed", "--set=block_size=3"),
        ("INT all 7", "--out", "again"),
        (NOTHING, "--out", "again", "--resume"),
        (NOTHING, "--out", "again", "--resume"),
        (NOTHING, "--dry-run"),
    )
    assert [code for code, _, _ in first] == [0, 1, 1, 2, 130, 0, 0, 0]
    assert [code for code, _, _ in second] == [code for code, _, _ in first]
    assert [out for _, out, _ in second] == [""] * 8
    assert first[0][1] == "several\n"
    assert_like_one(home, "several")
    lines = [one + two for (_, _, one), (_, _, two) in zip(first, second, strict=True)]
    told = (
        "ValueError: sample 17 is broken; in the loader, batch 5 (first sample 80, after the one "
        "with id '79'); in process 1 of the group (-v shows where)\n"
    )
    assert lines[1].replace("; in process 1 of the group", "") == told.replace(
        "; in process 1 of the group", ""
    )
    assert lines[2].count("\n") == 1 and "sample 17 is broken" in lines[2]
    assert lines[3].count("\n") == 1 and lines[3].startswith("c.yaml: block_size: CKA")
    assert not (home / "failed").exists()
    assert lines[4] == "again: the run is kept there; --resume goes on with it\ninterrupted\n"
    assert "again: goes on after 112 samples\n" in lines[5]
    assert_like_one(home, "again")
    assert lines[6].startswith("again: the result is complete already, nothing is left to do\n")
    assert first[7][1].startswith("model A (Sequential), 2 layers")
    assert not (home / "again" / "unfinished").exists()


def test_a_process_that_is_killed_ends_all_and_the_run_goes_on(home, monkeypatch, capsys):
    found = launch(home, 2, ("KILL 1 7", "--out", "killed", "--checkpoint-every=0"))
    assert found[1] == []
    [(code, _, error)] = found[0]
    kept = "killed: the run is kept there; --resume goes on with it\n"
    assert code == 1 and error.startswith(kept)
    error = error.removeprefix(kept)
    assert error.startswith("HooksimError: process ") and error.count("\n") == 1
    assert "has ended" in error
    monkeypatch.chdir(home)
    assert main(["compare", "c.yaml", "--out", "killed", "--resume"]) == 2
    told = "the number of processes: 2 in the run that was saved in 'killed/unfinished', 1 now."
    assert capsys.readouterr().err.startswith(told)
    resumed = launch(home, 2, (NOTHING, "--out", "killed", "--resume"))
    assert [each[0][0] for each in resumed] == [0, 0]
    assert "goes on after" in resumed[0][0][2]
    assert_like_one(home, "killed")


def test_torchrun(home):
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*words, "-m", "hooksim", "compare", "c.yaml", "--out", "torchrun"],
        cwd=home,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "torchrun\n"), done.stderr
    assert done.stderr.count("page: torchrun/report.html") == 1
    assert_like_one(home, "torchrun")


@pytest.mark.parametrize("command", ["trajectory", "layers", "demo"])
def test_other_commands_run_in_one_process(monkeypatch, capsys, command):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = [] if command == "demo" else ["c.yaml"]
    assert main([command, *words]) == 2
    told = f"hooksim {command}: 2 processes were started, but it runs in one. Start it without"
    assert capsys.readouterr().err.startswith(told)


def test_processes_that_do_not_find_each_other(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert main(["compare", "c.yaml", "--out", "lost"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("processes: they cannot be joined: ") and error.count("\n") == 1
    assert "MASTER_ADDR" in error


def test_sigterm_says_why_it_may_have_come(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    (home / "event").write_text("TERM all 3")
    assert main(["compare", "c.yaml", "--out", "ended"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err.endswith("goes on with it\nterminated\n")
