"""Loaders that give each process samples of its own, and models that all must run."""

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

from hooksim.comparison.options import Options
from hooksim.comparison.processes import needs_all, shared_options
from hooksim.distributed import is_dealt_out, processes_together
from hooksim.errors import ConfigError
from hooksim.recording import Recording

DATA = torch.randn(21, 3)


class Two:
    """Stands for a group of two, as its second process sees it."""

    rank, size = 1, 2


def dealt_out(kind):
    if kind == "torch":
        return DataLoader(DATA, sampler=DistributedSampler(DATA, 2, 1))
    batches = BatchSampler(range(21), 5, drop_last=False)
    return DataLoader(DATA, batch_sampler=BatchSamplerShard(batches, 2, 1))


@pytest.mark.parametrize("kind", ["torch", "accelerate"])
def test_a_loader_that_deals_its_samples_out_is_refused(kind):
    with pytest.raises(ConfigError, match="DataLoader gives each process samples of its own"):
        shared_options(Two(), Options(), dealt_out(kind))


def test_any_other_loader_is_not_and_only_the_first_process_shows_progress():
    for loader in (DataLoader(DATA, batch_size=4), [DATA], iter([DATA]), None):
        assert not is_dealt_out(loader)
    assert not shared_options(Two(), Options(), [DATA]).progress


def test_outside_a_group_there_are_no_processes():
    with processes_together() as processes:
        assert processes is None


def test_a_model_of_which_each_process_holds_a_part_is_run_by_all():
    class FSDPModule(nn.Sequential):
        pass

    whole, part = nn.Sequential(nn.Linear(2, 2)), FSDPModule(nn.Linear(2, 2))
    assert [needs_all(each) for each in (whole, part, nn.Sequential(part))] == [False, True, True]
    assert not needs_all(Recording.from_tensors({"x": DATA}))
