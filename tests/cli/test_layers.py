"""`hooksim layers`, of a configuration and of a bare checkpoint."""

import json

import pytest
import torch
import transformers
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
    assert legend == (
        "output shape: of the first batch\n"
        "row width: numbers in the row of a sample (a token, where each token is a row)\n"
        "bytes: of the rows of 1,000 samples\n"
        "* what `hooksim compare c.yaml` reads\n"
    )
    assert first.splitlines() == [
        "model A (Sequential), 3 layers",
        "layer  kind    output shape  row width   bytes",
        "* 0    Linear  16 x 6                6  24,000",
        "  1    ReLU    16 x 6                6  24,000",
        "  2    Linear  16 x 3                3  12,000",
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
        "bytes_per_1000_samples": 32_000,
        "selected": True,
    }
    assert not layers["embeddings"]["selected"]


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
    assert lines[-7:-5] == [
        "(no rows from 'encoder.layer.0.attention.self.dropout',",
        "'encoder.layer.1.attention.self.dropout': it is not called in the forward pass)",
    ]


def test_layers_that_are_not_there_do_not_hide_the_listing(folder, capsys):
    assert main(["layers", "c.yaml", "--set", "layers_a=nope"]) == 0
    out, error = capsys.readouterr()
    assert "  2    Linear  16 x 3 " in out
    assert out.endswith("* marks nothing: what is selected is not there, or gives no rows\n")
    assert error.startswith("warning: c.yaml: layers_a: no layer of model A (Sequential) matches")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run"], "'run' holds no config.json; its subfolders 'checkpoint-1' have one\n"),
        (["run/checkpoint-2"], "no folder 'run/checkpoint-2', did you mean 'run/checkpoint-1'?\n"),
        (
            ["run", "--set", "data=1"],
            "--set 'data=1': of a checkpoint alone 'rows', 'layers_a', 'model_a' can be changed; "
            "any other key needs a configuration\n",
        ),
        (
            ["run", "--set", "rows=[cls, last]"],
            "run: rows: expected a list of at most 1, got ['cls', 'last']\n",
        ),
        (
            ["run", "--set", "dtype=float16"],
            "--set 'dtype=float16': of a checkpoint alone 'rows', 'layers_a', 'model_a' can be "
            "changed, did you mean model_a.dtype?\n",
        ),
        (["points.npz"], "'points.npz' is no checkpoint but arrays: {kind: features, path: points.npz}\n"),  # noqa: E501
        (["no.yaml"], "no.yaml: cannot be read: No such file or directory\n"),
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(folder, capsys, words, line):
    (folder / "run" / "checkpoint-1").mkdir(parents=True)
    (folder / "run" / "checkpoint-1" / "config.json").write_text("{}")
    assert main(["layers", *words]) == 2
    assert capsys.readouterr() == ("", line)


def test_a_model_that_does_not_run_on_a_made_up_input(folder, capsys, monkeypatch):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    monkeypatch.setattr(BertModel, "forward", lambda self, input_ids: input_ids + None)
    assert main(["layers", "run"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "run: BertModel does not run on an input 'input_ids' made up from its configuration "
        "(TypeError: unsupported operand"
    )
    assert error.endswith("; give a configuration with data instead\n")
    assert error.count("\n") == 1


TEXT = {**SIZES, "vocab_size": 5, "num_hidden_layers": 1, "pad_token_id": 0}
TEXT |= {"bos_token_id": 1, "eos_token_id": 2}
VISION = {**SIZES, "image_size": 8, "patch_size": 4, "num_hidden_layers": 1}
CODER = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
CODER |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
CODER |= {"vocab_size": 5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
CODER |= {"decoder_start_token_id": 1}
T5 = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 5}
SOUND = {**SIZES, "conv_dim": [4] * 7, "num_conv_pos_embeddings": 4, "num_hidden_layers": 2}
ZOO = {
    "BertModel": (TEXT, ["encoder.layer.0"]),
    "GPT2LMHeadModel": (
        {"n_embd": 8, "n_layer": 2, "n_head": 2, "vocab_size": 5},
        ["transformer.h.0", "transformer.h.1"],
    ),
    "LlamaForCausalLM": ({**TEXT, "num_hidden_layers": 2}, ["model.layers.0", "model.layers.1"]),
    "MixtralModel": (
        {**TEXT, "num_key_value_heads": 2, "num_local_experts": 4, "num_hidden_layers": 2},
        ["layers.0", "layers.1"],
    ),
    "MambaModel": (
        {"hidden_size": 8, "state_size": 4, "num_hidden_layers": 2, "vocab_size": 5},
        ["layers.0", "layers.1"],
    ),
    "T5ForConditionalGeneration": (
        {**T5, "decoder_start_token_id": 0},
        ["encoder.block.0", "decoder.block.0"],
    ),
    "BartModel": (CODER, ["encoder.layers.0", "decoder.layers.0"]),
    "LEDModel": ({**CODER, "attention_window": 4}, ["encoder.layers.0", "decoder.layers.0"]),
    "CLIPModel": (
        {"text_config": TEXT, "vision_config": VISION, "projection_dim": 4},
        ["text_model.encoder.layers.0", "vision_model.encoder.layers.0"],
    ),
    "WhisperModel": (
        {**CODER, "num_mel_bins": 4, "max_source_positions": 10},
        ["encoder.layers.0", "decoder.layers.0"],
    ),
    "Speech2TextModel": (
        {**CODER, "input_feat_per_channel": 8, "conv_channels": 8, "max_source_positions": 20},
        ["encoder.layers.0", "decoder.layers.0"],
    ),
    "Wav2Vec2Model": (
        {**SOUND, "num_conv_pos_embedding_groups": 2},
        ["encoder.layers.0", "encoder.layers.1"],
    ),
    "ASTModel": (
        {**SIZES, "max_length": 32, "num_mel_bins": 16, "patch_size": 8, "num_hidden_layers": 1},
        ["layers.0"],
    ),
    "ResNetModel": (
        {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"},
        ["encoder.stages.0.layers.0", "encoder.stages.1.layers.0"],
    ),
    "ViTModel": (VISION, ["layers.0"]),
    "CanineModel": (
        TEXT,
        ["initial_char_encoder.layer.0", "encoder.layer.0", "final_char_encoder.layer.0"],
    ),
    "ViltModel": ({**TEXT, **VISION}, ["encoder.layer.0"]),
    "LongformerModel": ({**TEXT, "attention_window": 4}, ["encoder.layer.0"]),
    "YolosModel": ({**VISION, "image_size": [16, 24]}, ["encoder.layer.0"]),
    "EncodecModel": (
        {"num_filters": 4, "hidden_size": 8, "codebook_size": 8, "upsampling_ratios": [4, 2]},
        None,
    ),
    "VideoMAEModel": ({**VISION, "num_frames": 2}, ["encoder.layer.0"]),
    "PatchTSTModel": (
        {"num_input_channels": 2, "context_length": 32, "patch_length": 8, "num_hidden_layers": 1}
        | {"d_model": 8, "num_attention_heads": 2, "ffn_dim": 8},
        ["encoder.layers.0"],
    ),
    "PerceiverModel": (
        {"num_latents": 4, "d_latents": 8, "d_model": 8, "num_self_attends_per_block": 2}
        | {"num_self_attention_heads": 2, "num_cross_attention_heads": 2},
        ["encoder.self_attends.0", "encoder.self_attends.1"],
    ),
}


@pytest.mark.parametrize("name", ZOO)
def test_a_bare_checkpoint_of_many_kinds(folder, capsys, monkeypatch, name):
    settings, default = ZOO[name]
    monkeypatch.setenv("COLUMNS", "80")
    model_class = getattr(transformers, name)
    save(model_class(model_class.config_class(**settings)), "run")
    assert main(["layers", "run"]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    assert max(map(len, out.splitlines())) <= 80
    *_, legend = (line for line in out.splitlines() if line.startswith("* "))
    marked = [line.split()[1] for line in out.splitlines() if line.startswith("* ")]
    assert legend == "* compared where no layers are chosen"
    assert default is None or marked[:-1] == default


def test_long_names_have_a_line_of_their_own_where_the_terminal_is_narrow(
    folder, capsys, monkeypatch
):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["layers", "run"]) == 0
    narrow = capsys.readouterr().out.splitlines()
    place = narrow.index("  encoder.layer.0.attention.self.query")
    assert narrow[place + 1].split() == ["Linear", *["3", "x", "5", "x", "8", "8", "32,000"]]
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["layers", "run"]) == 0
    wide = capsys.readouterr().out.splitlines()
    [line] = [line for line in wide if "attention.self.query" in line]
    assert line.split() == ["encoder.layer.0.attention.self.query", *narrow[place + 1].split()]


def test_each_layer_is_one_line_where_there_is_no_terminal(folder, capsys, monkeypatch):
    def no_terminal(_descriptor):
        raise OSError

    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", no_terminal)
    assert main(["layers", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [line] = [line for line in lines if "attention.self.query" in line]
    assert line.split()[1] == "Linear"
    assert max(len(line) for line in lines if line.startswith("(no rows")) <= 80


def test_a_layer_that_is_not_there_is_told_once(folder, capsys):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    assert main(["layers", "run", "--selected", "--set", "layers_a=encoder.layers.0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("run: no layer of model (BertModel) matches 'encoder.layers.0'. Close ")
    assert error.endswith(". `hooksim layers run` shows all.\n")


def test_damaged_weights_have_no_key_in_front(folder, capsys):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    (folder / "run" / "model.safetensors").write_bytes(b"cut")
    assert main(["layers", "run"]) == 1
    assert capsys.readouterr().err.startswith("MissingWeightsError: cannot load 'run': ")


def test_bytes_of_token_rows_are_those_of_samples_like_the_batch_s(folder, capsys):
    (folder / "tokens.py").write_text(
        "import torch\n"
        "def batches():\n"
        "    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])\n"
        "    return [{'input_ids': mask, 'attention_mask': mask}]\n"
    )
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=1, **SIZES)), "run")
    (folder / "t.yaml").write_text(
        "{model_a: run, model_b: run, data: {kind: python, factory: 'tokens:batches'}, rows: token}"
    )
    assert main(["layers", "t.yaml", "--json"]) == 0
    side, _ = json.loads(capsys.readouterr().out)["sides"]
    [layer] = [layer for layer in side["layers"] if layer["name"] == "encoder.layer.0"]
    assert layer["row_bytes"] == 32
    assert layer["bytes_per_1000_samples"] == 1000 * 2 * 32  # 4 tokens in 2 samples


def test_only_what_is_selected(folder, capsys):
    save(BertModel(BertConfig(vocab_size=5, num_hidden_layers=2, **SIZES)), "run")
    assert main(["layers", "run", "--selected"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "BertModel, 2 layers"
    assert [line.split()[0] for line in out.splitlines()[2:4]] == [
        "encoder.layer.0",
        "encoder.layer.1",
    ]
    assert out.endswith("\nlisted: compared where no layers are chosen\n")
    assert main(["layers", "c.yaml", "--selected", "--set", "layers_b='1'"]) == 0
    out = capsys.readouterr().out
    assert "model B (Sequential), 1 layers" in out
    assert out.endswith("\nlisted: what `hooksim compare c.yaml` reads\n")
    assert main(["layers", "c.yaml", "--selected", "--set", "layers_b=nope"]) == 2
    assert "matches 'nope'" in capsys.readouterr().err


def test_rows_and_layers_of_a_bare_checkpoint(folder, capsys):
    config = transformers.XLNetConfig(vocab_size=9, d_model=8, n_layer=2, n_head=2, d_inner=8)
    save(transformers.XLNetModel(config), "run")
    assert main(["layers", "run", "--selected"]) == 2
    assert capsys.readouterr().err.endswith(
        "Dimension 1 is 3 long: of a model that puts time first inside, take "
        "rows: {batch_dim: 1}.\n"
    )
    assert main(["layers", "run"]) == 0  # all of them, and why the blocks give none
    out, error = capsys.readouterr()
    assert error.startswith("warning: run: no layer of model (XLNetModel) gives rows.")
    assert "* marks nothing: what is selected is not there, or gives no rows" in out
    assert "rows: {batch_dim: 1}" in out.replace("\n", " ")
    rows = ["--set", "rows={batch_dim: 1}"]
    assert main(["layers", "run", "--selected", *rows]) == 0
    assert "layer.1  XLNetLayer  5 x 3 x 8" in capsys.readouterr().out
    assert main(["layers", "run", "--selected", *rows, "--set", "layers_a=layer.0.ff"]) == 0
    out = capsys.readouterr().out
    assert "XLNetModel, 1 layers" in out and out.endswith("listed: chosen by layers_a\n")


def test_a_recording_takes_no_changes(folder, capsys):
    (folder / "rows").mkdir()
    (folder / "rows" / "0.bin").write_bytes(b"")
    assert main(["layers", "rows", "--set", "rows=cls"]) == 2
    line = "--set changes a configuration; a recording has none\n"
    assert capsys.readouterr().err == line
