"""Files of weights: damaged, elsewhere, or among other things in a file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel

from hooksim.errors import ConfigError, MissingWeightsError
from hooksim.loading import load_model
from hooksim.loading.checkpoint import transformers_messages_off


def linear(weights: Path | None, **keys):
    """Load a layer from a file."""
    sizes = {"in_features": 3, "out_features": 2}
    spec = {"kind": "python", "factory": "torch.nn:Linear", "kwargs": sizes, **keys}
    return load_model({**spec, "weights": None if weights is None else str(weights)})


@pytest.fixture
def checkpoint(tmp_path):
    """A tiny model in the Hugging Face format, its weights in several files."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30, num_hidden_layers=2, hidden_size=8, intermediate_size=16,
        num_attention_heads=2,
    )  # fmt: skip
    with transformers_messages_off():
        BertModel(config).save_pretrained(tmp_path / "run", max_shard_size="5KB")
    return tmp_path / "run"


def in_one_file(folder: Path) -> Path:
    """Put the weights of a checkpoint into one file of torch, beside what the Trainer writes."""
    state = load_model(folder).model.state_dict()
    for file in folder.glob("model*"):
        file.unlink()
    torch.save(state, folder / "pytorch_model.bin")
    torch.save({"epochs": 3}, folder / "training_args.bin")
    load_model(folder)
    return folder / "pytorch_model.bin"


class TestDamagedCheckpoints:
    def test_one_of_several_files(self, checkpoint):
        first, second = sorted(checkpoint.glob("*.safetensors"))[:2]
        whole = second.read_bytes()
        for size in (0, 5, -30):
            second.write_bytes(whole[:size])
            match = rf"^path: cannot load '.*run': '{second.name}' is damaged \(Error while .+\)$"
            with pytest.raises(MissingWeightsError, match=match):
                load_model(checkpoint)
        second.write_bytes(whole)
        first.unlink()
        with pytest.raises(MissingWeightsError, match=rf"cannot load .*: No such .*{first.name}"):
            load_model(checkpoint)

    @pytest.mark.parametrize("size", [0, 300, -200])
    def test_a_file_of_torch(self, checkpoint, size):
        weights = in_one_file(checkpoint)
        weights.write_bytes(weights.read_bytes()[:size])
        with pytest.raises(MissingWeightsError, match=r"'pytorch_model.bin' is damaged \(.+\)$"):
            load_model(checkpoint)

    def test_a_file_that_would_run_code_is_refused(self, checkpoint):
        torch.save(nn.Linear(2, 2), in_one_file(checkpoint))
        with pytest.raises(ConfigError, match=r"^path: .*run' holds more than tensors .* refused"):
            load_model(checkpoint)

    def test_the_arguments_of_a_trainer_are_no_weights(self, checkpoint):
        in_one_file(checkpoint).unlink()
        with pytest.raises(MissingWeightsError, match="holds no weights: none of its files is"):
            load_model(checkpoint)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_file_that_is_damaged(tmp_path, name):
    path = tmp_path / name
    save = save_file if name == "w.safetensors" else torch.save
    save(nn.Linear(3, 2).state_dict(), path)
    whole = path.read_bytes()
    for content in (whole[:-30], b""):
        path.write_bytes(content)
        with pytest.raises(MissingWeightsError, match=f"^weights: cannot read '{path}': "):
            linear(path)


def test_of_damage_the_first_sentence_is_told(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:-30])
    with pytest.raises(MissingWeightsError) as raised:
        linear(tmp_path / "w.pt")
    told = str(raised.value).partition(": it is damaged or cut short (")[2]
    assert told.endswith(")") and ". " not in told
    assert told.removesuffix(")") in str(raised.value.__cause__)


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "weights.pt").touch()
    with pytest.raises(ConfigError, match=r"^weights: no file '.*wights.pt', did you mean 'weig"):
        linear(tmp_path / "wights.pt")
    with pytest.raises(ConfigError, match=r"^weights: no file '.*x/x.pt' in '"):
        linear(tmp_path / "x" / "x.pt")


ALL = "'epoch', 'model', 'ema', 'optimizer'"


class TestEntry:
    """Files that hold more than the weights, and which part of them is meant."""

    @pytest.fixture
    def folder(self, tmp_path):
        state = nn.Linear(3, 2).state_dict()
        held = {"epoch": 3, "model": state, "ema": state, "optimizer": {}}
        torch.save(held, tmp_path / "all.pt")
        torch.save({"state_dict": state, "lr": 0.1}, tmp_path / "lightning.ckpt")
        torch.save([1], tmp_path / "list.pt")
        save_file(state, tmp_path / "w.safetensors")
        return tmp_path

    def test_it_is_chosen(self, folder):
        expected = torch.load(folder / "all.pt")["model"]["weight"]
        for name, entry in (("all.pt", "model"), ("lightning.ckpt", "state_dict")):
            model, notes = linear(folder / name, entry=entry)
            assert torch.equal(model.weight, expected)
            assert notes == ()

    @pytest.mark.parametrize(
        ("name", "entry", "words"),
        [
            ("all.pt", None, f"got {ALL}; 'model', 'ema' are such: choose with entry: model"),
            ("lightning.ckpt", None, "got 'state_dict', 'lr'; 'state_dict' is one: choose with en"),
            ("all.pt", "modle", "all.pt' has no entry 'modle', did you mean 'model'?"),
            ("all.pt", "x", f"all.pt' has no entry 'x'; it has {ALL}"),
            ("all.pt", "epoch", "expected a state dict of names and tensors in entry 'epoch' of "),
            ("list.pt", "model", "list.pt' has no entry 'model'; it has list"),
            ("w.safetensors", "model", "w.safetensors' has no entry 'model'; it has 'bias', 'we"),
            (None, "model", "entry: 'model' is that of a file, and there are no weights"),
        ],
    )
    def test_nothing_is_guessed(self, folder, name, entry, words):
        with pytest.raises(ConfigError) as error:
            linear(None if name is None else folder / name, entry=entry)
        assert words in str(error.value)
        assert "\n" not in str(error.value)
