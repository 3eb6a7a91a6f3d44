"""The example configurations run as they are, from a folder that holds nothing but them."""

import shutil
from pathlib import Path

import pytest
import yaml

from hooksim import Comparison
from hooksim.cli.main import main
from hooksim.cli.training import train_digits

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """What `hooksim demo` leaves, with less training, under the names of the full one."""
    folder = tmp_path_factory.mktemp("checkpoints") / "demo"
    for seed in (0, 1):
        train_digits(folder / f"seed-{seed}", seed=seed, checkpoints=[1, 12])
        (folder / f"seed-{seed}" / "checkpoint-12").rename(folder / f"seed-{seed}/checkpoint-300")
        (folder / f"seed-{seed}" / "checkpoint-1").rename(folder / f"seed-{seed}/checkpoint-10")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_none_is_forgotten():
    assert {path.name for path in CONFIGS.glob("*.yaml")} == {
        "digits.yaml",
        "seeds.yaml",
        "text.yaml",
    }


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_outputs_go_where_the_repository_ignores_them(path):
    assert yaml.safe_load(path.read_text())["output"] == f"runs/{path.stem}"


def test_digits(checkpoints, place):
    shutil.copytree(checkpoints, "runs/demo")
    assert main(["compare", "configs/digits.yaml"]) == 0
    result = Comparison.load("runs/digits")
    assert result.n_samples == 450
    assert result["cka"].values.shape == (4, 4)
    assert result["information_imbalance_a_to_b"].stderr.isfinite().all()


def test_seeds(checkpoints, place):
    shutil.copytree(checkpoints, "runs/demo")
    assert main(["compare", "configs/seeds.yaml"]) == 0
    result = Comparison.load("runs/seeds")
    assert result.n_samples == 1797
    assert result.metadata["blocks"] == [512, 512, 387, 386]
    layers = [f"vit.layers.{index}" for index in range(4)]
    layers += ["vit.layers.3.attention", "vit.layers.3.mlp"]
    assert result["cka_biased"].layers_a == result["cka"].layers_b == layers
    assert (result["cka_biased"].values > result["cka"].values).all()
    assert result.metadata["warnings"] == []


def test_sorted_digits_warn_as_the_comment_says(checkpoints, place, capsys):
    shutil.copytree(checkpoints, "runs/demo")
    changes = ["--set", "data.order=by_label", "--set", "measures=cka"]
    assert main(["compare", "configs/seeds.yaml", *changes]) == 0
    [warning] = Comparison.load("runs/seeds").metadata["warnings"]
    assert warning["code"] == "order"
    assert f"warning: {warning['text']}" in capsys.readouterr().err


def test_text(place):
    assert main(["compare", "configs/text.yaml"]) == 0
    result = Comparison.load("runs/text")
    assert result.n_samples == 100
    diagonal = result["cka"].values.diagonal()
    assert ((diagonal[:3] - 1).abs() < 1e-6).all()
    assert (diagonal[3:] < 0.95).all()
    assert result.metadata["warnings"] == []


def test_layers_command_of_the_comment(checkpoints, place, capsys):
    shutil.copytree(checkpoints, "runs/demo")
    assert main(["layers", "configs/digits.yaml"]) == 0
    assert "* vit.layers.3 " in capsys.readouterr().out
