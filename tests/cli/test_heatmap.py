"""`hooksim heatmap`."""

import shutil
from pathlib import Path

import pytest
import torch

import hooksim
from hooksim.callbacks.watch import Watch
from hooksim.cli.main import main
from hooksim.probe import Probe

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    models = [torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)) for _ in "ab"]
    return hooksim.compare(*models, [torch.randn(40, 4)]).save(tmp_path_factory.mktemp("x") / "r")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    torch.manual_seed(0)
    models = [torch.nn.Sequential(torch.nn.Linear(4, 3)) for _ in range(3)]
    folder = tmp_path_factory.mktemp("runs")
    for reference in ("first", "all"):
        hooksim.compare_checkpoints(
            lambda step: models[("10", "30", "end").index(str(step))], [10, 30, "end"],
            [torch.randn(40, 4)], reference=reference, measures="cka", layers_a="0",
        ).save(folder / reference)  # fmt: skip
    return folder


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
    assert capsys.readouterr().out == f"{name}\n"
    assert Path(name).read_bytes().startswith(PNG)


def test_paths_are_as_relative_as_the_result_s(result, capsys, monkeypatch):
    here = Path.cwd()
    for given, out in (
        (f"{here}/result", f"{here}/result-cka.png"),
        ("./result/", "result-cka.png"),
    ):
        assert main(["heatmap", given, "--measure", "cka", "--overwrite"]) == 0
        assert capsys.readouterr().out == f"{out}\n"
    monkeypatch.chdir("result")
    assert main(["heatmap", ".", "--measure", "cka", "--overwrite"]) == 0
    assert capsys.readouterr().out == "../result-cka.png\n"


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
        (["resultt"], "'resultt' does not exist, did you mean 'result'?\n"),
        (["."], "'.' is no result, but holds some: 'result'\n"),
        (["result/cka.csv"], "'result/cka.csv' is a file, expected the folder of a saved result, did you mean 'result'?\n"),  # noqa: E501
        (["empty"], "'empty' is not a result of hooksim"),
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(result, capsys, words, line):
    (Path(result) / "x.png").write_text("")
    Path("empty").mkdir()
    assert main(["heatmap", *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert line in error
    assert error.count("\n") == 1


class TestTrajectory:
    """A step of many is one comparison."""

    @pytest.mark.parametrize(
        ("words", "name"),
        [
            (["first", "--step", "30"], "first-30-heatmap.png"),
            (["first", "--step", "end", "--measure", "cka"], "first-end-cka.png"),
            (["all", "--step", "30", "10"], "all-30-10-heatmap.png"),
        ],
    )
    def test_a_step_is_drawn(self, runs, monkeypatch, capsys, words, name):
        monkeypatch.chdir(runs)
        assert main(["heatmap", *words, "--overwrite"]) == 0
        path = Path(capsys.readouterr().out.strip())
        assert path.name == name and path.read_bytes().startswith(PNG)

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["first"], "--step: 'first' holds a trajectory; expected one step of 10, 30, end, such as --step end\n"),  # noqa: E501
            (["first", "--step", "10", "30"], "expected one step of 10, 30, end"),
            (["all", "--step", "10"], "expected two steps, of A and of B, of 10, 30, end, such as --step 30 end\n"),  # noqa: E501
            (["first", "--step", "31"], "--step: no step 31; there are 10, 30, 'end'.\n"),
        ],
    )  # fmt: skip
    def test_one_line_for_what_is_wrong(self, runs, monkeypatch, capsys, words, line):
        monkeypatch.chdir(runs)
        assert main(["heatmap", *words]) == 2
        error = capsys.readouterr().err
        assert line in error and error.count("\n") == 1

    def test_one_comparison_has_no_steps(self, result, capsys):
        assert main(["heatmap", result, "--step", "3"]) == 2
        line = "--step: 'result' holds one comparison, which has no steps\n"
        assert capsys.readouterr().err == line


class TestWatchedRun:
    """What a callback leaves of a training is drawn as a trajectory is."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Linear(8, 5))
        reference = {"initial": model, "last": "previous"}
        probe = Probe([torch.randn(48, 6)], reference=reference, measures="cka")
        watch = Watch(probe, 1, pictures=False)
        watch.begin("out", 0, writes=True)
        for step in (5, 10):
            watch.measure(model, step, None)
        return "out/hooksim"

    def test_a_step_is_drawn(self, run, capsys):
        assert main(["heatmap", run, "--reference", "initial", "--step", "5"]) == 0
        assert capsys.readouterr().out == "out/hooksim-initial-5-heatmap.png\n"
        assert Path("out/hooksim-initial-5-heatmap.png").read_bytes().startswith(PNG)

    def test_one_reference_needs_no_name(self, run, capsys):
        for step in (5, 10):
            shutil.rmtree(f"{run}/step-{step}/last", ignore_errors=True)
        assert main(["heatmap", run, "--step", "10", "--measure", "cka"]) == 0
        assert capsys.readouterr().out == "out/hooksim-10-cka.png\n"

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["out/hooksim", "--step", "5"], "--reference: there are several: 'initial', 'last'. Name one"),  # noqa: E501
            (["out/hooksim"], "Name one of them. --step is needed, too: one of the steps of the run."),  # noqa: E501
            (["out/hooksim", "--step", "5", "--reference", "lst"], "--reference: there is no 'lst'. Close"),  # noqa: E501
            (["out/hooksim", "--reference", "initial"], "--step: 'out/hooksim' holds a trajectory; expected one step of 5, 10"),  # noqa: E501
            (["out/hooksim", "--reference", "last", "--step", "5"], "--step: no step 5; there"),
            (["out", "--step", "5"], "It is 'out/hooksim'."),
            (["out/hooksim/step-5/initial", "--reference", "x"], "--reference: 'out/hooksim/step-5/initial' is no watched run"),  # noqa: E501
        ],
    )  # fmt: skip
    def test_one_line_for_what_is_wrong(self, run, capsys, words, line):
        assert main(["heatmap", *words]) == 2
        out, error = capsys.readouterr()
        assert out == "" and line in error and error.count("\n") == 1
