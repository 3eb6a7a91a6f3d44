"""Steps read off the names of checkpoints."""

from pathlib import Path

import numpy as np
import pytest

from hooksim.errors import ConfigError
from hooksim.trajectory import in_order, step_of, steps_of


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
        ("runs/100/model.safetensors", 100),
        ("runs/step-5/100/model.safetensors", 5),
        (Path("model_100.safetensors"), 100),
        ("100/model_2.pt", 100),
        ("model_0.5.pt", "model_0.5.pt"),
        ("llama-7b", "llama-7b"),
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


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["2024/1/m.pt", "2024/3/m.pt"], [1, 3]),
        (["2024/a/model_1.pt", "2024/a/model_3.pt"], [1, 3]),
        (["bert-12-64_20.pt", "bert-12-64_100.pt"], [20, 100]),
        (["model20.pt", "model100.pt"], [20, 100]),
        (["7/best.pt", "7/last.pt", "8/x.pt"], ["7/best.pt", "7/last.pt", 8]),
        (["seed-1", "seed-2"], ["seed-1", "seed-2"]),
        (["a1-b1", "a2-b2"], ["a1-b1", "a2-b2"]),
        (["a0.25", "a0.5"], ["a0.25", "a0.5"]),
        (["3/step-1", "4/step-1"], None),
        (["step1.pt", "step2.pt", "m_1.pt", "m_2.pt"], None),  # two families of one run's weights
    ],
)
def test_the_only_number_that_varies(names, steps):
    if steps is None:
        with pytest.raises(ConfigError, match="are both step"):
            steps_of(names)
    else:
        assert steps_of(names) == steps


@pytest.mark.parametrize(
    "names",
    [
        ["runs/100/m.pt", "runs/200/m.pt", "runs/1000/m.pt"],
        ["model_100.safetensors", "model_200.safetensors", "model_1000.safetensors"],
        ["model100.bin", "model200.bin", "model1000.bin"],
        ["checkpoint-9", "checkpoint-10", "best", "seed-2", "seed-10"],
        ["a2-b10", "a10-b2"],
    ],
)
def test_numbers_are_sorted_as_numbers(names):
    assert in_order(sorted(names)) == in_order(names[::-1]) == names
