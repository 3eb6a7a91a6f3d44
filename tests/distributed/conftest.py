import pickle

import pytest
from torch import multiprocessing

from tests.distributed.processes import PRELOADED, run_jobs


@pytest.fixture(scope="module")
def in_processes(tmp_path_factory):
    """Does jobs in so many processes; gives for each process what came out of each job."""

    def run(size, jobs, dead=()):
        folder = tmp_path_factory.mktemp("group")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        started = [
            context.Process(target=run_jobs, args=(rank, size, str(folder), jobs))
            for rank in range(size)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(60)
        alive = [rank for rank, process in enumerate(started) if process.is_alive()]
        for rank in alive:
            started[rank].kill()
        assert not alive, f"processes {alive} of {size} hang"
        return [
            pickle.loads((folder / f"found-{rank}").read_bytes())
            for rank in range(size)
            if rank not in dead
        ]

    return run
