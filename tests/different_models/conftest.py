"""Two language models and two vision models on the disk, with tokenizers and image processors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    ConvNextImageProcessorPil,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from hooksim.loading.checkpoint import transformers_messages_off

SENTENCES = (Path(__file__).parents[2] / "configs/sentences.txt").read_text().splitlines()[:60]
SENTENCES = [" ".join(text.split()[: 2 + place % 11]) for place, text in enumerate(SENTENCES)]


def words() -> PreTrainedTokenizerFast:
    """A word a token, [CLS] in front and [SEP] behind, padded on the right."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordLevelTrainer(special_tokens=special)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]"
    )


def pieces() -> PreTrainedTokenizerFast:
    """Pieces of words, no padding token, padded on the left as for generation."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|end|>"])
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", padding_side="left"
    )


def save(folder: Path, model: torch.nn.Module, preparation: object) -> None:
    with transformers_messages_off():
        model.save_pretrained(folder)
        preparation.save_pretrained(folder)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory) -> Path:
    """A folder with `bert`, `gpt2`, `vit`, `resnet`, `sentences.txt` and `pictures`."""
    folder = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    bert = BertConfig(vocab_size=len(words()), num_hidden_layers=3, **sizes)
    gpt2 = GPT2Config(n_embd=24, n_layer=2, n_head=2, vocab_size=len(pieces()))
    save(folder / "bert", BertModel(bert), words())
    save(folder / "gpt2", GPT2Model(gpt2), pieces())
    vit = ViTConfig(image_size=16, patch_size=4, num_hidden_layers=3, **sizes)
    square = ViTImageProcessorPil(size={"height": 16, "width": 16})
    resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2])
    cropped = ConvNextImageProcessorPil(size={"shortest_edge": 24}, crop_pct=0.75)
    save(folder / "vit", ViTModel(vit), square)
    save(folder / "resnet", ResNetModel(resnet), cropped)
    (folder / "sentences.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    _paint(folder / "pictures")
    return folder


def _paint(folder: Path) -> None:
    """Forty pictures of different sizes, a few of them grey or transparent, in two folders."""
    generator = np.random.default_rng(0)
    for number in range(40):
        size = tuple(generator.integers(20, 40, size=2))
        coarse = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        mode = {0: "L", 1: "RGBA"}.get(number % 5, "RGB")
        place = folder / ("left" if number % 2 else "right")
        place.mkdir(parents=True, exist_ok=True)
        picture.convert(mode).save(place / f"{number}.png")
