"""The group of the processes: made where torchrun has started them, joined where there is one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from hooksim.distributed.processes import Processes
from hooksim.errors import ConfigError

__all__ = ["process_group", "processes_together"]


@contextmanager
def processes_together() -> Iterator[Processes | None]:
    """Compare together with the other processes, where there are any.

    Yields:
        The processes; None outside a process group, or in one of a single process. What fails
        inside on one of them fails on all.

    Example:
        >>> with processes_together() as processes:
        ...     print(processes)
        None
    """
    is_one = distributed.is_available() and distributed.is_initialized()
    if not is_one or distributed.get_world_size() == 1:
        yield None
        return
    # Of its own: whatever the accelerators say to each other goes on undisturbed.
    group = distributed.new_group(backend="gloo")
    try:
        processes = Processes(group)
        with processes.life.living(), processes.as_one():
            yield processes
    finally:
        distributed.destroy_process_group(group)


@contextmanager
def process_group() -> Iterator[None]:
    """Make the group of the processes that torchrun has started, unless there is one.

    Where there are accelerators each process takes its own, which the device `cuda` then is.

    Yields:
        None.

    Raises:
        ConfigError: The processes do not find each other.
    """
    if distributed.is_initialized():
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        distributed.init_process_group(backend)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(
            f"processes: they cannot be joined: {reason}. Start them with torchrun, which sets "
            "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
        ) from error
    try:
        yield
    finally:
        distributed.destroy_process_group()
