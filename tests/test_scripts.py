"""The scripts are thin: they run, and leave what the library leaves."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

import hooksim
from hooksim.loading import load_model

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *words])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")

    return run


def test_train_digits(script, capsys):
    script("train_digits.py", "run", "--seed", "3", "--checkpoints", "2", "1")
    assert capsys.readouterr().out.startswith("accuracy on unseen digits: 0.")
    assert sorted(path.name for path in Path("run").iterdir()) == ["checkpoint-1", "checkpoint-2"]
    assert load_model("run/checkpoint-2").model.config.num_labels == 10


def test_heatmap(script, capsys):
    models = [torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)) for _ in "ab"]
    hooksim.compare(*models, [torch.randn(20, 4)], measures="cka").save("result")
    script("heatmap.py", "result", "x.png", "--measure", "cka", "--stderr")
    assert capsys.readouterr().out == "x.png\n"
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")
