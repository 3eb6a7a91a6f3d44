import pytest
import torch

from hooksim.capture.mask_forms import (
    ends_in_runs,
    is_added,
    is_binary,
    kept_tokens,
    mask_key,
    padding_is_marked,
)

KEEP = torch.tensor([[True, True, False], [True, True, True]])
LEAST = torch.finfo(torch.float16).min


@pytest.mark.parametrize(
    "mask",
    [
        KEEP,
        KEEP.long() * 7,
        KEEP.float() / 2,
        torch.zeros(2, 3).masked_fill(~KEEP, -torch.inf),
        torch.zeros(2, 3).half().masked_fill(~KEEP, LEAST),
        KEEP[:, None],
        KEEP[:, None, None].expand(2, 4, 3, 3),
        torch.tensor([[-0.5, 0.0, -1e4], [-0.25, -1.0, 0.0]])[:, None],
    ],
)
def test_every_form_says_the_same(mask):
    assert kept_tokens(mask).tolist() == KEEP.tolist()


def test_one_that_any_token_or_head_sees_is_real():
    mask = torch.zeros(1, 2, 3, 3)
    mask[0, 1, 2, 0] = mask[0, 0, 0, 1] = 1
    assert kept_tokens(mask).tolist() == [[True, True, False]]


def test_ones_for_padding():
    assert kept_tokens(~KEEP, True).tolist() == KEEP.tolist()
    added = torch.zeros(2, 3).masked_fill(~KEEP, -torch.inf)
    assert kept_tokens(added, True).tolist() == KEEP.tolist()


def test_zeros():
    assert not kept_tokens(torch.zeros(2, 3)).any()
    assert kept_tokens(torch.zeros(2, 1, 1, 3)).all()
    assert not kept_tokens(torch.zeros(2, 1, 1, 3).bool()).any()


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (2, 1, 4, 3), (2, 1, 1, 3, 3)])
def test_other_shapes_are_none(shape):
    assert kept_tokens(torch.ones(shape)) is None


def test_what_is_added_to_scores():
    assert is_added(torch.tensor([0.0, -1e9]))
    assert not is_added(torch.tensor([0.0, -1.0]))
    assert not is_added(torch.tensor([1.0, -1e9]))
    assert not is_added(torch.tensor([0, -(10**9)]))


def test_nothing_but_zeros_and_ones():
    assert is_binary(torch.tensor([0.0, 1.0]))
    assert is_binary(torch.ones(0))
    assert not is_binary(torch.tensor([0, 2]))


@pytest.mark.parametrize(
    ("padding", "ends"),
    [
        ([[0, 0, 1], [1, 0, 0]], True),
        ([[0, 0, 0], [0, 1, 1]], True),
        ([[0, 1, 0], [0, 0, 1]], False),
        ([[1, 0, 1], [0, 0, 0]], False),
        ([[0, 0, 0], [0, 0, 0]], False),
        ([[1, 1, 1], [0, 0, 1]], False),
    ],
)
def test_runs_at_the_ends(padding, ends):
    assert ends_in_runs(torch.tensor(padding).bool()) is ends


def test_what_ones_mark_by_name():
    assert padding_is_marked("attention_mask") is False
    assert padding_is_marked("tgt_key_padding_mask") is True
    assert padding_is_marked("padding_mask") is padding_is_marked("src_pad_mask") is None
    assert padding_is_marked("padding_mask", False) is False
    assert padding_is_marked("src_key_padding_mask", False) is False


def test_the_key_of_a_mask():
    source, target = {"src_key_padding_mask": KEEP}, {"tgt_key_padding_mask": KEEP}
    memory = {"memory_key_padding_mask": KEEP}
    given = {**memory, **target, **source}
    assert mask_key(given, "attention_mask") == "src_key_padding_mask"
    assert mask_key(given, "decoder_attention_mask") == "tgt_key_padding_mask"
    assert mask_key({**given, "attention_mask": KEEP}, "attention_mask") == "attention_mask"
    assert mask_key({**target, **memory}, "attention_mask") is None
    assert mask_key(source, "other") is None
    assert mask_key({"key_padding_mask": None}, "attention_mask") is None
