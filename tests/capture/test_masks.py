import re

import pytest
import torch

from hooksim.capture.masks import TokenMask
from hooksim.errors import ShapeError

CPU = torch.device("cpu")


def test_a_mask_of_ones_is_full():
    mask = TokenMask.read(torch.ones(2, 3, dtype=torch.int64), "attention_mask")
    assert mask.full
    assert (mask.size, mask.length) == (2, 3)
    assert mask.keep_on(CPU).tolist() == [[True] * 3] * 2


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_facts_of_a_mask(dtype):
    mask = TokenMask.read(torch.tensor([[0, 1, 1], [1, 0, 0]], dtype=dtype), "attention_mask")
    assert not mask.full
    assert mask.positions_on(CPU).tolist() == [1, 2, 3]
    assert mask.items_on(CPU).tolist() == [0, 0, 1]


def test_facts_are_moved_once():
    mask = TokenMask.read(torch.tensor([[0, 1]]), "attention_mask")
    meta = torch.device("meta")
    assert mask.keep_on(meta) is mask.keep_on(meta)
    assert mask.padding_on(meta) is mask.padding_on(meta)
    assert mask.counts_on(meta) is mask.counts_on(meta)
    assert mask.keep_on(meta).device == meta


def test_wrong_shape_is_refused():
    for shape in ((3,), (2, 4, 3), (2, 1, 4, 3), (2, 1, 1, 3, 3)):
        with pytest.raises(ShapeError, match=re.escape(f"mask 'm': shape {shape}, expected")):
            TokenMask.read(torch.ones(shape), "m")


def test_a_sample_without_tokens_is_refused():
    with pytest.raises(ShapeError, match="mask 'm': sample 1 of the batch has no real token"):
        TokenMask.read(torch.tensor([[1, 1], [0, 0]]), "m")


def test_a_mask_of_padding():
    mask = TokenMask.read(torch.tensor([[1, 0, 0], [0, 0, 1]]), "m", True)
    assert mask.lengths == (2, 2)
    assert mask.positions_on(CPU).tolist() == [1, 2, 3, 4]
    with pytest.raises(ShapeError, match=r"no row\. Leave empty sequences out of the data\.$"):
        TokenMask.read(torch.ones(1, 2), "m", True)


def test_tokens_among_others():
    mask = TokenMask.read(torch.tensor([[1, 0], [1, 1]]), "m").among(1, 4)
    assert mask.keep_on(CPU).long().tolist() == [[0, 1, 0, 0], [0, 1, 1, 0]]
    assert TokenMask(1, 2).among(0, 3).lengths == (2,)


def test_same_tokens():
    one, two = torch.tensor([[1, 0]]), torch.tensor([[0, 1]])
    assert TokenMask.read(one, "m").same_tokens(TokenMask.read(one.clone(), "m"))
    assert not TokenMask.read(one, "m").same_tokens(TokenMask.read(two, "m"))
    assert not TokenMask.read(one, "m").same_tokens(TokenMask(1, 2))
    assert TokenMask(1, 2).same_tokens(TokenMask(1, 2))
    assert not TokenMask(1, 2).same_tokens(TokenMask(1, 3))


def test_lengths_are_known_on_the_host():
    assert TokenMask(2, 3).lengths == (3, 3)
    assert TokenMask.read(torch.tensor([[0, 1, 1], [1, 0, 0]]), "mask").lengths == (2, 1)
