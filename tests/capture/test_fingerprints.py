import hashlib

import pytest
import torch
from transformers import BatchEncoding

from hooksim.capture import fingerprints as module
from hooksim.capture.fingerprints import fingerprints

IMAGES = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
IDS = torch.arange(12).reshape(4, 3)


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def test_type_shape_and_hash_of_each_sample():
    expected = [f"float32[3, 4, 4] {digest(each.numpy().tobytes())}" for each in IMAGES]
    assert fingerprints(IMAGES, 5) == expected
    assert len(set(expected)) == 5
    assert fingerprints(torch.tensor([3, 4]), 2)[1] == f"int64[] {digest(bytes([4] + [0] * 7))}"


def test_the_same_sample_anywhere_has_the_same_fingerprint():
    assert fingerprints(IMAGES[2:4], 2) == fingerprints(IMAGES, 5)[2:4]
    strided = IMAGES.contiguous(memory_format=torch.channels_last)
    assert fingerprints(strided, 5) == fingerprints(IMAGES.clone().requires_grad_(), 5)
    assert fingerprints(IMAGES.flip(0), 5) == fingerprints(IMAGES, 5)[::-1]


def test_large_batches_are_hashed_by_several_threads(monkeypatch):
    one = fingerprints(IMAGES, 5)
    monkeypatch.setattr(module, "_PARALLEL", 1)
    assert fingerprints(IMAGES, 5) == one


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (IDS, "int64[3]"),
        (IDS.bfloat16(), "bfloat16[3]"),
        (IDS.half(), "float16[3]"),
        (IDS > 3, "bool[3]"),
        (IDS.to(torch.complex64).conj(), "complex64[3]"),
        (IDS[:, :0], "int64[0]"),
        (IDS.T[:, :0].new_zeros(4), "int64[]"),
    ],
)
def test_any_type(values, kind):
    found = fingerprints(values, 4)
    assert [each.rpartition(" ")[0] for each in found] == [kind] * 4


def test_every_tensor_by_its_name_in_the_order_of_names():
    inputs = {"pixel_values": IMAGES, "input_ids": torch.arange(10).reshape(5, 2)}
    expected = [
        f"input_ids:{one};pixel_values:{two}"
        for one, two in zip(
            fingerprints(inputs["input_ids"], 5), fingerprints(IMAGES, 5), strict=True
        )
    ]
    assert fingerprints(inputs, 5) == fingerprints(BatchEncoding(inputs), 5) == expected
    assert fingerprints({"": IMAGES, "1": IMAGES[:, 0]}, 5)[0].startswith("float32[3, 4, 4] ")


@pytest.mark.parametrize(
    "name",
    ["attention_mask", "pixel_mask", "decoder_attention_mask", "position_ids", "token_type_ids"],
)
def test_what_follows_from_padding_is_left_out(name):
    plain = fingerprints({"x": IDS}, 4)
    assert fingerprints({"x": IDS, name: IDS * 0}, 4) == plain
    assert fingerprints({name: IDS}, 4) is None


def test_what_has_no_entry_for_each_sample_is_left_out():
    others = {"name": "x", "step": torch.tensor(3), "grid": IDS[:3], "names": list("abcd"), 3: None}
    assert fingerprints({"x": IDS, **others}, 4) == fingerprints({"x": IDS}, 4)


def test_names_are_no_part_of_the_format():
    assert fingerprints({"a b:c;d": IDS}, 4)[0].startswith("a%20b%3Ac%3Bd:int64[3] ")


def test_texts():
    assert fingerprints(["a", "é"], 2) == [f"str {digest(each.encode())}" for each in ("a", "é")]
    assert fingerprints({"": ["a", "é"]}, 2) == fingerprints(["a", "é"], 2)


@pytest.mark.parametrize(
    "inputs",
    [
        None,
        7,
        [1, 2],
        ["a", None],
        ["a"],
        {"name": ["a", "b"]},
        torch.tensor(3.0),
        torch.zeros(3, 2),
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, 2, device="meta"),
        {},
    ],
)
def test_nothing_to_hash(inputs):
    assert fingerprints(inputs, 2) is None
