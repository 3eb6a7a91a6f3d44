"""`hooksim heatmap`."""

import shutil
from pathlib import Path

import pytest
import torch

import hooksim
from hooksim.cli.main import main

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    models = [torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)) for _ in "ab"]
    return hooksim.compare(*models, [torch.randn(40, 4)]).save(tmp_path_factory.mktemp("x") / "r")


@pytest.fixture
def result(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, "result")
    return "result"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "result-heatmap.png"),
        (["--measure", "cka"], "result-cka.png"),
        (["--measure", "information_imbalance"], "result-information_imbalance.png"),
        (["--measure", "information_imbalance_a_to_b", "--stderr"], "result-information_imbalance_a_to_b.png"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_picture_beside_the_result(result, capsys, words, name):
    assert main(["heatmap", result, *words]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == name
    assert path.parent == Path.cwd()
    assert path.read_bytes().startswith(PNG)


def test_where_and_what_kind(result, capsys):
    assert main(["heatmap", result, "--out", "pictures/x.svg"]) == 0
    assert capsys.readouterr().out == "pictures/x.svg\n"
    assert "<svg" in Path("pictures/x.svg").read_text()


def test_a_picture_that_is_there_is_refused(result, capsys):
    Path("x.png").write_text("mine")
    assert main(["heatmap", result, "--out", "x.png"]) == 2
    assert capsys.readouterr().err == "--out: 'x.png' exists; --overwrite replaces it\n"
    assert Path("x.png").read_text() == "mine"
    assert main(["heatmap", result, "--out", "x.png", "--overwrite"]) == 0
    assert Path("x.png").read_bytes().startswith(PNG)


def test_what_is_not_drawn_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    measures = ["cka", {"name": "cka", "debiased": False, "key": "biased"}]
    hooksim.compare(model, model, [torch.randn(20, 4)], measures=measures).save("r")
    assert main(["heatmap", "r"]) == 0
    assert capsys.readouterr().err == "not drawn: 'biased'; --measure biased draws it\n"
    assert main(["heatmap", "r", "--measure", "biased"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["result", "--out", "result/x.png/y.png"], "--out: 'result/x.png/y.png' cannot be created: nothing can be written in "),  # noqa: E501
        (["result", "--measure", "ckaa"], "not 'ckaa', did you mean 'cka'?\n"),
        (["result", "--out", "x.xyz"], "--out: 'x.xyz' has no ending of a picture: eps, "),
        (["nowhere"], "'nowhere' does not exist. Expected the folder of a saved result.\n"),
        (["."], "is not a result of hooksim"),
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(result, capsys, words, line):
    (Path(result) / "x.png").write_text("")
    assert main(["heatmap", *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert line in error
    assert error.count("\n") == 1
