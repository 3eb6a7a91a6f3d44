"""Rows that wait for their block, batch by batch; as tensors to be saved or sent, and back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Self

import torch
from torch import Tensor

from hooksim.blocks.block import Origin
from hooksim.blocks.pieces import Piece, gather

__all__ = ["Tail", "tensor_text", "text_tensor"]

_PIECES = "tail"  # what is no tensor, in JSON
_ROWS = "tail.rows"
_GROUPS = "tail.groups"


def text_tensor(text: str) -> Tensor:
    """A text among the tensors of a state, which are all that some files can hold.

    Args:
        text: Not empty.

    Returns:
        Its bytes, `(m,)` uint8.

    Example:
        >>> tensor_text(text_tensor("{}"))
        '{}'
    """
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def tensor_text(tensor: Tensor) -> str:
    """The text that `text_tensor` was given.

    Args:
        tensor: `(m,)` uint8.
    """
    return bytes(tensor.tolist()).decode()


class Tail:
    """Rows that are in no block yet, a piece for each batch, in the order of the data.

    State: `pieces`.

    Args:
        pieces: To begin with.

    Example:
        >>> rows = torch.arange(12.0).view(6, 2)
        >>> tail = Tail([Piece([[rows, rows]], None, 6, Origin(0, 0, 6))])
        >>> [piece.origin.n for piece in tail.take(4)], tail.n
        ([4], 2)
        >>> sorted(tail.state_dict())
        ['tail', 'tail.rows.0']
        >>> Tail().load_state_dict(tail.state_dict()).pieces[0].values[0][1]
        tensor([[ 8.,  9.],
                [10., 11.]])
    """

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        self.pieces = list(pieces)

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(piece.origin.n for piece in self.pieces)

    def add(self, piece: Piece) -> None:
        """Put a piece at the end."""
        self.pieces.append(piece)

    def take(self, n: int) -> list[Piece]:
        """The first `n` rows, which are no longer here."""
        taken: list[Piece] = []
        missing = n
        while missing:
            piece = self.pieces.pop(0)
            if piece.origin.n > missing:
                piece, rest = piece.split(missing)
                self.pieces.insert(0, rest)
            taken.append(piece)
            missing -= piece.origin.n
        return taken

    def release(self) -> list[Piece]:
        """All pieces, which are no longer here."""
        released, self.pieces = self.pieces, []
        return released

    def join(self, other: "Tail") -> None:
        """Put the pieces of another tail, which keeps them, where they are in the data."""
        self.pieces = sorted([*self.pieces, *other.pieces], key=lambda piece: piece.origin)

    def state_dict(self) -> dict[str, Tensor]:
        """The rows of each layer in one tensor, shared ones once; copies on the CPU, contiguous.

        What a hook reduced cannot wait, and so is never among them.
        """
        if not self.pieces:
            return {_PIECES: text_tensor("{}")}
        layers, sides, positions, *_ = gather(self.pieces)
        kept = {
            "layers": [
                [side[position] for position in own]
                for side, own in zip(sides, positions, strict=True)
            ],
            "pieces": [[_sharing(piece), piece.items, piece.origin] for piece in self.pieces],
        }
        state = {_PIECES: text_tensor(json.dumps(kept))}
        state |= {f"{_ROWS}.{number}": _joint(parts) for number, parts in enumerate(layers)}
        groups = [piece.groups for piece in self.pieces if piece.groups is not None]
        return state | {_GROUPS: _joint(groups)} if groups else state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Take over the rows of `state_dict()`.

        Args:
            state: What it gave; copied.

        Returns:
            Itself.

        Raises:
            KeyError: Some of it is missing.
        """
        kept: dict[str, Any] = json.loads(tensor_text(state[_PIECES]))
        if not kept:
            self.pieces = []
            return self
        names = [[f"{_ROWS}.{number}" for number in side] for side in kept["layers"]]
        rows = {name: state[name].clone() for side in names for name in side}
        groups = state[_GROUPS].clone() if _GROUPS in state else None
        origins = [Origin(*origin) for *_, origin in kept["pieces"]]
        stops = list(accumulate(origin.n for origin in origins))
        self.pieces = [
            Piece(
                _values(names, sharing, rows, slice(stop - origin.n, stop)),
                None if groups is None else groups[stop - origin.n : stop],
                items,
                origin,
            )
            for (sharing, items, _), origin, stop in zip(
                kept["pieces"], origins, stops, strict=True
            )
        ]
        return self


def _sharing(piece: Piece) -> list[list[int]]:
    """For each side and layer a number, the same where they are one tensor in this piece."""
    numbers: dict[int, int] = {}
    return [
        [numbers.setdefault(id(value), len(numbers)) for value in side] for side in piece.values
    ]


def _values(
    names: Sequence[Sequence[str]],
    sharing: Sequence[Sequence[int]],
    rows: Mapping[str, Tensor],
    part: slice,
) -> list[list[Any]]:
    """Some of the rows by side and layer; one object where they were one."""
    made: dict[int, Tensor] = {}
    for side, numbers in zip(names, sharing, strict=True):
        for name, number in zip(side, numbers, strict=True):
            if number not in made:
                made[number] = rows[name][part]
    return [[made[number] for number in numbers] for numbers in sharing]


def _joint(parts: Sequence[Tensor]) -> Tensor:
    """One tensor on the CPU, contiguous, in memory of its own."""
    return torch.cat([part.detach().cpu() for part in parts]).contiguous()
