"""A folder with a small comparison in it: models from a factory, data from arrays."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

CONFIG = """\
model_a: {kind: python, factory: "small_models:perceptron", kwargs: {seed: 0}}
model_b: {kind: python, factory: "small_models:perceptron", kwargs: {seed: 1}}
data: {kind: npz, path: points.npz, batch_size: 16}
output: result
"""

MODELS = """\
import torch
from torch import nn


def perceptron(seed, width=6):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def batches(count, error=None):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield torch.randn(16, 4, generator=generator)
    if error == "interrupt":
        raise KeyboardInterrupt
    if error:
        raise RuntimeError("the disk is gone\\nand more lines")


def second_element(model, batch):
    return model(batch[1])


def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "small_models.py").write_text(MODELS)
    points = np.random.default_rng(0).normal(size=(40, 4))
    np.savez(tmp_path / "points.npz", points=points)
    return tmp_path


RUN = """\
checkpoints: {kind: python, factory: "small_models:perceptron", kwargs: {seed: 0}, weights: "w/*"}
data: {kind: npz, path: points.npz, batch_size: 16}
measures: cka
output: result
"""


@pytest.fixture
def weights(folder, monkeypatch):
    """A run of four checkpoints, beside the small comparison."""
    monkeypatch.syspath_prepend(folder)
    from small_models import perceptron

    (folder / "t.yaml").write_text(RUN)
    (folder / "w").mkdir()
    for step in (2, 10, 100, 300):
        save_file(perceptron(step).state_dict(), f"w/step-{step}.safetensors")
    return folder
