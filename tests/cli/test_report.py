"""`hooksim report`."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from hooksim.callbacks.watch import Watch
from hooksim.cli.main import main
from hooksim.probe import Probe
from hooksim.recording import Recording
from hooksim.report import GENERATOR
from tests.report.pages import comparison


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return comparison().save(tmp_path_factory.mktemp("x") / "r")


@pytest.fixture
def result(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, "result")
    return "result"


def is_page(path: str) -> bool:
    return GENERATOR in Path(path).read_text(encoding="utf-8")


def test_the_page_of_a_result_is_made_anew(result, capsys):
    page = Path(result) / "report.html"
    page.unlink()
    for _ in range(2):
        assert main(["report", result]) == 0
        assert capsys.readouterr() == ("result/report.html\n", "")
        assert is_page("result/report.html")


def test_a_page_elsewhere(result, capsys):
    assert main(["report", result, "--out", "pages/x.html"]) == 0
    assert capsys.readouterr().out == "pages/x.html\n"
    assert is_page("pages/x.html")


@pytest.mark.parametrize("content", ["mine", GENERATOR])
def test_a_file_that_is_there_is_refused(result, capsys, content):
    Path("x.html").write_text(content)
    assert main(["report", result, "--out", "x.html"]) == 2
    assert capsys.readouterr().err == "--out: 'x.html' exists; --overwrite replaces it\n"
    assert Path("x.html").read_text() == content
    assert main(["report", result, "--out", "x.html", "--overwrite"]) == 0
    assert is_page("x.html")
    assert sorted(path.name for path in Path().iterdir()) == ["result", "x.html"]


def test_a_foreign_file_in_the_result_is_refused(result, capsys):
    (Path(result) / "report.html").write_text("mine")
    assert main(["report", result]) == 2
    assert "'result/report.html' exists and is no page of hooksim" in capsys.readouterr().err
    assert (Path(result) / "report.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["result", "--out", "x.png"], "--out: 'x.png' has no ending of a page: .html, .htm\n"),
        (["result", "--out", "result"], "--out: 'result' is a folder; a file is needed\n"),
        (["result", "--out", "result/cka.csv/x.html"], "--out: 'result/cka.csv/x.html' cannot be "),
        (["nowhere"], "'nowhere' does not exist. Expected the folder of a saved result.\n"),
        (["empty"], "'empty' is not a result of hooksim"),
        (["result", "--reference", "x"], "--reference: 'result' is no watched run, which has se"),
    ],
)
def test_one_line_for_what_is_wrong(result, capsys, words, line):
    Path("empty").mkdir()
    assert main(["report", *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert line in error
    assert error.count("\n") == 1


def test_a_run_that_is_not_finished(result, capsys):
    state = Path("going/unfinished/process-0.safetensors")
    state.parent.mkdir(parents=True)
    state.write_bytes(b"")
    for command in ("report", "heatmap"):
        assert main([command, "going"]) == 2
        assert capsys.readouterr().err == (
            "'going' holds a run that is not finished. Go on with it by "
            "`hooksim compare CONFIG --resume`.\n"
        )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """What a callback leaves: two steps, compared with two references."""
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    reference = {"initial": model, "last": "previous"}
    watch = Watch(Probe([torch.randn(48, 6)], reference=reference), 1, pictures=False)
    watch.begin("out", 0, writes=True)
    for step in (5, 10):
        watch.measure(model, step, None)
    return "out/hooksim"


def test_each_reference_of_a_watched_run_has_its_page(run, capsys):
    for _ in range(2):
        assert main(["report", run]) == 0
        out, error = capsys.readouterr()
        assert out.splitlines() == [f"{run}/report-initial.html", f"{run}/report-last.html"]
        assert error == ""
    assert all(is_page(page) for page in out.splitlines())


def test_one_reference_of_it(run, capsys):
    assert main(["report", run, "--reference", "last"]) == 0
    assert capsys.readouterr().out == f"{run}/report-last.html\n"
    assert main(["report", run, "--reference", "initial", "--out", "x.html"]) == 0
    assert is_page("x.html")
    assert not Path(run, "report-initial.html").exists()


def test_the_page_of_a_run_with_one_reference(run, capsys):
    for step in (5, 10):
        shutil.rmtree(f"{run}/step-{step}/last", ignore_errors=True)
    for words in ([], ["--reference", "initial"]):
        assert main(["report", run, *words]) == 0
        assert capsys.readouterr().out == f"{run}/report.html\n"


def test_the_results_of_a_step_or_of_any_folder(run, capsys):
    Path(f"{run}/step-10/last/report.html").unlink()
    assert main(["report", f"{run}/step-10"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [f"{run}/step-10/{name}/report.html" for name in ("initial", "last")]
    assert is_page(out[1])
    Recording.from_tensors({"layer": torch.randn(9, 2)}).save(f"{run}/step-10/rows")
    assert main(["report", f"{run}/step-10"]) == 0
    assert capsys.readouterr().out.splitlines() == out
    Path(f"{run}/step-10/last/metadata.json").write_text("{")
    assert main(["report", f"{run}/step-10"]) == 1
    assert "last' is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["out/hooksim", "--out", "x.html"], "--out: names one page, and 'out/hooksim' makes 2: "),
        (["out/hooksim", "--reference", "lst"], "there is no 'lst'. Close names: 'last'"),
        (["out"], "'out' is not the folder of a watched run"),
        (["out"], "It is 'out/hooksim'.\n"),
    ],
)
def test_one_line_for_what_is_wrong_with_a_run(run, capsys, words, line):
    assert main(["report", *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert line in error
    assert error.count("\n") == 1
    assert not list(Path(run).glob("*.html"))


def test_comparing_says_where_the_page_is(folder, capsys):
    assert main(["compare", "c.yaml"]) == 0
    out, error = capsys.readouterr()
    assert out == "result\n"
    assert error.endswith("page: result/report.html\n")
    assert is_page("result/report.html")
    assert main(["compare", "c.yaml", "--json", "--out", "other"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["path"] == "other"
    assert error.endswith("page: other/report.html\n")
