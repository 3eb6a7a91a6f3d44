"""A comparison that can be broken off at any batch, and how two results are held together."""

from pathlib import Path

import torch
from safetensors.torch import load_file

__all__ = ["CONFIG", "EVENTS", "assert_same", "leftovers"]

CONFIG = """\
model_a: {kind: python, factory: "events:perceptron", kwargs: {seed: 0}}
model_b: {kind: python, factory: "events:perceptron", kwargs: {seed: 1}}
data: {kind: python, factory: "events:batches"}
block_size: 40
output: result
"""

# What happens at which batch stands in a file that is no part of the configuration.
EVENTS = """\
import os
import signal
import time
from pathlib import Path

import torch
from torch import nn


def shift(name):
    return int(os.environ.get(name, "0"))


def perceptron(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + shift("SEED"))
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def batches():
    words = Path("event").read_text().split()
    what, at, nap = words + ["-1", "0"][len(words) - 1 :]
    generator = torch.Generator().manual_seed(0)
    for number in range(12 - shift("FEWER")):
        time.sleep(float(nap))
        if number == int(at):
            if what == "fails":
                raise ValueError("sample 17 is broken")
            os.kill(os.getpid(), {"int": signal.SIGINT, "term": signal.SIGTERM}[what])
        batch = torch.randn(16, 4, generator=generator)
        first = 16 * number + shift("FIRST")
        yield {"x": batch, "sample_ids": range(first, first + 16)}


def forward(model, batch):
    return model(batch["x"])
"""


def matrices(path):
    return load_file(Path(path) / "matrices.safetensors")


def assert_same(one, other):
    one, other = matrices(one), matrices(other)
    assert one.keys() == other.keys()
    for key, tensor in one.items():
        assert torch.equal(tensor.view(torch.int64), other[key].view(torch.int64)), key


def leftovers(folder):
    names = ("unfinished", "lock")
    return [
        path
        for path in folder.rglob("*")
        if path.name.startswith(".hooksim") or path.suffix == ".tmp" or path.name in names
    ]
