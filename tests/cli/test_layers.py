"""`hooksim layers`, of a configuration and of a bare checkpoint."""

import json

import pytest
import torch
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

from hooksim.cli.main import main
from hooksim.loading.checkpoint import transformers_messages_off

SIZES = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2}


def save(model, path):
    with transformers_messages_off():
        model.save_pretrained(path)


def test_a_configuration_marks_what_it_selects(folder, capsys):
    assert main(["layers", "c.yaml", "--set", "layers_a='0'", "--set", "rows=flatten"]) == 0
    out = capsys.readouterr().out
    first, second, legend = out.split("\n\n")
    assert legend == "* what `hooksim compare c.yaml` reads\n"
    lines = first.splitlines()
    assert lines[0] == "model A (Sequential), 3 layers"
    assert lines[1].split("  ")[0] == "layer"
    assert lines[2:] == [
        "* 0    Linear  16 x 6                6                24,000",
        "  1    ReLU    16 x 6                6                24,000",
        "  2    Linear  16 x 3                3                12,000",
    ]
    assert second.startswith("model B (Sequential), 3 layers")


def test_a_text_model_runs_on_its_dummy_inputs(folder, capsys):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=2, **SIZES)), "run")
    assert main(["layers", "run", "--json"]) == 0
    [side] = json.loads(capsys.readouterr().out)["sides"]
    layers = {layer["name"]: layer for layer in side["layers"]}
    assert layers["encoder.layer.1"] == {
        "name": "encoder.layer.1",
        "kind": "BertLayer",
        "output_shape": [3, 5, 8],
        "row_width": 8,
        "row_bytes": 32,
    }


def test_a_vision_model_runs_on_a_picture_of_its_size(folder, capsys):
    config = ViTConfig(image_size=8, patch_size=4, num_channels=1, num_hidden_layers=1, **SIZES)
    save(ViTModel(config).to(torch.bfloat16), "run")
    assert main(["layers", "run"]) == 0
    assert "layers.0 " in capsys.readouterr().out


def test_a_bare_checkpoint_marks_the_default_layers(folder, capsys):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=2, **SIZES)), "run")
    assert main(["layers", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "BertModel, 43 layers"
    marked = [line.split()[1] for line in lines if line.startswith("* ")]
    assert marked == ["encoder.layer.0", "encoder.layer.1", "compared"]
    assert lines[-1] == "* compared where no layers are chosen"
    assert lines[-3] == (
        "(no rows from 'encoder.layer.0.attention.self.dropout', "
        "'encoder.layer.1.attention.self.dropout': it is not called in the forward pass)"
    )


def test_layers_that_are_not_there_do_not_hide_the_listing(folder, capsys):
    assert main(["layers", "c.yaml", "--set", "layers_a=nope"]) == 0
    out, error = capsys.readouterr()
    assert "  2    Linear  16 x 3 " in out
    assert out.endswith("* marks nothing: the layers of the configuration are wrong\n")
    assert error.startswith("warning: c.yaml: layers_a: no layer of model A (Sequential) matches")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run"], "'run' holds no config.json; its subfolders 'checkpoint-1' have one\n"),
        (["run/checkpoint-2"], "no folder 'run/checkpoint-2', did you mean 'run/checkpoint-1'?\n"),
        (["run", "--set", "a=1"], "--set changes a configuration; a checkpoint has none\n"),
        (["no.yaml"], "no.yaml: cannot be read: No such file or directory\n"),
    ],
)
def test_one_line_for_what_is_wrong(folder, capsys, words, line):
    (folder / "run" / "checkpoint-1").mkdir(parents=True)
    (folder / "run" / "checkpoint-1" / "config.json").write_text("{}")
    assert main(["layers", *words]) == 2
    assert capsys.readouterr() == ("", line)


def test_a_model_that_does_not_run_on_a_made_up_input(folder, capsys, monkeypatch):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    monkeypatch.setattr(BertModel, "forward", lambda self, input_ids: input_ids + None)
    assert main(["layers", "run"]) == 2
    assert capsys.readouterr().err == (
        "run: BertModel does not run on a made-up input (TypeError); "
        "give a configuration with data instead\n"
    )
