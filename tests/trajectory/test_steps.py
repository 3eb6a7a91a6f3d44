"""Steps read off the names of checkpoints."""

from pathlib import Path

import numpy as np
import pytest

from hooksim.errors import ConfigError
from hooksim.trajectory import step_of, steps_of


@pytest.mark.parametrize(
    ("checkpoint", "step"),
    [
        (0, 0),
        (np.int64(7), 7),
        ("300", 300),
        ("runs/demo/seed-0/checkpoint-300", 300),
        (Path("runs/seed-0/checkpoint-300/"), 300),
        ("step_000300.pt", 300),
        ("step1000", 1000),
        ("stage1-step1000-tokens4B", 1000),
        ("epoch=3-step=400.ckpt", 400),
        ("epoch=3.ckpt", 3),
        ("iter_12.safetensors", 12),
        ("Checkpoint-12", 12),
        ("runs/step-5/model.safetensors", 5),
        ("runs/step-5/checkpoint-7", 7),
        ("runs/seed-3", "runs/seed-3"),
        ("model-v2.pt", "model-v2.pt"),
        ("main", "main"),
        (True, "True"),
        (2.5, "2.5"),
    ],
)
def test_one_step(checkpoint, step):
    assert step_of(checkpoint) == step
    assert type(step_of(checkpoint)) is type(step)


def test_all_steps_keep_their_order():
    assert steps_of(["checkpoint-30", "final", "checkpoint-4"]) == [30, "final", 4]


@pytest.mark.parametrize("twice", [[3, 3], [3, "3"], ["step-1", "checkpoint-1"], ["x", "x"]])
def test_a_step_twice_is_refused(twice):
    with pytest.raises(ConfigError, match=r"are both step (3|1|'x')\. Give every step once"):
        steps_of(twice)
