"""What the processes of the tests do; light, since each of them imports it anew."""

import logging
import os
import pickle
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed, nn

import hooksim

__all__ = ["run_jobs"]


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


def model(seed: int, kind: type[nn.Sequential] = nn.Sequential) -> nn.Sequential:
    torch.manual_seed(seed)
    return kind(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def data(n: int) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(1)) + 3


def compare(rank: int, job: dict) -> hooksim.Comparison:
    """One comparison, as a job describes it."""
    rows = data(job["n"])
    if job.get("bad") is not None:
        rows[job["bad"], 0] = torch.nan
    if job.get("fails") is not None:
        rows[job["fails"], 0] = 99.0
    if job.get("shuffled") == rank:
        rows = rows.flip(0)
    loader = list(rows.split(job.get("batch", 50)))
    if job.get("short") == rank:
        loader = loader[:-1]
    kind = {"failing": Failing, "slow": Slow, "dying": Dying}.get(job.get("kind"), nn.Sequential)
    a, b = model(0, kind), model(1, kind)
    if job.get("extra") == rank:
        b.append(nn.Linear(4, 4))
    if job.get("recorded"):
        a, b = (hooksim.record(each, loader, progress=False) for each in (a, b))
        loader = None
    if job.get("breaks") == rank:
        a = None
    options = dict(job.get("options", {}))
    if job.get("other_options") == rank:
        options["max_samples"] = 7
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
