"""`hooksim trajectory`, from the file to the result, and everything that stops it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

import hooksim
from hooksim.cli.checkpoints import RUN_KINDS, find_checkpoints
from hooksim.cli.main import main
from hooksim.cli.trajectory_config import TrajectoryConfig
from hooksim.errors import ConfigError
from hooksim.results import Trajectory

pytestmark = pytest.mark.usefixtures("weights")


def trajectory(*words):
    return main(["trajectory", "t.yaml", *words])


def test_the_result_is_that_of_the_library(folder, capsys):
    assert trajectory() == 0
    out, error = capsys.readouterr()
    assert out == "result\n"
    assert "4 steps: 2, 10, 100, 300; against the first, step 2\ncka: 4 x 2 x 2" in error
    assert error.endswith("page: result/report.html\n")
    assert (folder / "result" / "report.html").is_file()
    from small_models import perceptron

    points = torch.tensor(np.load("points.npz")["points"], dtype=torch.float32)
    mine = Trajectory.load("result")
    for step in (2, 10, 100, 300):
        theirs = hooksim.compare(
            perceptron(2), perceptron(step), points.split(16), measures="cka", progress=False
        )
        found = mine.at(step)["cka"]
        torch.testing.assert_close(found.values, theirs["cka"].values, rtol=0, atol=1e-7)
    assert mine.metadata["config"]["data"]["path"] == "points.npz"


@pytest.mark.parametrize(
    ("reference", "shape", "head"),
    [
        ("last", (4, 2, 2), "against the last, step 300"),
        ("all", (4, 4, 2, 2), "each with each"),
        (
            "{kind: python, factory: 'small_models:perceptron', kwargs: {seed: 1, width: 5}}",
            (4, 2, 2),
            "against small_models:perceptron",
        ),
    ],
)
def test_references(folder, capsys, reference, shape, head):
    assert trajectory("--set", f"reference={reference}") == 0
    assert Trajectory.load("result")["cka"].shape == shape
    assert head in capsys.readouterr().err


def test_a_reference_that_is_a_checkpoint_is_loaded_once(folder, monkeypatch):
    from hooksim.cli import run_inputs

    asked = []
    load = run_inputs.load_side
    monkeypatch.setattr(run_inputs, "load_side", lambda spec: asked.append(spec) or load(spec))
    side = "{kind: python, factory: 'small_models:perceptron', kwargs: {seed: 0}, "
    side += "allow_missing: null, weights: w/../w/step-10.safetensors}"
    assert trajectory("--set", f"reference={side}") == 0
    assert len(asked) == 4
    assert Trajectory.load("result").at(10).metadata["matched_by"] == "one source"


def test_a_reference_without_weights_of_its_own(folder):
    side = "{kind: python, factory: 'small_models:perceptron', kwargs: {seed: 5}, weights: null}"
    assert trajectory("--set", f"reference={side}") == 0
    assert Trajectory.load("result")["cka"].shape[0] == 4


def test_recorded_runs_need_no_data(folder, capsys):
    from small_models import perceptron

    points = torch.tensor(np.load("points.npz")["points"], dtype=torch.float32)
    for step in (10, 100):
        hooksim.record(
            perceptron(step), list(points.split(16)), path=f"r/step-{step}", progress=False
        )
    recorded = "checkpoints={kind: recording, path: 'r/*'}"
    assert trajectory("--set", recorded, "--set", "data=null") == 0
    assert Trajectory.load("result").steps == [10, 100]
    assert trajectory("--set", recorded, "--out", "again") == 2
    line = "t.yaml: data: expected none for recorded sides: leave it out, or --set data=null\n"
    assert capsys.readouterr().err.endswith(line)
    side = "reference={kind: python, factory: 'small_models:perceptron', kwargs: {seed: 1}}"
    assert trajectory("--set", recorded, "--set", side, "--out", "mixed") == 0
    assert trajectory("--set", recorded, "--set", side, "--set", "data=null", "--out", "x") == 2
    assert capsys.readouterr().err.endswith("t.yaml: data: missing\n")


def test_a_checkpoint_that_cannot_be_loaded(folder, capsys):
    (folder / "w" / "step-10.safetensors").write_text("no weights")
    assert trajectory() == 1
    error = capsys.readouterr().err
    assert error.startswith(
        "MissingWeightsError: t.yaml: checkpoints: 'w/step-10.safetensors' cannot be loaded: "
        "weights: cannot read "
    )
    assert error.endswith(" skip_failed leaves such checkpoints out.\n") and error.count("\n") == 1
    assert not (folder / "result").exists()
    assert trajectory("--set", "skip_failed=true") == 0
    assert "warning: checkpoints: 'w/step-10.safetensors' cannot be" in capsys.readouterr().err
    result = Trajectory.load("result")
    assert result.steps == [2, 100, 300]
    assert [each["code"] for each in result.metadata["warnings"]] == ["skipped_checkpoint"]


def test_missing_weights(folder, capsys):
    save_file({"0.weight": torch.zeros(6, 4)}, "w/step-2.safetensors")
    assert trajectory() == 1
    assert capsys.readouterr().err.startswith(
        "MissingWeightsError: t.yaml: checkpoints: 'w/step-2.safetensors' cannot be loaded: "
    )


def test_json(folder, capsys):
    np.savez("points.npz", points=np.ones((40, 4)))
    assert trajectory("--json", "--set=data.batch_size=20") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["path"], content["n_samples"]) == ("result", 40)
    assert content["steps"] == [2, 10, 100, 300]
    assert content["matrices"]["cka"]["values"] == [[[None, None]] * 2] * 4
    assert content["matrices"]["cka"]["layers_b"] == ["0", "2"]


class TestDryRun:
    def test_checkpoints_and_layers_of_the_first(self, folder, capsys):
        assert trajectory("--dry-run") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "4 checkpoints, each loaded once and complete"
        assert lines[1] == "step 2    w/step-2.safetensors"
        assert lines[4] == "step 300  w/step-300.safetensors"
        assert lines[6] == "Sequential, 2 layers"
        last = " ".join(lines[-2:])
        assert last.startswith("40 samples in 3 batches; first batch: 16 samples, 16 rows; ")
        assert f"{4 * 4 * (6 + 3)} bytes a row of all layers" in last
        assert not (folder / "result").exists()

    def test_a_reference_of_one_s_own_and_layers_of_both(self, folder, capsys):
        side = "reference={kind: python, factory: 'small_models:perceptron', kwargs: {seed: 1}}"
        assert trajectory("--dry-run", "--json", "--set", side, "--set", "layers_b=['0']") == 0
        content = json.loads(capsys.readouterr().out)
        assert content["checkpoints"][1] == {
            "step": 10, "checkpoint": "w/step-10.safetensors", "skipped": None,
        }  # fmt: skip
        assert [len(side["layers"]) for side in content["sides"]] == [2, 1]
        assert content["row_bytes"] == 4 * (6 + 3) + 4 * 4 * 6

    def test_two_at_one_step(self, folder, capsys):
        (folder / "w" / "step-2.pt").write_text("")
        assert trajectory("--dry-run") == 2
        assert capsys.readouterr().err == (
            "t.yaml: checkpoints.weights: 'w/*' matches 'w/step-2.pt' and 'step-2.safetensors': "
            "narrow the pattern, such as *.pt\n"
        )

    @pytest.mark.parametrize("broken", ["w/step-2.safetensors", "w/step-300.safetensors"])
    def test_a_file_that_is_cut_short(self, folder, capsys, broken):
        whole = (folder / broken).read_bytes()
        (folder / broken).write_bytes(whole[:-40])
        assert trajectory("--dry-run") == 1
        out, error = capsys.readouterr()
        assert out == "" and error.count("\n") == 1
        assert error.startswith(
            f"MissingWeightsError: t.yaml: checkpoints: '{broken}' cannot be loaded: weights: "
            f"cannot read '{broken}': "
        )
        assert trajectory("--dry-run", "--set", "skip_failed=true") == 0
        out = capsys.readouterr().out
        assert out.startswith("4 checkpoints, 3 of them loaded once and complete\n")
        assert f"left out: '{broken}' cannot be loaded: weights: cannot read" in out
        assert f"{3 * 4 * (6 + 3)} bytes a row of all layers" in out.replace("\n", " ")

    def test_all_that_are_broken_are_named(self, folder, capsys):
        save_file({"0.weight": torch.zeros(6, 4)}, "w/step-2.safetensors")
        (folder / "w" / "step-100.safetensors").write_bytes(b"")
        (folder / "w" / "step-300.safetensors").write_text("no weights")
        assert trajectory("--dry-run") == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.count(" cannot be loaded: ") == 3
        for step in (2, 100, 300):
            assert f"'w/step-{step}.safetensors' cannot be loaded: " in error
        assert error.endswith(" skip_failed leaves such checkpoints out.\n")
        assert trajectory("--dry-run", "--set", "skip_failed=true") == 2
        line = "t.yaml: checkpoints: expected at least 2 that can be loaded, got 1 of 4: 'w/step-2"
        assert capsys.readouterr().err.startswith(line)

    def test_weights_that_are_missing(self, folder, capsys):
        save_file({"0.weight": torch.zeros(6, 4)}, "w/step-300.safetensors")
        assert trajectory("--dry-run") == 1
        line = "MissingWeightsError: t.yaml: checkpoints: 'w/step-300.safetensors' cannot be loaded"
        assert capsys.readouterr().err.startswith(line)

    def test_too_few(self, folder, capsys):
        assert trajectory("--dry-run", "--set", "checkpoints.every=9") == 2
        assert "t.yaml: checkpoints: expected at least 2, got 1." in capsys.readouterr().err

    @pytest.mark.parametrize("samples", [32, 48])
    def test_recordings_of_another_number_of_samples(self, folder, capsys, samples):
        from small_models import batches, perceptron

        for step, count in ((10, 48), (100, samples)):
            loader = list(batches(count // 16))
            hooksim.record(perceptron(step), loader, path=f"r/step-{step}", progress=False)
        changes = ["--set", "checkpoints={kind: recording, path: 'r/*'}", "--set", "data=null"]
        assert trajectory("--dry-run", *changes) == (0 if samples == 48 else 1)
        error = capsys.readouterr().err
        assert samples == 48 or error.startswith(
            "AlignmentError: checkpoints: 'r/step-100' holds 32 samples, but 48 are read. "
        )


def test_an_existing_result_is_refused_before_any_work(folder, capsys):
    assert trajectory("--set", "checkpoints.every=2") == 0
    broken = ["--set", "checkpoints.factory=small_models:gone"]
    assert trajectory(*broken) == 2
    assert "t.yaml: output: 'result' already holds a result." in capsys.readouterr().err
    assert trajectory("--overwrite") == 0
    assert len(Trajectory.load("result").steps) == 4


def test_a_file_for_another_command_names_the_right_one(folder, capsys):
    words = "with --dry-run lists its layers\n"
    for command in ("compare", "layers"):
        assert main([command, "t.yaml"]) == 2
        assert capsys.readouterr().err == (
            "t.yaml: checkpoints: a key of `hooksim trajectory`; `hooksim trajectory t.yaml` takes "
            f"this file, and {words}"
        )
    assert main(["trajectory", "c.yaml"]) == 2
    assert capsys.readouterr().err == (
        "c.yaml: model_a: a key of `hooksim compare`; `hooksim compare c.yaml` takes this file, "
        f"and {words}"
    )


def test_every_key_that_not_all_commands_have_is_known_to_be_its_command_s():
    from hooksim.cli.config import _COMMANDS, Config, SharedKeys

    schemas = {"compare": Config, "trajectory": TrajectoryConfig}
    own = {
        key: command
        for command, schema in schemas.items()
        for key in schema.model_fields.keys() - SharedKeys.model_fields
    }
    assert own == _COMMANDS


def test_the_keys_are_those_of_a_comparison_but_for_the_models():
    from hooksim.cli.config import Config

    own = {"checkpoints", "reference", "skip_failed"}
    assert set(TrajectoryConfig.model_fields) - own == set(Config.model_fields) - {
        "model_a", "model_b",
    }  # fmt: skip


class TestFinding:
    def test_a_folder_of_checkpoints_by_their_numbers(self, folder):
        config = BertConfig(
            vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=4,
        )  # fmt: skip
        for step in (2, 10, 100):
            BertModel(config).save_pretrained(f"run/checkpoint-{step}")
        (folder / "run" / "checkpoint-best").mkdir()
        (folder / "run" / "logs").mkdir()
        spec = {"kind": "transformers", "path": "run", "dtype": "float64"}
        found = find_checkpoints({**spec, "pattern": "checkpoint-[0-9]*"})
        assert [each.name for each in found] == [f"run/checkpoint-{n}" for n in (2, 10, 100)]
        assert found[0].spec == {**spec, "path": "run/checkpoint-2"}
        names = [each.name for each in find_checkpoints({**spec, "every": 2})]
        assert names == ["run/checkpoint-2", "run/checkpoint-100"]
        assert find_checkpoints(spec)[-1].name == "run/checkpoint-best"

    def test_revisions_keep_their_order(self):
        spec = {"kind": "transformers", "path": "some/model", "revisions": ["step9", "step1"]}
        found = find_checkpoints(spec)
        assert [each.name for each in found] == ["step9", "step1"]
        assert found[1].spec == {
            "kind": "transformers", "path": "some/model", "revision": "step1",
        }  # fmt: skip

    def test_revisions_are_of_a_hub(self, folder):
        with pytest.raises(ConfigError, match="revisions: they are of a hub id, got a folder"):
            find_checkpoints({"kind": "transformers", "path": "w", "revisions": ["a"]})
        with pytest.raises(ConfigError, match="revisions: they are of a hub id, got a pattern"):
            find_checkpoints(
                {"kind": "transformers", "path": "x/y", "revisions": ["a"], "pattern": "b"}
            )

    def test_absolute_patterns(self, folder):
        weights = f"{folder}/w/*.safetensors"
        found = find_checkpoints({"kind": "python", "factory": "a:b", "weights": weights})
        assert [each.name for each in found][1] == f"{folder}/w/step-10.safetensors"
        with pytest.raises(ConfigError, match="path: no folder matches 'w/"):
            find_checkpoints({"kind": "recording", "path": "w/*"})

    def test_every_kind_says_what_it_does(self):
        assert all(function.__doc__ for function in RUN_KINDS.values())
