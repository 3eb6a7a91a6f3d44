"""Loaders and batches that a model cannot read: the message says what to give instead."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from hooksim import ConfigError, LayerNotFoundError, compare
from tests.capture.tiny_models import text_batch, tiny

X = torch.randn(40, 6)
TEXTS = ["one text", "another"]
MASK = text_batch([3, 5])["attention_mask"]


def refused(model, loader, error=ConfigError, **options):
    with pytest.raises(error) as caught:
        compare(model, model, loader, progress=False, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (TensorDataset(X), "got TensorDataset. Wrap it in torch.utils.data.DataLoader."),
        ({"x": X}, "got dict. Put a batch in a list."),
    ],
)
def test_what_is_no_loader(loader, message):
    assert message in refused(nn.Linear(6, 3), loader)


@pytest.mark.parametrize("loader", [X, list(X)])
def test_single_samples(loader):
    message = refused(nn.Sequential(nn.Linear(6, 3)), loader, LayerNotFoundError)
    assert message.endswith(
        "The loader gave (6,), read as 6 samples: if it is one sample, as list(tensor) gives, use "
        "[tensor], tensor.split(64) or a DataLoader."
    )


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (TEXTS, "It holds texts: tokenize them first, tokenizer(texts, padding=True, return_"),
        ({"input_ids": TEXTS}, "It holds texts: tokenize them first"),
        ({"sample_ids": TEXTS, "input_ids": [[3, 4], [5, 6]]}, "with return_tensors='pt'."),
        ({"input_ids": np.ones((2, 3), int)}, "It holds NumPy arrays: convert them with torch.f"),
        (np.ones((2, 3)), "It holds NumPy arrays: convert them with torch.from_numpy."),
        ((np.ones((2, 3)), np.ones(2)), "convert them with torch.from_numpy."),
    ],
)
def test_what_is_no_tensor(batch, message):
    assert message in refused(tiny("Bert"), [batch])


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (torch.Tensor.tolist, "It holds lists: a tokenizer gives tensors with return_tensors='pt'"),
        (torch.Tensor.numpy, "It holds NumPy arrays: convert them with torch.from_numpy"),
    ],
)
def test_a_mask_that_is_no_tensor(make, hint):
    """The model's own error stays: it may take lists, and have failed at something else."""
    batch = text_batch([3, 5])
    with pytest.raises(AttributeError) as caught:
        compare(tiny("Bert"), tiny("Bert"), [{**batch, "attention_mask": make(MASK)}])
    [note] = caught.value.__notes__
    assert note.endswith(f"; 'attention_mask': {hint}")


def test_a_model_that_reads_texts_itself():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 3)

        def forward(self, texts):
            return self.linear(torch.tensor([[float(len(text))] for text in texts]))

    texts = ["x" * length for length in range(20)]
    assert compare(Reads(), Reads(), [texts], progress=False).n_samples == 20
