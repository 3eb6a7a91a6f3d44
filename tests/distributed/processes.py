"""What the processes of the tests do; light, since each of them imports it anew."""

import logging
import os
import pickle
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, DistributedSampler

import hooksim
from hooksim.blocks import pieces
from hooksim.distributed import processes as group_processes
from hooksim.run import ring, ring_block

__all__ = ["PRELOADED", "run_jobs"]

# What the server of all processes imports once.
PRELOADED = ["tests.distributed.processes", "tests.distributed.launched", "hooksim.cli.comparing"]
PRELOADED += ["hooksim.cli.config", "hooksim.comparison.keeper", "hooksim.plotting"]


class Failing(nn.Sequential):
    """Raises at the batch that holds a sample, in this process alone."""

    def forward(self, x):
        if bool((x[:, 0] == 99.0).any()):
            raise RuntimeError("this model fails")
        return super().forward(x)


class Dying(nn.Sequential):
    """Ends its process at the batch that holds a sample."""

    def forward(self, x):
        if bool((x[:, 0] == 99.0).any()):
            os._exit(3)
        return super().forward(x)


class Slow(nn.Sequential):
    """Takes its time."""

    def forward(self, x):
        time.sleep(0.2)
        return super().forward(x)


class Uneven(DistributedSampler):
    """Gives each process those samples that it is told to."""

    def __init__(self, samples: list, to: list[int]) -> None:
        super().__init__(samples)
        self.own = [at for at in range(len(samples)) if to[at % len(to)] == self.rank]

    def __iter__(self):
        return iter(self.own)

    def __len__(self) -> int:
        return len(self.own)


def model(seed: int, kind: type[nn.Sequential] = nn.Sequential) -> nn.Sequential:
    torch.manual_seed(seed)
    return kind(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def data(n: int) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(1)) + 3


def share(rows: torch.Tensor, rank: int, job: dict) -> DataLoader:
    """A loader that deals its samples out, or the whole one where there is but one process."""
    samples = [{"x": row, "sample_ids": number} for number, row in enumerate(rows)]
    if not job["ids"]:
        samples = list(rows)
    sampler = None
    if distributed.is_initialized():
        sampler = DistributedSampler(
            samples, job.get("replicas"), rank, shuffle=job.get("mixed", False), seed=3
        )
        if "only" in job:
            sampler = Uneven(samples, job["only"])
    return DataLoader(samples, batch_size=job.get("batch", 50), sampler=sampler)


def of_x(module: nn.Module, batch: dict) -> torch.Tensor:
    return module(batch["x"])


def wrapped(module: nn.Module, kind: str) -> nn.Module:
    """A model as several processes train it."""
    if kind == "ddp":
        return nn.parallel.DistributedDataParallel(module)
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    return fully_shard(module, mesh=mesh)


def full(*_) -> None:
    raise MemoryError("Unable to allocate 7.5 GiB for an array")


def batches(rank: int, job: dict) -> Iterable:
    """What a process is given to compare on."""
    rows = data(job["n"])
    if job.get("tied"):
        rows = rows.round().clamp(2, 4)
    if job.get("tokens"):
        rows = rows[:, None, :].repeat(1, 3, 1) + torch.arange(3)[:, None]
    if job.get("bad") is not None:
        rows[job["bad"], 0] = torch.nan
    if job.get("fails") is not None:
        rows[job["fails"], 0] = 99.0
    if job.get("shuffled") == rank:
        rows = rows.flip(0)
    if "ids" in job:  # in float64: a float32 row is rounded otherwise in another batch
        return share(rows.double(), rank, job)
    if job.get("emptied") == rank:
        return []
    loader = list(rows.split(job.get("batch", 50)))
    return loader[:-1] if job.get("short") == rank else loader


def compare(rank: int, job: dict) -> hooksim.Comparison:
    """One comparison, as a job describes it."""
    loader = batches(rank, job)
    kind = {"failing": Failing, "slow": Slow, "dying": Dying}.get(job.get("kind"), nn.Sequential)
    a, b = model(0, kind), model(2 if job.get("seed") == rank else 1, kind)
    if "ids" in job:
        a, b = a.double(), b.double()
    if "wrapped" in job and distributed.is_initialized():
        a, b = (wrapped(each, job["wrapped"]) for each in (a, b))
    if job.get("extra") == rank:
        b.append(nn.Linear(4, 4))
    if job.get("recorded"):
        a, b = (hooksim.record(each, loader, progress=False) for each in (a, b))
        loader = None
    if job.get("breaks") == rank:
        a = None
    options = dict(job.get("options", {}))
    if job.get("ids"):
        options["forward"] = of_x
    options |= job.get("own", {}).get(rank, {})
    with pytest.MonkeyPatch.context() as patch:
        if "unit" in job:  # a block of few rows would be cut into few slabs
            patch.setattr(ring_block, "slab_height", lambda *_: job["unit"])
        if "single" in job:  # as in blocks of many wide rows
            patch.setattr(pieces, "_SINGLE_FROM", 2)
            patch.setattr(pieces, "_NARROW", 1)
        if job.get("stuck") == rank:  # the others wait for what it does not send
            patch.setattr(group_processes, "_PATIENCE", 1.0)
            patch.setattr(ring.Ring, "_dealt", full)
        if job.get("full") == rank:
            patch.setattr(ring, "kernel_between", full)
        return hooksim.compare(a, b, loader, progress=False, **options)


def outcome(rank: int, job: dict) -> tuple:
    """The matrices and what is said of them, or the error."""
    try:
        result = compare(rank, job)
    except Exception as error:
        return "error", type(error).__name__, str(error), getattr(error, "__notes__", [])
    tables = {
        matrix.key: (matrix.values.tolist(), matrix.stderr.tolist())
        for matrix in (result[key] for key in result)
    }
    meta = {key: each for key, each in result.metadata.items() if key != "seconds"}
    return "result", tables, result.n_samples, meta


def run_jobs(rank: int, size: int, folder: str, jobs: list[dict]) -> None:
    """Do all jobs one after the other, in a group, and write down what came out."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=60),
    )
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logging.getLogger("hooksim").addHandler(handler)
    logging.getLogger("hooksim").propagate = False
    found = []
    for job in jobs:
        logged.clear()
        started = time.perf_counter()
        told = outcome(rank, job)
        found.append((told, list(logged), time.perf_counter() - started))
    Path(folder, f"found-{rank}").write_bytes(pickle.dumps(found))
    if not any(job.get("kind") == "dying" for job in jobs):
        distributed.destroy_process_group()
