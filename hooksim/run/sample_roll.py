"""Which samples a run was given: a few bytes for each, to tell other data from the same."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from hooksim.capture.batches import batch_size
from hooksim.capture.calls import sample_marks
from hooksim.distributed import Processes
from hooksim.errors import AlignmentError

__all__ = ["SampleRoll"]

_DIGEST = 8  # bytes a sample


class SampleRoll:
    """Takes note of every sample that a loader gives, whoever runs on it.

    State: `_DIGEST` bytes a sample.

    Example:
        >>> first, again = SampleRoll(), SampleRoll()
        >>> for _ in first.watch([torch.zeros(2, 3), torch.ones(2, 3)]):
        ...     pass
        >>> again.expect(first.seen(3))
        >>> for _ in again.watch([torch.zeros(4, 3)]):
        ...     pass
        Traceback (most recent call last):
        ...
        hooksim.errors.AlignmentError: sample 2 (float32[3] 24f29c3559b2b01f) is not the one that...
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._expected = b""  # what the run that is gone on with was given

    def watch(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Take note of the samples of each batch.

        Args:
            loader: Any iterable of batches.

        Yields:
            Its batches.

        Raises:
            AlignmentError: A sample is not the one that is expected.
        """
        for item in loader:
            size = batch_size(item)
            marks = sample_marks(item) if size else None
            # Without a mark only the number of samples can be compared.
            given = [""] * size if marks is None else marks
            for mark in given:
                self._held += hashlib.blake2b(mark.encode(), digest_size=_DIGEST).digest()
            self._check_expected(given)
            yield item

    def expect(self, seen: Tensor) -> None:
        """Expect the samples that an earlier run was given first.

        Args:
            seen: What `seen` gave there.
        """
        self._expected = seen.numpy().tobytes()

    def seen(self, count: int) -> Tensor:
        """What tells the first samples apart from others, `(m,)` uint8.

        Args:
            count: How many samples; those that are expected count, whether they came again or not.
        """
        held = (self._held + self._expected[len(self._held) :])[: count * _DIGEST]
        return torch.frombuffer(held or bytearray(1), dtype=torch.uint8)[: len(held)]

    def check_end(self) -> None:
        """Check, where the data have ended, that all expected samples came.

        Raises:
            AlignmentError: The earlier run was given more.
        """
        if len(self._held) < len(self._expected):
            counts = [len(each) // _DIGEST for each in (self._held, self._expected)]
            raise AlignmentError(
                f"the data end after {counts[0]:,} samples, but the saved run had seen "
                f"{counts[1]:,}. {_SAME_DATA}"
            )

    def check(self, processes: Processes) -> None:
        """Check that all processes were given the same samples.

        Args:
            processes: All of them.

        Raises:
            AlignmentError: A process was not; the first sample that differs is named.
        """
        digests = processes.exchange(hashlib.blake2b(self._held).hexdigest())
        if len(set(digests)) == 1:
            return
        rolls = processes.exchange(bytes(self._held))
        first = rolls[0]
        rank = next(rank for rank, roll in enumerate(rolls) if roll != first)
        counts = [len(roll) // _DIGEST for roll in (first, rolls[rank])]
        raise AlignmentError(
            f"sample {_first_difference(first, rolls[rank])} is not the same in process 0, which "
            f"was given {counts[0]} samples, and in process {rank}, which was given {counts[1]}. "
            "Give every process the same loader, in the same order (a shuffle seeded alike), with "
            "sample_ids where inputs are random."
        )

    def _check_expected(self, marks: Sequence[str]) -> None:
        """Compare the samples of the last batch with those that are expected."""
        end = len(self._held)
        start = end - len(marks) * _DIGEST
        expected = self._expected[start:end]
        given = bytes(self._held[start : start + len(expected)])
        if given != expected:
            place = _first_difference(given, expected)
            name = f" ({marks[place]})" if marks[place] else ""
            raise AlignmentError(
                f"sample {start // _DIGEST + place}{name} is not the one that the saved run had "
                f"seen there. {_SAME_DATA}"
            )


_SAME_DATA = (
    "Go on with the same data in the same order (a shuffle seeded alike), with sample_ids where "
    "inputs are random; or give --overwrite to begin anew."
)


def _first_difference(one: bytes, other: bytes) -> int:
    """The first sample that is not the same, or that only one of both has."""
    shortest = min(len(one), len(other)) // _DIGEST
    places = (place * _DIGEST for place in range(shortest))
    return next(
        (at // _DIGEST for at in places if one[at : at + _DIGEST] != other[at : at + _DIGEST]),
        shortest,
    )
