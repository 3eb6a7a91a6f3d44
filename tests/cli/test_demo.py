"""The demo, with a training of a few steps; the whole of it runs where a test is marked slow."""

import json
import random

import numpy as np
import pytest
import torch

from hooksim import Comparison, Trajectory
from hooksim.cli.demo import demonstrate, match_table
from hooksim.cli.main import main
from hooksim.cli.training import CHECKPOINTS, train_digits
from hooksim.errors import HooksimError
from hooksim.loading import load_model


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "demo"
    return out, demonstrate(out, checkpoints=(1, 3))


def test_what_it_leaves(demo):
    out, results = demo
    assert [path.name for path in results] == ["seed-0-vs-seed-1", "early-vs-late", "training"]
    for seed in (0, 1):
        steps = sorted(path.name for path in (out / f"seed-{seed}").iterdir())
        assert steps == ["checkpoint-1", "checkpoint-3", *([] if seed else ["hooksim"])]
    for path in results[:2]:
        assert (path / "cka.png").read_bytes().startswith(b"\x89PNG")
        result = Comparison.load(path)
        assert result.n_samples == 450
        assert result["cka"].layers_a == [f"vit.layers.{index}" for index in range(4)]


def test_the_callback_watched_the_training_and_changed_nothing(demo):
    out, [*_, path] = demo
    trajectory = Trajectory.load(path)
    assert trajectory.steps == [1, 3]
    assert trajectory.metadata["reference_side"]["name"] == "initial"
    drift = trajectory.drift("cka").values
    # The warm-up begins with a step of length 0.
    assert torch.allclose(drift[0], torch.ones(4, dtype=torch.float64))
    assert ((drift[1] > 0.5) & (drift[1] < 1)).all()
    assert (path / "report.html").is_file()
    history = (out / "seed-0" / "hooksim" / "history.jsonl").read_text().splitlines()
    for line, values in zip(map(json.loads, history), drift, strict=True):
        assert line["scalars"]["initial_cka_diagonal_mean"] == pytest.approx(values.mean().item())
    last = load_model(out / "seed-0" / "checkpoint-3").model
    train_digits(out.parent / "unwatched", seed=0, checkpoints=(1, 3))
    unwatched = load_model(out.parent / "unwatched" / "checkpoint-3").model
    for (name, one), other in zip(last.named_parameters(), unwatched.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, msg=name)


def test_early_is_compared_with_late(demo):
    out, [_, early_vs_late, _] = demo
    early, late = (load_model(out / "seed-0" / f"checkpoint-{step}").model for step in (1, 3))
    assert not torch.equal(early.classifier.weight, late.classifier.weight)
    diagonal = Comparison.load(early_vs_late)["cka"].values.diagonal()
    metadata = Comparison.load(early_vs_late).metadata
    assert (metadata["name_a"], metadata["name_b"]) == ("checkpoint-1", "checkpoint-3")
    assert (diagonal > 0.5).all()
    assert (diagonal < 1).all()


def test_it_replaces_its_own_and_leaves_the_rest(demo, monkeypatch):
    monkeypatch.setattr("hooksim.cli.demo._compare", lambda out, *_checkpoints: out)
    out, _ = demo
    before = load_model(out / "seed-1" / "checkpoint-3").model
    (out / "notes.txt").write_text("mine")
    demonstrate(out, checkpoints=(2, 3))
    assert (out / "notes.txt").read_text() == "mine"
    steps = sorted(path.name for path in (out / "seed-1").iterdir())
    assert steps == ["checkpoint-2", "checkpoint-3"]
    after = load_model(out / "seed-1" / "checkpoint-3").model
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=0, msg=name)


def test_seeds_differ_and_the_random_state_is_left_alone(tmp_path):
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    train_digits(tmp_path / "a", seed=0, checkpoints=[1])
    train_digits(tmp_path / "b", seed=1, checkpoints=[1])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    a, b = (load_model(tmp_path / name / "checkpoint-1").model for name in "ab")
    assert not torch.equal(a.vit.layers[0].mlp.fc1.weight, b.vit.layers[0].mlp.fc1.weight)


def test_the_table_shows_each_layer_with_its_match(demo):
    _, [path, *_] = demo
    result = Comparison.load(path)
    lines = match_table(result).splitlines()
    assert lines[0] == "cka: layer of A, closest layer of B, value"
    assert len(lines) == 3 * (1 + 4) + 1
    assert lines[-1].startswith("~ ")
    match = result["cka"].best_match("a")[0]
    line = f"  vit.layers.0  {match.best}  {match.value:6.3f} +- {match.stderr:.3f}"
    assert lines[1] == line + ("" if match.decided else " ~")


@pytest.mark.parametrize("way", ["folder", "file"])
def test_what_no_demo_wrote_stays(tmp_path, capsys, way):
    out = tmp_path / "out"
    if way == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
        words = f"--out: '{out}' holds files that no demo wrote; name another\n"
    else:
        out.write_text("years of work")
        words = f"--out: '{out}' is a file; a folder is needed\n"
    assert main(["demo", "--out", str(out)]) == 2
    assert capsys.readouterr() == ("", words)


def test_without_scikit_learn(tmp_path, capsys, monkeypatch):
    def missing(*_arguments):
        raise HooksimError("scikit-learn is not installed: pip install 'hooksim[demo]'")

    monkeypatch.setattr("hooksim.cli.training.read_digits", missing)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 1
    assert "pip install 'hooksim[demo]'" in capsys.readouterr().err


def test_without_accelerate(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hooksim.cli.training.find_spec", {}.get)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    line = (
        "transformers' Trainer needs accelerate, which is not installed: pip install 'hooksim[dem"
    )
    assert line in error.splitlines()[-1]


def test_nothing_but_the_folders_goes_to_stdout(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hooksim.cli.training.CHECKPOINTS", (1, 2))
    assert main(["demo", "--out", str(tmp_path)]) == 0
    out, error = capsys.readouterr()
    names = ("seed-0-vs-seed-1", "early-vs-late", "training")
    assert out.splitlines() == [str(tmp_path / name) for name in names]
    assert error.splitlines()[-4:-1] == [f"page: {tmp_path / name}/report.html" for name in names]
    assert "% of the run's time; the results are in '" in error


@pytest.mark.slow
def test_the_whole_of_it(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    out, error = capsys.readouterr()
    assert out.splitlines() == [
        str(tmp_path / "seed-0-vs-seed-1"),
        str(tmp_path / "early-vs-late"),
        str(tmp_path / "training"),
    ]
    record = json.loads((tmp_path / "demo.json").read_text())
    assert record["checkpoints"] == list(CHECKPOINTS)
    assert min(record["accuracy"].values()) >= 0.93
    assert "accuracy on unseen digits: 0.9" in error
