"""The update of a block asks the device for nothing, but in the one named place."""

import pytest
import torch

from hooksim.accumulators import base
from hooksim.accumulators.gram import GramAccumulator
from hooksim.accumulators.order import OrderAccumulator
from hooksim.accumulators.ranks import RankAccumulator


@pytest.fixture
def without_host_reads(monkeypatch):
    """What the host would read where nothing ties and everything is finite."""
    calls = []

    def read(counts):
        calls.append([len(count) for count in counts])
        bad, *others = counts
        return [[0] * len(bad), *([1] * len(count) for count in others)]

    monkeypatch.setattr(base, "read_counts", read)
    return calls


def meta_rows(n: int, widths: list[int]) -> list[torch.Tensor]:
    return [torch.empty(n, width, device="meta") for width in widths]


@pytest.mark.parametrize("kind", [GramAccumulator, RankAccumulator, OrderAccumulator])
@pytest.mark.parametrize("n", [40, 600])
def test_a_block_runs_on_the_meta_device(kind, n, without_host_reads):
    on_the_meta_device(kind(), n)
    assert len(without_host_reads) == 2


@pytest.mark.parametrize("n", [40, 2100])
def test_a_block_with_many_neighbours_runs_on_the_meta_device(n, without_host_reads):
    on_the_meta_device(RankAccumulator(n // 2), n)
    assert without_host_reads == [[3], [3]]  # finite or not, and no list lengths


def on_the_meta_device(accumulator, n: int) -> None:
    """Two blocks, whose sums must be there too."""
    for _ in range(2):
        accumulator.update(meta_rows(n, [3, 5]), meta_rows(n, [4]))
    state = accumulator.state_dict()
    sums = {key: value for key, value in state.items() if key != "options"}
    assert sums and all(value.device.type == "meta" for value in sums.values())


def test_the_guard_can_fail(without_host_reads, monkeypatch):
    begin = GramAccumulator.begin

    def reads_the_host(self, block):
        begin(self, block)
        block.norms.sum().item()

    monkeypatch.setattr(GramAccumulator, "begin", reads_the_host)
    with pytest.raises(RuntimeError, match="meta"):
        GramAccumulator().update(meta_rows(40, [3]), meta_rows(40, [3]))
