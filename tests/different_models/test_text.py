"""BERT against GPT-2 on the same sentences, each with its own tokenizer."""

import pytest
import torch
import yaml
from transformers import AutoModel, AutoTokenizer

import hooksim
from hooksim.cli.main import main
from tests.different_models import by_hand
from tests.different_models.conftest import SENTENCES

BERT = [f"encoder.layer.{index}" for index in range(3)]
GPT2 = [f"h.{index}" for index in range(2)]
POOLS = {"mean": by_hand.mean_of_tokens, "cls": by_hand.first_token, "last": by_hand.last_token}


@pytest.fixture(scope="module")
def loaded(zoo):
    models = {name: AutoModel.from_pretrained(zoo / name) for name in ("bert", "gpt2")}
    tokenizers = {name: AutoTokenizer.from_pretrained(zoo / name) for name in models}
    tokenizers["gpt2"].pad_token = tokenizers["gpt2"].eos_token
    return models, tokenizers


def alone(tokenizer):
    """Each sentence by itself: no padding at all."""
    return [dict(tokenizer([text], return_tensors="pt")) for text in SENTENCES]


def expected(loaded, name, layers, policy):
    models, tokenizers = loaded
    batches = alone(tokenizers[name])
    return by_hand.rows_by_hand(models[name], batches, layers, POOLS[policy])


def write_config(zoo, path, **changes):
    content = {
        "model_a": str(zoo / "bert"),
        "model_b": str(zoo / "gpt2"),
        "data": {"kind": "text", "path": str(zoo / "sentences.txt"), "batch_size": 7},
        "output": str(path / "result"),
    }
    (path / "c.yaml").write_text(yaml.safe_dump({**content, **changes}))
    return str(path / "c.yaml")


@pytest.mark.parametrize(("rows_a", "rows_b"), [("mean", "mean"), ("mean", "cls"), ("cls", "last")])
def test_the_command(zoo, loaded, tmp_path, rows_a, rows_b):
    config = write_config(zoo, tmp_path, rows=[rows_a, rows_b])
    assert main(["compare", config]) == 0
    result = hooksim.Comparison.load(tmp_path / "result")
    assert (result["cka"].layers_a, result["cka"].layers_b) == (BERT, GPT2)
    by_hand.assert_right(
        result, expected(loaded, "bert", BERT, rows_a), expected(loaded, "gpt2", GPT2, rows_b)
    )


def test_the_batch_size_changes_nothing(zoo, tmp_path):
    values = []
    for size in ("3", "60"):
        config = write_config(zoo, tmp_path)
        assert main(["compare", config, "--set", f"data.batch_size={size}", "--overwrite"]) == 0
        values.append(hooksim.Comparison.load(tmp_path / "result")["cka"].values)
    assert (values[0] - values[1]).abs().max() <= 1e-5


def paired(tokenizers, side, size=7):
    """Batches padded on one side, GPT-2's positions counted from its first real token."""
    for begin in range(0, len(SENTENCES), size):
        halves = []
        for name in ("bert", "gpt2"):
            batch = dict(
                tokenizers[name](
                    SENTENCES[begin : begin + size],
                    padding=True,
                    padding_side=side,
                    return_tensors="pt",
                )
            )
            batch["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
            halves.append(batch)
        yield hooksim.PairedBatch(*halves)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("policy", ["mean", "cls", "last"])
def test_padding_on_either_side(loaded, side, policy):
    models, tokenizers = loaded
    loader = list(paired(tokenizers, side))
    assert any((batch.b["attention_mask"][:, 0] == 0).any() for batch in loader) == (side == "left")
    result = hooksim.compare(models["bert"], models["gpt2"], loader, rows=policy)
    by_hand.assert_right(
        result, expected(loaded, "bert", BERT, policy), expected(loaded, "gpt2", GPT2, policy)
    )


def test_pooling_without_the_masks_gives_other_values(loaded):
    models, tokenizers = loaded
    naive = [
        by_hand.rows_by_hand(
            models[name],
            [
                {**half, "attention_mask": torch.ones_like(half["attention_mask"])}
                for half in halves
            ],
            layers,
            by_hand.mean_of_tokens,
        )
        for name, layers, halves in (
            ("bert", BERT, [batch.a for batch in paired(tokenizers, "right")]),
            ("gpt2", GPT2, [batch.b for batch in paired(tokenizers, "right")]),
        )
    ]
    result = hooksim.compare(models["bert"], models["gpt2"], paired(tokenizers, "right"))
    with pytest.raises(AssertionError):
        by_hand.assert_right(result, *naive, within=1e-2)
