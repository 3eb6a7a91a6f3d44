"""Wrappers for several devices: the model inside is read, under its own names."""

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

import hooksim
from hooksim.errors import LayerNotFoundError
from tests.capture.tiny_models import Block, Stack, compiled
from tests.hazards.measured import BATCHES, assert_measured, by_hand

LAYERS = ["blocks.0", "blocks.1.inner", "blocks.2"]


def fsdp(model, **options):
    return FullyShardedDataParallel(model, device_id=torch.device("cpu"), **options)


def fully_sharded(model):
    mesh = init_device_mesh("cpu", (1,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": DistributedDataParallel,
    "DistributedDataParallel of a compiled model": lambda m: DistributedDataParallel(compiled(m)),
    "compiled DistributedDataParallel": lambda m: compiled(DistributedDataParallel(m)),
    "FSDP1": fsdp,
    "FSDP1 by block": lambda m: fsdp(m, auto_wrap_policy=ModuleWrapPolicy({Block})),
    "FSDP2": fully_sharded,
}


@pytest.mark.filterwarnings("ignore:.*FSDP.*", "ignore:.*FullyShardedDataParallel.*")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_rows_and_names_are_those_of_the_model_inside(wrapper, process_group):
    model = Stack()
    expected = by_hand(model, BATCHES, LAYERS)
    assert_measured(WRAPPERS[wrapper](model), expected)


@pytest.mark.parametrize("wrapper", ["DataParallel", "DistributedDataParallel", "FSDP2"])
def test_the_default_layers_are_the_blocks(wrapper, process_group):
    model, wrapped = Stack(), WRAPPERS[wrapper](Stack())
    result = hooksim.compare(wrapped, model, BATCHES, measures="cka", progress=False)
    assert result["cka"].layers_a == result["cka"].layers_b == ["blocks.0", "blocks.1", "blocks.2"]


@pytest.mark.filterwarnings("ignore:.*FSDP.*", "ignore:.*FullyShardedDataParallel.*")
def test_fsdp1_has_no_default_layers(process_group):
    """It makes one flat parameter of many, so that nothing shows which modules have weights."""
    model = fsdp(Stack())
    with pytest.raises(LayerNotFoundError, match=r"with parameters\. Name the layers, or"):
        hooksim.compare(model, model, BATCHES, progress=False)


def test_a_tensor_that_is_sharded_over_processes_is_put_together(process_group):
    model = Stack()
    expected = by_hand(model, BATCHES, ["blocks.0.inner", "blocks.0"])
    plan = {
        "blocks.*.inner": ColwiseParallel(use_local_output=False),
        "blocks.*.outer": RowwiseParallel(),
    }
    assert_measured(parallelize_module(model, init_device_mesh("cpu", (1,)), plan), expected)
