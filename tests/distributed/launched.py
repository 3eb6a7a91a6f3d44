"""What the processes of a launched command do; light, since each of them imports it anew."""

import contextlib
import io
import os
import pickle
from pathlib import Path

import torch

from hooksim.cli.main import main

__all__ = ["CONFIG", "EVENTS", "run_commands"]

CONFIG = """\
model_a: {kind: python, factory: "launched_events:perceptron", kwargs: {seed: 0}}
model_b: {kind: python, factory: "launched_events:perceptron", kwargs: {seed: 1}}
data: {kind: python, factory: "launched_events:batches"}
measures: cka
block_size: 400
output: result
forward: "launched_events:forward"
"""

# What happens to which process, at which batch, stands in a file.
EVENTS = """\
import os
import signal
import time
from pathlib import Path

import torch
from torch import nn


def happened(number):
    what, rank, at = Path("event").read_text().split()
    rank_is_it = rank in ("all", os.environ.get("RANK", "0"))
    if not rank_is_it or number != int(at):
        return
    if what == "fails":
        raise ValueError("sample 17 is broken")
    if what in ("INT", "TERM", "KILL"):
        os.kill(os.getpid(), getattr(signal, "SIG" + what))
        time.sleep(0.2)


def perceptron(seed):
    happened(-1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def batches():
    generator = torch.Generator().manual_seed(0)
    for number in range(12):
        time.sleep(0.02)
        happened(number)
        first = 16 * number
        x = torch.randn(16, 4, generator=generator)
        yield {"x": x, "sample_ids": range(first, first + 16)}


def forward(model, batch):
    return model(batch["x"])
"""


def run_commands(rank, size, folder, commands):
    """Run commands one after the other as torchrun would; write down code, stdout and stderr."""
    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1"
    )
    found = []
    for event, port, words in commands:
        if rank == 0:
            Path("event.next").write_text(event)
            Path("event.next").replace(f"event-{port}")
        while not Path(f"event-{port}").exists():
            pass
        Path(f"event.{rank}").write_text(event)
        Path(f"event.{rank}").replace("event")
        os.environ["MASTER_PORT"] = str(port)
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = main(words)
        found.append((code, out.getvalue(), error.getvalue()))
        Path(f"found-{rank}").write_bytes(pickle.dumps(found))
