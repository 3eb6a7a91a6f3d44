"""What a comparison of several processes can do, and what each of them shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from torch import nn

from hooksim.capture.layers import unwrap
from hooksim.capture.placement import is_sharded
from hooksim.comparison.identity import first_difference, side_identity
from hooksim.comparison.options import Options
from hooksim.distributed import Processes, is_dealt_out, number_of_shares
from hooksim.errors import ConfigError
from hooksim.recording import Recording
from hooksim.sides import Side

__all__ = ["check_same_sides", "needs_all", "shared_options"]

_OF_EACH = ("forward", "device", "stop_early", "progress")  # each process may have its own


def needs_all(source: Side) -> bool:
    """Tell whether every process must run every batch, so that none may pass one over.

    Args:
        source: A side.

    Returns:
        True for a model of which each process holds a part.
    """
    return isinstance(source, nn.Module) and (is_sharded(source) or is_sharded(unwrap(source)))


def shared_options(
    processes: Processes, options: Options, loader: Any, sources: Sequence[Side]
) -> Options:
    """Check what is asked of several processes; process 0 alone shows how far it is.

    Args:
        processes: All of them.
        options: How to compare.
        loader: What this process was given.
        sources: Models and recordings.

    Returns:
        The options of this process.

    Raises:
        ConfigError: What needs all rows in one process, or shares that cannot be put together; or
            a process is asked for something else.
    """
    _check_asked(processes, _asked(options, loader))
    exact = any(getattr(measure, "exact", False) for measure in options.chosen)
    if options.block_size == "all" and exact:
        raise ConfigError(
            f"block_size='all' and exact=True need all rows in one process, but {processes.size} "
            "compare together. Either alone gives the value of all samples: use an integer "
            "block_size, or exact=False."
        )
    if is_dealt_out(loader):
        _check_shares(processes, options, loader, sources)
    return replace(options, progress=options.progress and not processes.rank)


def check_same_sides(processes: Processes, sides: Mapping[str, Side]) -> None:
    """Check that all processes compare the same weights and recordings.

    Args:
        processes: All of them.
        sides: Models and recordings by name; of models in parts every process holds others.

    Raises:
        ConfigError: A side is not the same in all processes; what differs is named.
    """
    own = {name: side_identity(side) for name, side in sides.items() if not needs_all(side)}
    digests = processes.exchange(json.dumps(own))
    if len(set(digests)) == 1:
        return
    found = processes.exchange(own)
    rank = next(rank for rank, other in enumerate(found) if other != found[0])
    for name in found[0]:
        difference = first_difference(found[0][name], found[rank].get(name, {}))
        if difference is not None:
            raise ConfigError(
                f"{name}: {difference[0]!r} is not the same in process 0 and in process {rank}. "
                "Every process must load the same weights; random ones need the same seed."
            )
    raise ConfigError(f"process 0 and process {rank} do not compare the same sides.")


def _asked(options: Options, loader: Any) -> dict[str, Any]:
    """What all processes must be asked for; plain data."""
    names = [each.name for each in fields(options) if each.init and each.name not in _OF_EACH]
    asked = {name: getattr(options, name) for name in names}
    asked["measures"] = {each.keys[0]: each.options() for each in options.chosen}
    asked["rows"] = {side: asdict(each) for side, each in zip("ab", options.rows_of, strict=True)}
    asked["loader"] = "one for each process" if is_dealt_out(loader) else "one for all"
    plain: dict[str, Any] = json.loads(json.dumps(asked, default=str))
    return plain


def _check_asked(processes: Processes, asked: dict[str, Any]) -> None:
    told = processes.exchange(asked)
    for rank, other in enumerate(told):
        difference = first_difference(told[0], other)
        if difference is not None:
            name, first, now = difference
            raise ConfigError(
                f"{name}: {first!r} in process 0, {now!r} in process {rank}. Every process must be "
                "given the same arguments."
            )


def _check_shares(
    processes: Processes, options: Options, loader: Any, sources: Sequence[Side]
) -> None:
    """Refuse shares of which the whole cannot be made."""
    if options.max_samples is not None:
        raise ConfigError(
            f"max_samples: {type(loader).__name__} gives each process samples of its own, so that "
            "the first of all cannot be counted. Cut the data set with torch.utils.data.Subset."
        )
    if any(isinstance(source, Recording) for source in sources):
        raise ConfigError(
            f"loader: {type(loader).__name__} gives each process samples of its own, but a "
            "recording holds all of them in order. Give every process the same loader, without a "
            "DistributedSampler and not prepared by accelerate."
        )
    shares = number_of_shares(loader)
    if shares is not None and shares != processes.size:
        raise ConfigError(
            f"loader: {type(loader).__name__} deals its samples out to {shares} processes, but "
            f"{processes.size} compare together. Give the sampler num_replicas={processes.size}."
        )
