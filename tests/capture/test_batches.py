from collections import namedtuple

import numpy as np
import pytest
import torch
from transformers import BatchEncoding

from hooksim.capture.batches import (
    PairedBatch,
    batch_size,
    describe,
    first_samples,
    main_tensor,
    move_batch,
)
from hooksim.errors import ConfigError


@pytest.mark.parametrize(
    "item",
    [
        torch.zeros(3, 2),
        (torch.zeros(3, 2), torch.zeros(5)),
        [torch.zeros(3, 2)],
        {"labels": torch.zeros(7), "input_ids": torch.zeros(3, 4)},
        {"note": "text", "x": torch.zeros(3, 4)},
        BatchEncoding({"input_ids": torch.zeros(3, 4)}),
        ({"input_ids": torch.zeros(3, 4)}, torch.zeros(9)),
        PairedBatch(torch.zeros(3), torch.zeros(4)),
        ["one", "two", "three"],
        np.zeros((3, 2)),
    ],
)
def test_size(item):
    assert batch_size(item) == 3


@pytest.mark.parametrize("item", [torch.tensor(3.0), {"note": "text"}, 7, None])
def test_no_size_is_an_error(item):
    kind = type(item).__name__
    with pytest.raises(ConfigError, match=f"loader: cannot count the samples of a {kind} batch"):
        batch_size(item)


def test_cutting_keeps_kinds_and_other_lengths():
    item = {
        "input_ids": torch.arange(6).reshape(3, 2),
        "sample_ids": ["a", "b", "c"],
        "weights": torch.zeros(5),
        "array": np.arange(3),
        "pair": ("x", "y"),
    }
    cut = first_samples(item, 2)
    assert cut["input_ids"].tolist() == [[0, 1], [2, 3]]
    assert cut["sample_ids"] == ["a", "b"]
    assert cut["weights"].shape == (5,)
    assert cut["array"].tolist() == [0, 1]
    assert cut["pair"] == ("x", "y")
    assert len(item["sample_ids"]) == 3


def test_cutting_pairs_and_encodings():
    pair = PairedBatch(torch.zeros(3, 2), BatchEncoding({"input_ids": torch.zeros(3, 4)}), "abc")
    cut = first_samples(pair, 1)
    assert cut.a.shape == (1, 2)
    assert isinstance(cut.b, BatchEncoding)
    assert cut.b.input_ids.shape == (1, 4)
    assert cut.ids == "a"
    assert pair.b.input_ids.shape == (3, 4)


def test_cutting_named_tuples():
    kind = namedtuple("Batch", "x y")
    cut = first_samples(kind(torch.zeros(3, 2), torch.zeros(3)), 2)
    assert isinstance(cut, kind)
    assert cut.y.shape == (2,)


def test_moving_leaves_the_given_batch_alone():
    encoding = BatchEncoding({"input_ids": torch.zeros(3, 4), "text": "words"})
    moved = move_batch([encoding, (torch.zeros(2), None)], torch.device("meta"))
    assert moved[0].input_ids.device.type == "meta"
    assert moved[0]["text"] == "words"
    assert moved[1][0].device.type == "meta"
    assert moved[1][1] is None
    assert encoding.input_ids.device.type == "cpu"


@pytest.mark.parametrize(
    ("batch", "key"),
    [
        ({"labels": torch.zeros(7), "input_ids": torch.zeros(3, 4)}, "input_ids"),
        ({"attention_mask": torch.zeros(3), "pixel_values": torch.zeros(3, 4)}, "attention_mask"),
        ({"note": "text", "n": torch.tensor(3), "x": torch.zeros(3, 4)}, "x"),
    ],
)
def test_the_main_tensor(batch, key):
    assert main_tensor(batch) is batch[key]


def test_no_main_tensor():
    assert main_tensor({"note": "text", "n": torch.tensor(3)}) is None


def test_positions_in_a_recording_are_counted_and_cut():
    assert batch_size(range(5, 12)) == 7
    assert first_samples(range(5, 12), 2) == range(5, 7)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_nested_tensor_is_described_without_its_shape():
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    assert describe((nested, None)) == "tuple of nested float32, NoneType"
