"""What a comparison of several processes can do, and what each of them shows."""

from dataclasses import replace
from typing import Any

from torch import nn

from hooksim.capture.layers import unwrap
from hooksim.capture.placement import is_sharded
from hooksim.comparison.options import Options
from hooksim.distributed import Processes, is_dealt_out
from hooksim.errors import ConfigError
from hooksim.sides import Side

__all__ = ["needs_all", "shared_options"]


def needs_all(source: Side) -> bool:
    """Tell whether every process must run every batch, so that none may pass one over.

    Args:
        source: A side.

    Returns:
        True for a model of which each process holds a part.
    """
    return isinstance(source, nn.Module) and (is_sharded(source) or is_sharded(unwrap(source)))


def shared_options(processes: Processes, options: Options, loader: Any) -> Options:
    """Check what is asked of several processes; process 0 alone shows how far it is.

    Args:
        processes: All of them.
        options: How to compare.
        loader: What this process was given.

    Returns:
        The options of this process.

    Raises:
        ConfigError: What needs all rows in one process, or a loader that deals its samples out.
    """
    if options.block_size == "all":
        raise ConfigError(
            f"block_size='all' needs all rows in one process, but {processes.size} compare "
            "together. Use an integer or 'auto', or CKA(exact=True); or compare in one process."
        )
    if is_dealt_out(loader):
        raise ConfigError(
            f"loader: {type(loader).__name__} gives each process samples of its own, but hooksim "
            "deals out the batches itself. Give every process the same loader: without a "
            "DistributedSampler, not prepared by accelerate."
        )
    return replace(options, progress=options.progress and not processes.rank)
