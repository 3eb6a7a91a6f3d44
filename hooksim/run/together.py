"""What the processes of a group make of their shares of one run."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from hooksim.accumulators.base import Accumulator
from hooksim.blocks.block import Origin
from hooksim.blocks.pieces import Piece
from hooksim.blocks.tail import Tail
from hooksim.distributed import Processes
from hooksim.errors import ConfigError, Note
from hooksim.run.places import Place
from hooksim.run.position import Position

__all__ = ["Share", "check_same_layers", "give_share", "take_shares"]


class Share(NamedTuple):
    """What a process says of its part at the end of the data.

    Attributes:
        position: How far it has come.
        origins: Where the rows of its tail come from, piece by piece.
        notes: What its readers left out or chose.
        warnings: What they warn of.
        places: Which samples the batches of its tail hold.
    """

    position: Position
    origins: list[Origin]
    notes: list[Note]
    warnings: list[Note]
    places: Mapping[int, Place]


def check_same_layers(processes: Processes, layers: Mapping[str, Sequence[str]]) -> None:
    """Check that all processes have found the same layers.

    Args:
        processes: All of them.
        layers: Of each side, by what messages call it.

    Raises:
        ConfigError: One differs.
    """
    given = processes.exchange(dict(layers))
    for rank, other in enumerate(given):
        if other != given[0]:
            name = next(name for name in given[0] if other.get(name) != given[0][name])
            raise ConfigError(
                f"{name}: {given[0][name]} in process 0, {other.get(name)} in process {rank}. "
                "Every process must be given the same models."
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
