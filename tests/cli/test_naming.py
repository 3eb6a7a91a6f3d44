"""Short names that tell two models apart."""

import pytest

from hooksim.cli.naming import short_names

HUB = {"kind": "transformers", "path": "somebody/model"}
PYTHON = {"kind": "python", "factory": "small:make"}


@pytest.mark.parametrize(
    ("spec_a", "spec_b", "names"),
    [
        (HUB, HUB, ("model", "model")),
        (HUB, PYTHON, ("model", "small:make")),
        (HUB, {**HUB, "path": "other/model"}, ("somebody/model", "other/model")),
        (HUB, {**HUB, "revision": "v2"}, ("model", "model (revision=v2)")),
        (HUB, {**HUB, "subfolder": "model"}, ("somebody/model", "model/model")),
        ({**HUB, "path": "model"}, {**HUB, "path": "x/model"}, ("model", "x/model")),
        (PYTHON, {**PYTHON, "kwargs": {"seed": 3}}, ("small:make", "small:make (seed=3)")),
        (
            {**PYTHON, "weights": "runs/a.pt"},
            {**PYTHON, "weights": "r" * 40 + "/b.pt"},
            ("small:make (weights=runs/a.pt)", f"small:make (weights=...{'r' * 22}/b.pt)"),
        ),
    ],
)
def test_as_short_as_tells_them_apart(spec_a, spec_b, names):
    assert short_names(spec_a, spec_b) == names


def test_the_working_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert short_names({**HUB, "path": "."}, HUB) == ("run", "model")
