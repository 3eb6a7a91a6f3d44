"""Tails of several blockers joined in the order of the data, and what is refused."""

import pytest
import torch

from hooksim.blocks.blocker import Blocker
from hooksim.errors import ConfigError, ShapeError
from tests.blocks.test_blocker import side

ROWS = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))


def blocker(size=40, **options) -> Blocker:
    return Blocker(size, torch.float64, 4, "CKA", **options)


def pushed(numbers, size=40, layers=1):
    made = blocker(size)
    for number in numbers:
        given = side(ROWS.split(10)[number])
        given = given._replace(values=[rows.clone() for rows in given.values * layers])
        assert list(made.push([given], number)) == []
    return made


def kernels(made):
    return [next(block.strips()).kernel[0].clone() for block in made.close()]


def test_tails_are_joined_in_the_order_of_the_data():
    alone, even, odd = pushed(range(6)), pushed([0, 2, 4]), pushed([1, 3, 5])
    assert even.merge(odd) is even and odd.held == 30
    for got, expected in zip(kernels(even), kernels(alone), strict=True):
        assert torch.equal(got, expected)


def test_an_empty_one_is_the_identity():
    filled, empty = pushed(range(4), "auto"), blocker("auto")
    assert empty.merge(filled).size == filled.size == 2048
    assert torch.equal(kernels(empty)[0], kernels(filled.merge(blocker("auto")))[0])


def test_what_makes_other_blocks_is_refused():
    with pytest.raises(ConfigError, match="merge: expected blocks of block_size=40, got block_siz"):
        pushed([0]).merge(pushed([1], 41))
    with pytest.raises(ShapeError, match="merge: expected blocks of 40 of 1 layers, got 40 of 2"):
        pushed([0]).merge(pushed([1], layers=2))


def test_a_batch_that_is_looked_at_is_not_held():
    made = blocker("auto")
    made.settle([side(ROWS)])
    assert (made.size, made.held) == (2048, 0)
