"""Loaders that fail, full memory and full disks while a model is recorded: one line that helps."""

import pytest
import torch
from torch import nn

from hooksim.errors import HooksimError
from hooksim.recording import Recording
from tests.capture.tiny_models import Stack
from tests.recording.recorded import DATA, recorded


def failing(error):
    """Two batches, then an error."""
    yield {"x": DATA[:4], "sample_ids": ["a", "b", "c", "d"]}
    yield {"x": DATA[4:8], "sample_ids": ["e", "f", "g", "h"]}
    raise error


def of_x(model, batch):
    return model(batch["x"])


@pytest.fixture(params=["memory", "disk"])
def path(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "recording"


def test_a_sample_that_raises_is_placed(path):
    with pytest.raises(OSError, match="cut short") as caught:
        recorded(Stack(2), failing(OSError("the picture is cut short")), path=path, forward=of_x)
    told = "in the loader, batch 2 (first sample 8, after the one with id 'h')"
    assert caught.value.__notes__ == [told]
    if path is not None:
        assert Recording.load(path).n_samples == 8


def test_a_process_of_the_loader_that_dies(path):
    dead = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. \nMore")
    with pytest.raises(HooksimError) as caught:
        recorded(Stack(2), failing(dead), path=path, forward=of_x)
    assert str(caught.value) == (
        "loader: a process of it has died, after batch 2 (first sample 8) was asked for: "
        "DataLoader worker (pid 7) is killed by signal: Killed. Most often the memory was too "
        "little: use fewer workers (num_workers) or smaller batches."
    )


class Greedy(nn.Sequential):
    """Asks for more memory than any computer has, from its second batch on."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 1:
            torch.empty(1 << 60)
        return super().forward(x)


def test_full_memory_in_a_forward(path):
    with pytest.raises(HooksimError) as caught:
        recorded(Greedy(nn.Linear(4, 3)), DATA.split(5), path=path)
    text = str(caught.value)
    assert text.startswith("out of memory (4611686018427387904 bytes more were asked for) in the f")
    assert text.endswith("Lower the batch size of the loader.") and "\n" not in text


@pytest.mark.parametrize(
    ("on_disk", "told"),
    [
        (False, "with the rows of 0 samples held, 0.0 MiB. Give a path to record to, or select fe"),
        (True, "while rows were written. Select fewer layers, or use smaller batches."),
    ],
)
def test_full_memory_elsewhere(tmp_path, monkeypatch, on_disk, told):
    def full(*_):
        raise MemoryError("Unable to allocate 7.5 GiB for an array")

    monkeypatch.setattr("hooksim.recording.recorder._on_host", full)
    with pytest.raises(HooksimError) as caught:
        recorded(Stack(2), DATA.split(5), path=tmp_path / "rows" if on_disk else None)
    assert f"out of memory (7.5 GiB more were asked for) {told}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
