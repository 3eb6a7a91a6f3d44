"""All pairs of a run's eight checkpoints, as the demo leaves them, from one command."""

from collections import Counter
from functools import wraps
from pathlib import Path

import pytest
import torch
from transformers import ViTForImageClassification

from hooksim.cli.main import main
from hooksim.cli.training import train_digits
from hooksim.results import Trajectory

STEPS = [1, 2, 3, 4, 5, 6, 9, 10]  # 10 is sorted behind 9
CONFIG = Path(__file__).parents[2] / "configs" / "trajectory.yaml"


@pytest.fixture
def passed(monkeypatch):
    """How many samples each model has seen."""
    counts: Counter[ViTForImageClassification] = Counter()
    forward = ViTForImageClassification.forward

    @wraps(forward)
    def counting(self, *given, **named):
        counts[self] += len(named["pixel_values"])
        return forward(self, *given, **named)

    monkeypatch.setattr(ViTForImageClassification, "forward", counting)
    return counts


def test_one_page_and_each_sample_passes_each_checkpoint_once(
    tmp_path, monkeypatch, capsys, passed
):
    monkeypatch.chdir(tmp_path)
    train_digits("runs/demo/seed-0", seed=0, checkpoints=STEPS)
    passed.clear()
    words = ["trajectory", str(CONFIG), "--set", "reference=all", "--out", "out"]
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("8 checkpoints, each loaded once and complete\n")
    passed.clear()
    assert main(words) == 0
    assert capsys.readouterr().err.endswith("page: out/report.html\n")
    assert [path.name for path in Path("out").glob("*.html")] == ["report.html"]
    assert list(passed.values()) == [450] * 8
    result = Trajectory.load("out")
    assert (result.steps, result.n_samples) == (STEPS, 450)
    assert result["cka"].shape == (8, 8, 4, 4)
    assert result["cka"].values.isfinite().all()
    itself = torch.stack([result.at(step, step)["cka"].values.diagonal() for step in STEPS])
    torch.testing.assert_close(itself, torch.ones_like(itself))
