"""A walk over the strips of a block leaves nothing behind, however it ends."""

from functools import partial

import pytest
import torch

import hooksim
from hooksim.blocks.blocker import Blocker
from tests.blocks.test_blocker import Side

N = 1600  # rows: their Gram matrices are looked at in more than four strips


@pytest.fixture
def block():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    blocker = Blocker(N, torch.float64, 4, "a test")
    rows = [torch.randn(N, 8) for _ in range(2)]
    [made] = [*blocker.push([Side([each], N, N) for each in rows]), *blocker.close()]
    yield made
    torch.set_num_threads(before)


def test_what_was_found_comes_in_the_order_of_the_strips(block):
    starts = []
    block.walk(lambda strip: (strip.start, torch.get_num_threads()), starts.append)
    assert len(starts) > 4 and starts == sorted(starts)
    assert {threads for _, threads in starts} == {1}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_the_number_of_threads_is_put_back_while_an_error_is_kept(block, kind):
    """Notebooks keep the latest one, and with it what was going on."""

    def fail(_: object) -> None:
        raise kind("while taking")

    with pytest.raises(kind) as kept:
        block.walk(lambda strip: strip.start, fail)
    assert kept.value.__traceback__ is not None
    assert torch.get_num_threads() == 2


def test_large_blocks_are_compared_in_inference_mode_too():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    sides = [
        hooksim.Recording.from_tensors({"layer": torch.randn(N, 8), "other": torch.randn(N, 20)})
        for _ in range(2)
    ]
    compare = partial(hooksim.compare, *sides, block_size="all", progress=False)
    try:
        with torch.inference_mode():
            inside = compare()
        outside = compare()
    finally:
        torch.set_num_threads(before)
    for key in ("cka", "information_imbalance_a_to_b"):
        assert torch.equal(inside[key].values, outside[key].values)
