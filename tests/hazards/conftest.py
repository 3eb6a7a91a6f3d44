"""A process group of one, for wrappers that need some group."""

import pytest
import torch.distributed as dist


@pytest.fixture
def process_group(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()
