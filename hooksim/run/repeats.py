"""Samples that several processes were given, each by a loader that deals them out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hooksim.capture.batches import batch_size, first_samples
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
            if batch_size(item):
                told = self._hear(number, self._ids(item))
                if not number and None in told:
                    self._lend(told, item)
                number += 1
            yield item
        while any(told := self._hear(number, None)):
            if not number:
                self._fresh[number] = []
                yield self._lend(told, None)
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

    def _lend(self, told: Sequence[Sequence[str] | None], item: Any) -> Any:
        """Give a sample to processes that have none, or they would not know their layers.

        Args:
            told: The ids of the first batch of each process.
            item: The batch of this one; None where it has none.

        Returns:
            A batch of one sample, which counts where it came from.
        """
        lender = next(rank for rank, ids in enumerate(told) if ids)
        is_ours = lender == self._processes.rank
        return self._processes.exchange(first_samples(item, 1) if is_ours else None)[lender]

    def _hear(self, number: int, ids: Sequence[str] | None) -> list[Sequence[str] | None]:
        """Take note of what all processes have got, which is None where there is nothing left."""
        told = self._processes.exchange(ids)
        for rank, each in enumerate(told):
            fresh = []
            for place, name in enumerate(each or ()):
                if name not in self._seen:
                    self._seen.add(name)
                    fresh.append(place)
            if rank == self._processes.rank and each is not None:
                self._fresh[number] = fresh
        return told
