"""A run that is killed at any moment and resumed each time ends as one that was not."""

import os
import random
import signal
from multiprocessing import get_context

import pytest
import torch

from hooksim import Comparison
from hooksim.cli.main import main
from hooksim.comparison.unfinished import Unfinished
from tests.cli.resumed import CONFIG, EVENTS, assert_same, leftovers


@pytest.fixture
def run(folder):
    """Runs the command."""
    (folder / "c.yaml").write_text(CONFIG + 'forward: "events:forward"\n')
    (folder / "events.py").write_text(EVENTS)
    (folder / "event").write_text("none")
    return lambda *words: main(["compare", "c.yaml", "--set=measures=cka", *words])


def _killed_or_done(words, home):
    os.chdir(home)
    torch.set_num_threads(1)
    os._exit(main(words))


def _start(home, *words):
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.cli.test_compare_killed"])
    process = context.Process(
        target=_killed_or_done,
        args=(["compare", "c.yaml", "--set=measures=cka", *words], str(home)),
    )
    process.start()
    return process


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_killed_at_random_moments_and_resumed_is_never_killed(folder, run, kills):
    assert run("--out", "whole") == 0
    (folder / "event").write_text("none -1 0.03")
    chance = random.Random(kills)
    killed = resumed = 0
    while True:
        resumed += Unfinished(folder / "result").is_there
        process = _start(folder, "--resume", "--checkpoint-every=0.01")
        if killed < kills:
            process.join(chance.uniform(0.05, 0.9))
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
        process.join(120)
        if process.exitcode == 0:
            if killed == kills:
                break
            Comparison.load("result")
            for path in sorted((folder / "result").rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        else:
            assert process.exitcode == -signal.SIGKILL
    assert_same("result", "whole")
    assert leftovers(folder) == []
    assert resumed > kills // 4
