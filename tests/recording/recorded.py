"""Recordings of tiny models, and the rows of the same models read live."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.slices import Slice
from hooksim.capture.stream import stream
from hooksim.recording import Recording, record

DATA = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


class Twice(nn.Module):
    """`first` and `same` give the very same tensor, except for batches that begin with a 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.same = nn.Identity()
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.last(self.same(y.clone() if x[0, 0] == 1 else y))


def apart_from(number: int, size: int = 4) -> list[Tensor]:
    """Batches of which those from `number` on give `Twice` three different tensors."""
    batches = [each.clone() for each in DATA.split(size)]
    for batch in batches[number:]:
        batch[0, 0] = 1
    return batches


def recorded(model: nn.Module, loader: Iterable[Any], *args: Any, **options: Any) -> Recording:
    return record(model, loader, *args, progress=False, **options)


def live(model: nn.Module, loader: Iterable[Any], layers: Any = None, rows: str = "auto", **o: Any):
    """The names and the slices of a model, batch by batch."""
    with ModelReader(model, [View("A", layers, Rows(rows))], fingerprint=True, **o) as reader:
        slices: list[Slice] = [part for [part] in stream([reader], loader, lambda _: None)]
    return reader.names(0), slices


def same_bits(one: Tensor, two: Tensor) -> bool:
    kind = torch.int64 if one.dtype == torch.float64 else torch.int32
    return one.dtype == two.dtype and torch.equal(one.view(kind), two.view(kind))
