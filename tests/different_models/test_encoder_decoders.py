"""T5 against BART on the same sentences, each with its own tokenizer, both halves of each."""

import pytest
import torch
import yaml
from transformers import AutoModel, AutoTokenizer, BartConfig, BartModel, T5Config, T5Model

import hooksim
from hooksim.cli.main import main
from tests.different_models import by_hand
from tests.different_models.conftest import SENTENCES, pieces, save, words

BLOCKS = {
    "t5": [f"{half}.block.{index}" for half in ("encoder", "decoder") for index in range(2)],
    "bart": [f"{half}.layers.{index}" for half in ("encoder", "decoder") for index in range(2)],
}


@pytest.fixture(scope="module")
def coders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coders")
    torch.manual_seed(0)
    t5 = T5Config(
        d_model=16, num_layers=2, num_heads=2, d_ff=16, d_kv=8, vocab_size=len(words()),
        decoder_start_token_id=0, pad_token_id=0,
    )  # fmt: skip
    bart = BartConfig(
        d_model=16, vocab_size=len(pieces()), max_position_embeddings=64, encoder_layers=2,
        decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, pad_token_id=0, bos_token_id=0, eos_token_id=0,
        decoder_start_token_id=0,
    )  # fmt: skip
    save(folder / "t5", T5Model(t5), words())
    save(folder / "bart", BartModel(bart), pieces())
    (folder / "sentences.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    content = {
        "model_a": str(folder / "t5"),
        "model_b": str(folder / "bart"),
        "data": {"kind": "text", "path": str(folder / "sentences.txt"), "batch_size": 7},
        "output": str(folder / "result"),
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(content))
    return folder


def alone(folder, name):
    """Each sentence by itself, its decoder fed by hand."""
    tokenizer = AutoTokenizer.from_pretrained(folder / name)
    for text in SENTENCES:
        tokens = tokenizer([text], return_tensors="pt")["input_ids"]
        moved = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], dim=1)
        yield {"input_ids": tokens, "decoder_input_ids": moved}


def test_they_are_compared(coders):
    assert main(["compare", str(coders / "c.yaml")]) == 0
    result = hooksim.Comparison.load(coders / "result")
    assert (result["cka"].layers_a, result["cka"].layers_b) == (BLOCKS["t5"], BLOCKS["bart"])
    expected = [
        by_hand.rows_by_hand(
            AutoModel.from_pretrained(coders / name),
            alone(coders, name),
            BLOCKS[name],
            by_hand.mean_of_tokens,
        )
        for name in ("t5", "bart")
    ]
    by_hand.assert_right(result, *expected)


def test_what_is_listed_is_what_is_compared(coders, capsys):
    for name, blocks in BLOCKS.items():
        assert main(["layers", str(coders / name), "--selected"]) == 0
        out = capsys.readouterr().out
        assert [line.split()[0] for line in out.splitlines()[2 : 2 + len(blocks)]] == blocks


def test_the_encoder_alone(coders, capsys):
    changes = ["--set", "model_a.auto_class=T5EncoderModel"]
    assert main(["layers", str(coders / "t5"), "--selected", *changes]) == 0
    assert capsys.readouterr().out.startswith("T5EncoderModel, 2 layers\n")
