"""What is looked up at each firing is looked up, and not searched for among all layers."""

import torch
from torch import nn

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.slices import BatchPosition


class Counted(nn.Linear):
    """Counts how often it is compared with another layer."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return self is other

    __hash__ = nn.Linear.__hash__


def test_no_firing_is_compared_with_those_of_other_layers():
    model = nn.Sequential(*[Counted(3, 3) for _ in range(40)])
    x = torch.ones(5, 3)
    with ModelReader(model, [View("A", "*")]) as reader, torch.no_grad():
        reader.read(x, None, BatchPosition(0, 0))
        reader.keep(0, reader.names(0)[::2])
        Counted.compared = 0
        [part] = reader.read(x, None, BatchPosition(1, 5))
        assert len(part.values) == 20
        assert Counted.compared == 0
