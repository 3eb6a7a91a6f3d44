"""Readers and forwards in several threads at once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, current_thread

import pytest
import torch
from torch import Tensor, nn

from hooksim.capture.reader import ModelReader, View
from hooksim.errors import HooksimError
from tests.capture.reading import LATER, START, values_of
from tests.capture.tiny_models import Stack, hook_count


class Gate(nn.Module):
    """Lets a forward wait in the middle, in one thread only."""

    def __init__(self):
        super().__init__()
        self.reached, self.open = Event(), Event()
        self.thread = None

    def forward(self, x: Tensor) -> Tensor:
        if self.thread is not None and self.thread is current_thread():
            self.reached.set()
            assert self.open.wait(60)
        return x


def gated():
    model = nn.Sequential(nn.Linear(4, 4), Gate(), nn.Linear(4, 4))
    return model.train(), model[1]


@contextmanager
def another_thread(gate, function):
    """A thread that waits at the gate while the context lasts."""
    with ThreadPoolExecutor(1) as pool:
        started = Event()

        def run():
            started.wait(60)
            return function()

        future = pool.submit(run)
        [gate.thread] = pool._threads
        started.set()
        assert gate.reached.wait(60)
        try:
            yield future
        finally:
            gate.open.set()


def test_a_forward_of_another_thread_is_not_heard():
    model, gate = gated()
    x = torch.randn(3, 4)
    expected = values_of(model, x, ["0", "2"])

    def read():
        with ModelReader(model, [View("A", ["0", "2"])]) as reader, torch.no_grad():
            first, again = reader.read(x, None, START), reader.read(x, None, LATER)
        return first[0].values, again[0].values

    with another_thread(gate, read) as future:
        output = model(torch.zeros(3, 4))  # neither heard nor ended early
    assert output.shape == (3, 4)
    for values in future.result(60):
        for value, truth in zip(values, expected.values(), strict=True):
            torch.testing.assert_close(value, truth)


def test_a_model_is_read_in_one_thread_at_a_time():
    model, gate = gated()
    model[0].eval()
    x = torch.randn(3, 4)
    expected = values_of(model, x, ["0", "2"])
    with another_thread(gate, lambda: values_of(model, x, ["0", "2"])) as future:
        with pytest.raises(HooksimError) as error:
            values_of(model, x)
        assert str(error.value).startswith("model A (Sequential) is being read in another thread. ")
        values_of(Stack(2), x)  # another model is free
    for name, value in future.result(60).items():
        torch.testing.assert_close(value, expected[name])
    assert [module.training for module in model] == [False, True, True]
    assert hook_count(model) == 0
    values_of(model, x)


def test_two_readers_of_one_thread_may_hold_a_model():
    model, x = Stack(2), torch.ones(3, 4)
    with ModelReader(model, [View("A")]) as a, ModelReader(model, [View("B")], side="b") as b:
        for at in (START, LATER):
            [[one], [two]] = a.read(x, None, at), b.read(x, None, at)
            assert all(map(torch.equal, one.values, two.values))
    assert hook_count(model) == 0
