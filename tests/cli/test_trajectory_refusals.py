"""Everything that stops `hooksim trajectory`: one line each, which says what to do."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from hooksim.cli.main import main
from hooksim.results import Trajectory

pytestmark = pytest.mark.usefixtures("weights")


def trajectory(*words):
    return main(["trajectory", "t.yaml", *words])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("model_a=x", "t.yaml: model_a: unknown key"),
        ("checkpoints=null", "t.yaml: checkpoints: expected a mapping such as {kind: transformers, path: ...}, got None"),  # noqa: E501
        ("checkpoints.every=0", "t.yaml: checkpoints.every: expected at least 1"),
        ("checkpoints.kind=pythn", "t.yaml: checkpoints.kind: expected one of 'transformers', 'python', 'recording', got 'pythn', did you mean 'python'?"),  # noqa: E501
        ("checkpoints.weigths=x", "t.yaml: checkpoints.weigths: unknown key, did you mean 'weights'?"),  # noqa: E501
        ("checkpoints.weights='x/*'", "t.yaml: checkpoints.weights: no file matches 'x/*' in "),
        ("checkpoints.weights=''", "t.yaml: checkpoints.weights: expected a pattern such as 'runs/step-*', got none"),  # noqa: E501
        ("checkpoints.weights='/'", "t.yaml: checkpoints.weights: expected a pattern such as"),
        ("checkpoints.weights='.'", "t.yaml: checkpoints.weights: expected a pattern such as"),
        ("checkpoints.weights='w/**.safetensors'", "t.yaml: checkpoints.weights: "),
        ("checkpoints.weights='~nobodyx/x'", "t.yaml: checkpoints.weights: '~nobodyx/x': no home folder of that user"),  # noqa: E501
        ("checkpoints={kind: transformers, path: w, pattern: '/abs/*'}", "t.yaml: checkpoints.pattern: expected a pattern inside 'w', got '/abs/*'"),  # noqa: E501
        ("checkpoints={kind: transformers, path: w, pattern: ''}", "t.yaml: checkpoints.pattern: expected a pattern such as 'runs/step-*', got none"),  # noqa: E501
        ("checkpoints={kind: transformers, path: '~nobodyx/x'}", "t.yaml: checkpoints.path: '~nobodyx/x': no home folder of that user"),  # noqa: E501
        ("checkpoints.factory=small_models:gone", "t.yaml: checkpoints.factory: module 'small_models' has no"),  # noqa: E501
        ("checkpoints=rns", "t.yaml: checkpoints.path: no folder 'rns' in "),
        ("checkpoints=w", "t.yaml: checkpoints.path: 'w' holds no folder 'checkpoint-*'"),
        ("checkpoints={kind: recording, path: 'w/*'}", "t.yaml: data: expected none for recorded"),
        ("checkpoints.every=9", "t.yaml: checkpoints: expected at least 2, got 1."),
        ("reference=frist", "t.yaml: reference: expected first, last, all or a side, got 'frist', did you mean 'first'?"),  # noqa: E501
        ("reference=runs/x", "t.yaml: reference.path: no folder 'runs/x'"),
        ("checkpoints.weights='v/*'", "t.yaml: checkpoints.weights: no file matches 'v/*' in "),
        ("checkpoints.entry=model", "t.yaml: checkpoints: 'w/step-2.safetensors' cannot be loaded: entry: 'w/step-2.safetensors' has no entry 'model'; it has '0.bias', "),  # noqa: E501
        ("reference={kind: recording, pth: x}", "t.yaml: reference.pth: unknown key, did you mean"),
        ("reference=50", "t.yaml: reference: expected first, last, all or a side, got 50; for a checkpoint give its folder, such as runs/x/checkpoint-50\n"),  # noqa: E501
        ("reference=[first]", "t.yaml: reference: expected first, last, all or a side, got ['first']\n"),  # noqa: E501
        ("reference=null", "t.yaml: reference: expected first, last, all or a side, got None\n"),
        ("skip_failed=3", "t.yaml: skip_failed: expected true or false, got 3"),
        ("layers_a=x", "t.yaml: layers_a: no layer of model A (Sequential) matches 'x'."),
        ("layers_b=x", "t.yaml: layers_b: no layer of model B at step 2 (Sequential) matches 'x'."),
        ("block_size=3", "t.yaml: block_size: CKA (linear, debiased) needs at least 4 samples"),
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(folder, capsys, change, line):
    assert trajectory("--set", change) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(line)
    assert error.count("\n") == 1
    assert not (folder / "result").exists()


def test_a_word_that_is_no_reference_names_the_choices(folder, capsys):
    assert trajectory("--set", "reference=initial") == 2
    error = capsys.readouterr().err
    assert error.startswith("t.yaml: reference.path: no folder 'initial' here, and no such model")
    assert error.endswith("; other choices are first, last and all\n")


@pytest.mark.parametrize(
    ("pattern", "end"),
    [
        (
            "w/*.pt",
            "; 'w' holds 'step-10.safetensors', 'step-100.safetensors', 'step-2.safetensors",
        ),
        ("weigths/*", "; '.' holds "),
        ("ww/*", ", did you mean 'w'?"),
        ("w/step-2.safetensor", ", did you mean 'step-2.safetensors'?"),
        ("w/step-2.safetensors/*", "; 'w/step-2.safetensors' is a file"),
    ],
)
def test_a_pattern_that_matches_nothing_says_what_is_there(folder, capsys, pattern, end):
    assert trajectory("--set", f"checkpoints.weights={pattern}") == 2
    error = capsys.readouterr().err
    start = f"t.yaml: checkpoints.weights: no file matches {pattern!r} in '{folder}'"
    assert error.startswith(start)
    assert error.removeprefix(start).startswith(end)


def test_files_that_hold_more_than_weights(folder, capsys):
    from small_models import perceptron

    for step in (2, 10):
        state = perceptron(step).state_dict()
        torch.save({"model": state, "step": step, "optimizer": {}}, f"w/all-{step}.pt")
    pattern = "checkpoints.weights='w/*.pt'"
    assert trajectory("--set", pattern) == 2
    error = capsys.readouterr().err
    assert "got 'model', 'step', 'optimizer'; 'model' is one: choose with entry: model.\n" in error
    wrong = ("--set", pattern, "--set", "checkpoints.entry=modle")
    for words in (wrong, (*wrong, "--dry-run")):
        assert trajectory(*words) == 2
        assert capsys.readouterr().err.endswith("no entry 'modle', did you mean 'model'?\n")
    assert trajectory("--set", pattern, "--set", "checkpoints.entry=model") == 0
    assert Trajectory.load("result").steps == [2, 10]


class TestAFolderForAFile:
    def test_it_is_said(self, folder, capsys):
        assert main(["trajectory", "w"]) == 2
        assert capsys.readouterr().err == "w: expected a YAML file, got a folder\n"

    def test_a_trainer_s_folder(self, folder, capsys):
        (folder / "run" / "checkpoint-10").mkdir(parents=True)
        assert main(["trajectory", "run"]) == 2
        line = "run: expected a YAML file, got a folder; a file with the line `checkpoints: run` "
        assert capsys.readouterr().err == f"{line}compares what is in it\n"
        (folder / "run" / "hooksim").mkdir()
        (folder / "run" / "hooksim" / "history.jsonl").write_text("")
        assert main(["trajectory", "run"]) == 2
        assert "; `hooksim report run/hooksim` makes the page of" in capsys.readouterr().err

    def test_a_result(self, folder, capsys):
        assert trajectory() == 0
        assert main(["trajectory", "result"]) == 2
        assert "; `hooksim report result` makes the page of what" in capsys.readouterr().err


class TestTransformers:
    @pytest.fixture
    def run(self, folder):
        """Two checkpoints of a tiny BERT, in the Hugging Face format."""
        config = BertConfig(
            vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=4,
        )  # fmt: skip
        for step in (2, 10):
            BertModel(config).save_pretrained(f"run/checkpoint-{step}")
        np.savez(folder / "points.npz", points=np.arange(32).reshape(8, 4) % 9)
        return folder / "run"

    @pytest.mark.parametrize("words", [[], ["--dry-run"]])
    def test_weights_that_are_cut_short(self, run, capsys, words):
        weights = run / "checkpoint-10" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-40])
        assert trajectory("--set", "checkpoints=run", *words) == 1
        error = capsys.readouterr().err
        assert error.startswith(
            "MissingWeightsError: t.yaml: checkpoints: 'run/checkpoint-10' cannot be loaded: path: "
            "cannot load 'run/checkpoint-10': 'model.safetensors' is damaged ("
        )
        assert error.count("\n") == 1

    def test_one_checkpoint_for_a_run(self, run, capsys):
        for path, above in (("run/checkpoint-10", "run"), (f"{run}/checkpoint-2", str(run))):
            assert trajectory("--set", f"checkpoints={path}") == 2
            assert capsys.readouterr().err.endswith(
                f"checkpoints.path: {path!r} holds no folder 'checkpoint-*'; it is a checkpoint "
                f"itself: a run is the folder of several, {above!r}\n"
            )


def test_a_layer_that_is_wrong_for_each_with_each(folder, capsys):
    assert trajectory("--set", "reference=all", "--set", "layers_a=x") == 2
    line = "t.yaml: layers_a: no layer of model at step 2 (Sequential) matches 'x'."
    assert capsys.readouterr().err.startswith(line)
