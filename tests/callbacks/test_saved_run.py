"""A run read back from its folder, as either callback leaves it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from hooksim.callbacks import load_run
from hooksim.callbacks.saved_run import is_run, load_each_reference, results_in, steps_in
from hooksim.callbacks.watch import Watch
from hooksim.errors import ConfigError, HooksimError
from hooksim.probe import Probe
from hooksim.results import Trajectory

STEPS = [0, 2, 10]


def watched(folder: Path, *, named: bool, broken: int | None = None) -> Probe:
    """Measure a model that changes; at step `broken` it holds NaN."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    reference = {"initial": model, "last": "previous"} if named else model
    probe = Probe([torch.randn(48, 6)], reference=reference)
    watch = Watch(probe, 1, pictures=False)
    watch.begin(folder, 0, writes=True)
    for step in STEPS:
        kept = {name: value.clone() for name, value in model.state_dict().items()}
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.nan if step == broken else 0.3 * torch.randn_like(parameter)
        watch.measure(model, step, None)
        if step == broken:
            model.load_state_dict(kept)
    watch.end()
    return probe


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs with one reference and with two named ones, and their probes."""
    root = tmp_path_factory.mktemp("runs")
    return {name: (root / name / "hooksim", watched(root / name, named=name == "named"))
            for name in ("single", "named")}  # fmt: skip


def same(one: Trajectory, two: Trajectory) -> bool:
    return one.steps == two.steps and all(
        torch.equal(one[key].values, two[key].values)
        and torch.equal(one[key].stderr, two[key].stderr)
        for key in two
    )


def test_a_run_with_one_reference(runs):
    folder, probe = runs["single"]
    trajectory = load_run(folder)
    assert trajectory.steps == STEPS  # by their numbers, not by the names of the folders
    assert same(trajectory, probe.trajectory())
    assert trajectory.metadata["warnings"] == []
    assert trajectory.metadata["reference"] == "reference"


def test_a_run_with_several(runs):
    folder, probe = runs["named"]
    assert same(load_run(str(folder), "initial"), probe.trajectory("initial"))
    last = load_run(folder, "last")
    assert same(last, probe.trajectory("last"))
    assert last.steps == STEPS[1:]
    assert last.metadata["reference_step"] is None
    assert list(load_each_reference(folder)) == ["initial", "last"]


def test_it_is_saved_as_any_trajectory_is(runs, tmp_path):
    trajectory = load_run(runs["single"][0])
    assert same(Trajectory.load(trajectory.save(tmp_path / "saved")), trajectory)


def test_which_reference_must_be_clear(runs):
    folder, _ = runs["named"]
    with pytest.raises(ConfigError, match=r"there are several: 'initial', 'last'\. Name one"):
        load_run(folder)
    with pytest.raises(ConfigError, match=r"there is no 'lost'\. Close names: 'last'"):
        load_run(folder, "lost")


def test_what_is_no_run_is_refused(runs, tmp_path):
    folder, _ = runs["single"]
    with pytest.raises(ConfigError, match="is not the folder of a watched run") as error:
        load_run(tmp_path)
    assert "It is" not in str(error.value)
    with pytest.raises(ConfigError, match=r"It is '.*single/hooksim'\.$"):
        load_run(folder.parent)
    (tmp_path / "history.jsonl").touch()
    with pytest.raises(ConfigError, match="has no result: nothing was compared in this run yet"):
        load_run(tmp_path)


def test_steps_that_were_not_measured_are_said(tmp_path):
    watched(tmp_path, named=True, broken=2)
    for name, expected in (("initial", [0, 10]), ("last", [10])):
        trajectory = load_run(tmp_path / "hooksim", name)
        assert trajectory.steps == expected
        [warning] = trajectory.metadata["warnings"]
        assert warning["code"] == "not_measured"
        assert warning["text"].startswith("step 2 could not be measured: ")


def test_results_that_are_gone_are_said(runs, tmp_path):
    folder = shutil.copytree(runs["single"][0], tmp_path / "copy")
    shutil.rmtree(folder / "step-2")
    trajectory = load_run(folder)
    assert trajectory.steps == [0, 10]
    [warning] = trajectory.metadata["warnings"]
    assert warning["text"] == "the folder has no result of step 2, which the history has."
    (folder / "step-10" / "matrices.safetensors").unlink()
    with pytest.raises(HooksimError, match=r"step-10' is damaged: matrices.safetensors is missing"):
        load_run(folder)


def test_the_layout(runs):
    for folder, probe in runs.values():
        assert is_run(folder)
        assert not is_run(folder.parent)
        assert [step for step, _ in steps_in(folder)] == STEPS
        assert list(results_in(folder / "step-2")) == list(probe.course.measurements[1].results)
        lines = (folder / "history.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == STEPS


def test_a_new_run_takes_the_page_of_the_last_one_away(tmp_path):
    watched(tmp_path, named=False)
    page = load_run(tmp_path / "hooksim").report(tmp_path / "hooksim" / "report.html")
    mine = tmp_path / "hooksim" / "report-mine.html"
    mine.write_text("mine")
    watched(tmp_path, named=False)
    assert not page.exists()
    assert mine.exists()
