"""A walk over the strips of a block leaves nothing behind, however it ends."""

import pytest
import torch

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
