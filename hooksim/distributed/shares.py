"""Loaders that give each process samples of its own."""

from typing import Any

__all__ = ["is_dealt_out", "number_of_shares"]

# By their names: accelerate need not be there.
_DEALING = frozenset(
    {"BatchSamplerShard", "DataLoaderDispatcher", "DistributedSampler", "IterableDatasetShard"}
)


def is_dealt_out(loader: Any) -> bool:
    """Tell whether a loader gives each process samples of its own.

    Args:
        loader: Any iterable of batches.

    Returns:
        True where it has a `DistributedSampler`, or accelerate has prepared it for several
        processes.

    Example:
        >>> is_dealt_out([])
        False
    """
    return any(not _DEALING.isdisjoint(_kinds(part)) for part in _parts(loader))


def number_of_shares(loader: Any) -> int | None:
    """Tell among how many processes a loader deals its samples out.

    Args:
        loader: One that does.

    Returns:
        Their number; None where it does not say.

    Example:
        >>> from torch.utils.data import DataLoader, DistributedSampler
        >>> number_of_shares(DataLoader(range(8), sampler=DistributedSampler(range(8), 4, 0)))
        4
    """
    for part in _parts(loader):
        if not _DEALING.isdisjoint(_kinds(part)):
            for name in ("num_replicas", "num_processes"):
                if isinstance(getattr(part, name, None), int):
                    return int(getattr(part, name))
    return None


def _parts(loader: Any) -> list[Any]:
    """A loader and what it takes its samples from."""
    of_batches = getattr(loader, "batch_sampler", None)
    samplers = [getattr(each, "sampler", None) for each in (loader, of_batches)]
    return [loader, of_batches, *samplers, getattr(loader, "dataset", None)]


def _kinds(part: Any) -> set[str]:
    return {base.__name__ for base in type(part).__mro__}
