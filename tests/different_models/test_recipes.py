"""The README's recipes run as they stand, from a folder that holds what they name."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hooksim import Comparison
from hooksim.cli.main import main
from hooksim.cli.pictures import find_pictures

ROOT = Path(__file__).parents[2]
CONFIG = re.compile(r"^```yaml\n# ((\w+)\.yaml)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
RECIPES = {"language": (3, 3), "vision": (3, 3), "features": (1, 3)}


@pytest.fixture
def place(zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("vit", "resnet"):
        shutil.copytree(zoo / name, tmp_path / "models" / name)
    for step in (100, 900):
        shutil.copytree(zoo / "bert", tmp_path / f"runs/lm/checkpoint-{step}")
    shutil.copytree(zoo / "pictures", tmp_path / "pictures")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    names = find_pictures("pictures").ids
    layer = np.random.default_rng(0).normal(size=(len(names), 5))
    np.savez("features.npz", names=np.array(names), layer=layer)


def test_each_recipe(place):
    found = {name: text for _, name, text in CONFIG.findall((ROOT / "README.md").read_text())}
    assert found.keys() == RECIPES.keys()
    for name, text in found.items():
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")
        assert main(["layers", f"{name}.yaml"]) == 0
        assert main(["compare", f"{name}.yaml"]) == 0
        result = Comparison.load(f"runs/{name}")
        assert result["cka"].values.shape == RECIPES[name]
        assert result["cka"].values.isfinite().all()
