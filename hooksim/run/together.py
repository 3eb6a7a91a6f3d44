"""What the processes of a group make of their shares of one run."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from hooksim.accumulators.base import Accumulator
from hooksim.blocks.block import Origin
from hooksim.blocks.pieces import Piece
from hooksim.blocks.tail import Tail
from hooksim.capture.batches import batch_size
from hooksim.capture.calls import sample_marks
from hooksim.distributed import Processes
from hooksim.errors import AlignmentError, ConfigError, Note
from hooksim.run.position import Position

__all__ = ["SampleRoll", "Share", "check_agreed", "give_share", "take_shares"]

_DIGEST = 8  # bytes a sample


class Share(NamedTuple):
    """What a process says of its part at the end of the data.

    Attributes:
        position: How far it has come.
        origins: Where the rows of its tail come from, piece by piece.
        notes: What its readers left out or chose.
        warnings: What they warn of.
        samples: A hash of all samples that it was given.
    """

    position: Position
    origins: list[Origin]
    notes: list[Note]
    warnings: list[Note]
    samples: str


class SampleRoll:
    """Which samples a process was given, whoever ran on them; a few bytes for each.

    State: `_DIGEST` bytes a sample.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def watch(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Take note of the samples of each batch.

        Args:
            loader: Any iterable of batches.

        Yields:
            Its batches.
        """
        for item in loader:
            size = batch_size(item)
            marks = sample_marks(item) if size else None
            # Without a mark only the number of samples can be compared.
            for mark in [""] * size if marks is None else marks:
                self._held += hashlib.blake2b(mark.encode(), digest_size=_DIGEST).digest()
            yield item

    @property
    def digest(self) -> str:
        """A hash of all of them."""
        return hashlib.blake2b(self._held).hexdigest()

    def check(self, processes: Processes, digests: Sequence[str]) -> None:
        """Check that all processes were given the same samples.

        Args:
            processes: All of them.
            digests: Of each.

        Raises:
            AlignmentError: A process was not; the first sample that differs is named.
        """
        if len(set(digests)) == 1:
            return
        rolls = processes.exchange(bytes(self._held))
        first = rolls[0]
        rank = next(rank for rank, roll in enumerate(rolls) if roll != first)
        counts = [len(roll) // _DIGEST for roll in (first, rolls[rank])]
        place = next(
            (
                number
                for number in range(min(counts))
                if _of_sample(first, number) != _of_sample(rolls[rank], number)
            ),
            min(counts),
        )
        raise AlignmentError(
            f"sample {place} is not the same in process 0, which was given {counts[0]} samples, "
            f"and in process {rank}, which was given {counts[1]}. Give every process the same "
            "loader, in the same order (a shuffle seeded alike), with sample_ids where inputs are "
            "random."
        )


def check_agreed(processes: Processes, settings: dict[str, Any], layers: bool = False) -> None:
    """Check that all processes say the same of how they compare.

    Args:
        processes: All of them.
        settings: Plain data.
        layers: Whether these are the layers that were found.

    Raises:
        ConfigError: One differs.
    """
    given = processes.exchange(json.dumps(settings, default=str))
    for rank, other in enumerate(given):
        if other != given[0]:
            mine, theirs = json.loads(given[0]), json.loads(other)
            name = next(name for name in mine if theirs.get(name) != mine[name])
            kind = "models" if layers else "arguments"
            raise ConfigError(
                f"{name}: {mine[name]} in process 0, {theirs.get(name)} in process {rank}. Every "
                f"process must be given the same {kind}."
            )


def give_share(
    processes: Processes, accumulators: Sequence[Accumulator], pieces: Sequence[Piece]
) -> None:
    """Send the sums and the tail of this process to process 0, which waits for every one of them.

    Args:
        processes: All of them.
        accumulators: Of this one.
        pieces: Its tail.
    """
    made: list[Callable[[], Any]] = [
        *(accumulator.state_dict for accumulator in accumulators),
        *(Tail([piece]).state_dict for piece in pieces),
    ]
    failure = None
    for make in made:
        state = None
        try:
            state = {name: part.cpu() for name, part in make().items()}
        except Exception as error:  # process 0 waits all the same
            failure = error
        processes.send(state)
    if failure is not None:
        raise failure


def take_shares(
    processes: Processes,
    accumulators: Sequence[Accumulator],
    pieces: list[Piece],
    origins: Sequence[Sequence[Origin]],
    take: Callable[[Piece], None],
) -> None:
    """Merge the sums of all processes, and join their tails in the order of the data.

    Args:
        processes: All of them; this one is process 0.
        accumulators: Of this one.
        pieces: Its tail.
        origins: Of the tails of all processes, by rank.
        take: Takes rows, batch by batch.
    """
    failure: list[Exception] = []

    def attempt(what: Callable[[], object]) -> None:
        """Do something unless anything has failed; what was sent is received all the same."""
        try:
            if not failure:
                what()
        except Exception as error:
            failure.append(error)

    for rank in range(1, processes.size):
        for accumulator in accumulators:
            state = processes.receive(rank)
            attempt(partial(_merge, accumulator, state))
    order = sorted((origin, rank) for rank, tail in enumerate(origins) for origin in tail)
    for _, rank in order:
        piece = pieces.pop(0) if rank == 0 else _piece(processes.receive(rank))
        if piece is not None:
            attempt(partial(take, piece))
    if failure:
        raise failure[0]


def _merge(accumulator: Accumulator, state: Any) -> None:
    if state is not None:
        accumulator.merge(copy.copy(accumulator).reset().load_state_dict(state))


def _piece(state: Any) -> Piece | None:
    return None if state is None else Tail().load_state_dict(state).pieces[0]


def _of_sample(roll: bytes, number: int) -> bytes:
    return roll[number * _DIGEST : (number + 1) * _DIGEST]
