"""Models of which every process holds a part: all run every batch, or none begins one."""

import pytest
import torch
from torch import nn

from hooksim.accumulators.base import SidePair
from hooksim.capture.reader import View
from hooksim.capture.rows import Rows
from hooksim.measures.choice import choose_measures
from hooksim.measures.measure_set import MeasureSet
from hooksim.run import Run
from hooksim.run.in_step import in_step
from hooksim.sides import read_by


class Alone:
    """Stands for a group, as one of its processes sees it that hears only itself."""

    rank, size, batch = 0, 1, 0

    def exchange(self, value):
        return [value]

    def broadcast(self, value):
        return value

    def look(self):
        pass

    def reads(self, batch):
        return batch % 2 == 0


class WithOther(Alone):
    """The other process has so many batches."""

    def __init__(self, count):
        self.left = count

    def exchange(self, value):
        self.left -= 1
        return [value, self.left >= 0]


def refuse(number):
    raise ValueError(f"batch {number}")


@pytest.mark.parametrize(("other", "number"), [(0, 0), (1, 1), (3, 2)])
def test_no_batch_is_begun_that_only_one_process_has(other, number):
    given = []
    with pytest.raises(ValueError, match=f"batch {number}"):
        given.extend(in_step([torch.zeros(4), torch.zeros(4)], WithOther(other), refuse))
    assert len(given) == number


def test_batches_without_samples_are_no_step():
    loader = [torch.zeros(0), torch.zeros(4), torch.zeros(0)]
    assert len(list(in_step(loader, WithOther(1), refuse))) == 3


class Counted(nn.Sequential):
    """Counts its forward passes."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.count = 0

    def forward(self, x):
        self.count += 1
        return super().forward(x)


@pytest.mark.parametrize("in_parts", [False, True])
def test_every_batch_is_run_where_a_model_is_in_parts_when_a_run_goes_on_too(in_parts):
    torch.manual_seed(0)
    loader = list(torch.randn(24, 5).split(4))
    models = [Counted(nn.Linear(5, 4), nn.Linear(4, 3)) for _ in range(2)]

    def made():
        views = [View(label, "**", Rows("auto")) for label in "AB"]
        read = read_by(models, views, stop_early=False)
        asked = MeasureSet(choose_measures("cka"), [SidePair(*read.positions)])
        return Run(
            read.readers, asked.accumulators, 8, 4, "CKA", processes=Alone(), in_step=in_parts
        )

    states = []
    run = made()
    run.execute(loader, on_batch=lambda _: states.append(run.state_dict()))
    assert run.position.n_rows == 12  # of every other batch
    assert [each.count for each in models] == ([6, 6] if in_parts else [3, 3])
    again = made().load_state_dict(states[2])
    again.execute(loader)
    assert again.position == run.position
    assert [each.count for each in models] == ([12, 12] if in_parts else [5, 5])
