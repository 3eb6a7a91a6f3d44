"""Reads one batch of a model, and a model that is called as often as it is told."""

import torch
from torch import Tensor, nn

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.slices import BatchPosition
from tests.capture.tiny_models import Block

START = BatchPosition(0, 0)
LATER = BatchPosition(3, 96)


def read(model, item, layers=None, *, rows="auto", reduce=None, times=1, **options):
    """Read one batch, several times over; give the reader and the last slice."""
    view = View("A", layers, Rows(rows))
    with ModelReader(model, [view], **options) as reader, torch.no_grad():
        for number in range(times):
            [part] = reader.read(item, reduce, BatchPosition(number, 0))
    return reader, part


def values_of(model, item, layers=None, **options):
    reader, part = read(model, item, layers, **options)
    return dict(zip(reader.names(0), part.values, strict=True))


class Calls(nn.Module):
    """Blocks called as often as it is told."""

    def __init__(self, counts):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in counts)
        self.counts = counts

    def forward(self, x: Tensor) -> Tensor:
        for block, count in zip(self.blocks, self.counts, strict=True):
            for _ in range(count):
                x = block(x)
        return x
