"""Samples that several processes were given, each by a loader that deals them out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hooksim.capture.batches import batch_size
from hooksim.capture.calls import sample_ids
from hooksim.distributed import Processes
from hooksim.errors import ConfigError

__all__ = ["Repeats"]


class Repeats:
    """Finds the samples that pad the shares of a loader, so that each counts once.

    The processes tell each other the ids of their batches, one batch after the other, so that all
    take as many steps. The first to have a sample, by batch and then by process, keeps it.

    State: all ids so far.

    Args:
        processes: All of them.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._seen: set[str] = set()
        self._fresh: dict[int, list[int]] = {}

    def watch(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Tell the others of each batch, and hear of theirs.

        Args:
            loader: The loader of this process.

        Yields:
            Its batches.

        Raises:
            ConfigError: The samples have no ids.
        """
        number = 0
        for item in loader:
            size = batch_size(item)
            if size:
                self._hear(number, self._ids(item))
                number += 1
            yield item
        while self._hear(number, None):
            number += 1

    def fresh(self, batch: int) -> list[int]:
        """Give the samples of a batch that came for the first time.

        Args:
            batch: Its number.

        Returns:
            Their positions in the batch.
        """
        return self._fresh[batch]

    def forget(self, batch: int) -> None:
        """Be done with a batch.

        Args:
            batch: Its number.
        """
        self._fresh.pop(batch, None)

    def _ids(self, item: Any) -> Sequence[str]:
        ids = sample_ids(item)
        if ids is None:
            raise ConfigError(
                "loader: it gives each process samples of its own, and some of them twice to make "
                "the shares equal; without sample ids these cannot be told from others. Give "
                "batches with 'sample_ids', or the same loader to every process, without a "
                "DistributedSampler and not prepared by accelerate."
            )
        return ids

    def _hear(self, number: int, ids: Sequence[str] | None) -> bool:
        """Take note of what all processes have got; say whether any has got something."""
        told = self._processes.exchange(ids)
        for rank, each in enumerate(told):
            fresh = []
            for place, name in enumerate(each or ()):
                if name not in self._seen:
                    self._seen.add(name)
                    fresh.append(place)
            if rank == self._processes.rank and each is not None:
                self._fresh[number] = fresh
        return any(each is not None for each in told)
