"""Sides that need no model in a configuration: recordings, and features from elsewhere."""

import numpy as np
import pytest
import torch

import hooksim
from hooksim import Comparison
from hooksim.cli.main import main

RECORDED = """\
model_a: {kind: recording, path: recorded}
model_b: {kind: features, path: features.npz, ids: names}
measures: cka
output: result
"""


@pytest.fixture
def recorded(folder, monkeypatch):
    """A recording of model A of the small comparison, and features of the same 40 samples."""
    monkeypatch.syspath_prepend(folder)
    from small_models import perceptron

    points = torch.tensor(np.load("points.npz")["points"], dtype=torch.float32)
    hooksim.record(perceptron(0), list(points.split(16)), path="recorded", progress=False)
    names = np.array([f"points.npz:{index}" for index in range(40)])
    np.savez(
        "features.npz", raw=points.numpy(), double=points.numpy().astype("f8") * 2, names=names
    )
    (folder / "recorded.yaml").write_text(RECORDED)
    return folder


def test_two_recorded_sides_need_no_data(recorded, capsys):
    assert main(["compare", "recorded.yaml"]) == 0
    result = Comparison.load("result")
    assert result["cka"].layers_a == ["0", "2"]
    assert result["cka"].layers_b == ["raw", "double"]
    assert (result.n_samples, result.metadata["matched_by"]) == (40, "counts")
    assert result.metadata["name_a"] == "recorded"


@pytest.mark.parametrize("block_size", ["batch", "all", "auto"])
def test_a_recording_beside_a_model_gives_what_two_models_give(recorded, capsys, block_size):
    change = f"--set=block_size={block_size}"
    assert main(["compare", "c.yaml", change, "--set=measures=cka", "--out=live"]) == 0
    side = "--set=model_a={kind: recording, path: recorded}"
    assert main(["compare", "c.yaml", side, change, "--set=measures=cka", "--out=mixed"]) == 0
    live, mixed = Comparison.load("live"), Comparison.load("mixed")
    torch.testing.assert_close(mixed["cka"].values, live["cka"].values, rtol=0, atol=0)
    assert mixed.metadata["matched_by"] == "inputs"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("recorded", "'recorded' is no checkpoint but a recording: {kind: recording, path: recorded}"),  # noqa: E501
        ("points.npz", "'points.npz' is no checkpoint but arrays: {kind: features, path: points.npz}"),  # noqa: E501
        ("w.pt", "'w.pt' is no checkpoint but weights alone, which need the code of their model: {kind: python, factory: \"package.module:function\", weights: w.pt}"),  # noqa: E501
        ("made", "'made' is no checkpoint but a result, which holds no model"),
    ],
)  # fmt: skip
def test_what_another_kind_reads_is_no_checkpoint(recorded, capsys, path, words):
    torch.save({}, "w.pt")
    (recorded / "made").mkdir()
    (recorded / "made" / "metadata.json").write_text("{}")
    assert main(["compare", "c.yaml", f"--set=model_b={path}"]) == 2
    assert capsys.readouterr().err == f"c.yaml: model_b.path: {words}\n"


def test_features_are_matched_by_their_ids(recorded, capsys):
    side = "--set=model_b={kind: features, path: features.npz, ids: names}"
    assert main(["compare", "c.yaml", side, "--set=measures=cka"]) == 0
    assert Comparison.load("result").metadata["matched_by"] == "sample_ids"


@pytest.mark.parametrize("command", [["compare", "--dry-run"], ["layers"]])
def test_recorded_sides_are_listed(recorded, capsys, command):
    assert main([command[0], "recorded.yaml", *command[1:]]) == 0
    out = capsys.readouterr().out
    assert "recording A (Sequential), 2 layers" in out
    assert "recording B (features), 2 layers" in out
    assert "double" in out


def test_a_dry_run_counts_the_samples_of_recordings(recorded, capsys):
    assert main(["compare", "recorded.yaml", "--dry-run", "--set=block_size=all"]) == 0
    assert "40 samples in 3 batches" in (out := capsys.readouterr().out)
    assert "one block of all" in out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            "data={kind: npz, path: points.npz}",
            "recorded.yaml: data: expected none for two recorded",
        ),
        ("model_a.path=nowhere", "recorded.yaml: model_a.path: "),
        ("model_a.path=features.npz", "recorded.yaml: model_a.path: "),
        ("model_b.path=nowhere.npz", "recorded.yaml: model_b.path: no file 'nowhere.npz'"),
        (
            "model_b.path=feature.npz",
            "recorded.yaml: model_b.path: no file 'feature.npz', did you mean 'features.npz'?",
        ),
        (
            "model_b={kind: features, path: features.npz}",
            "recorded.yaml: model_b.ids: 'features.npz' holds text in 'names', which is no layer; "
            "for ids give ids: names",
        ),
        ("model_b.ids=name", "recorded.yaml: model_b.ids: 'features.npz' has no array 'name'"),
        (
            "model_b.ids=double",
            "recorded.yaml: model_b.ids: expected one id a sample in 'double', ",
        ),
        ("device=cpu", "recorded.yaml: device: expected None for recordings: no model is run."),
        ("layers_a=['7']", "recorded.yaml: layers_a: no layer of recording A (Sequential)"),
        ("block_size=batch", "recorded.yaml: block_size"),
        ("rows=cls", "recorded.yaml: rows: recording A (Sequential) holds"),
        ("model_a=recorded", "recorded.yaml: data: missing"),
    ],
)
def test_one_line_for_what_is_wrong(recorded, capsys, change, line):
    assert main(["compare", "recorded.yaml", f"--set={change}"]) == 2
    error = capsys.readouterr().err
    assert line in error.replace("error: ", "")
    assert error.count("\n") == 1


def test_a_model_needs_data(folder, capsys):
    (folder / "c.yaml").write_text((folder / "c.yaml").read_text().replace("data:", "#"))
    assert main(["compare", "c.yaml"]) == 2
    assert "c.yaml: data: missing" in capsys.readouterr().err


def test_the_layers_of_a_recording_by_its_path(recorded, capsys):
    assert main(["layers", "recorded"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Sequential, 2 layers\n")
    assert "* 0" in out and "recorded  40 x 6" in out


def test_recordings_of_other_lengths_are_cut_alike(recorded, capsys):
    features = dict(np.load("features.npz"))
    np.savez("features.npz", **{name: array[:30] for name, array in features.items()})
    assert main(["layers", "recorded.yaml", "--set=max_samples=15"]) == 0
    assert main(["compare", "recorded.yaml", "--set=max_samples=15", "--dry-run"]) == 0
    assert "15 samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("max_samples=null", "recording A holds 40 samples, but 45 are read. Both sides must be of the same samples in the same order; max_samples: 40 compares only the first of them.\n"),  # noqa: E501
        ("max_samples=30", ""),
        ("max_samples=44", "recording A holds 40 samples, but 44 are read. "),
        ("data.path=few.npz", "recording A holds 40 samples, but 30 are read. "),
    ],
)  # fmt: skip
def test_a_dry_run_sees_a_recording_of_another_length(recorded, capsys, change, line):
    points = np.load("points.npz")["points"]
    np.savez("points.npz", points=np.concatenate([points, points[:5]]))
    np.savez("few.npz", points=points[:30])
    side = "--set=model_a={kind: recording, path: recorded}"
    words = ["compare", "c.yaml", side, f"--set={change}", "--set=measures=cka"]
    assert main([*words, "--dry-run"]) == (1 if line else 0)
    assert capsys.readouterr().err.startswith(f"AlignmentError: {line}" if line else "")
    assert main(words) == (1 if line else 0)  # as the run itself says
