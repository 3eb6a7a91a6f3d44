"""Who reads which side: each model and each recording once."""

import pytest
import torch
from torch import nn

from hooksim.capture.reader import View
from hooksim.capture.slices import BatchPosition
from hooksim.recording import Recording, record
from hooksim.sides import read_by

DATA = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def model():
    return nn.Sequential(nn.Linear(3, 2))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("wrapped", [nn.DataParallel, torch.compile])
def test_a_wrapped_model_is_the_model_inside(wrapped):
    inner = model()
    for sides in ([inner, wrapped(inner)], [wrapped(inner), inner], [wrapped(inner)] * 2):
        read = read_by(sides, [View("A"), View("B")])
        assert len(read.readers) == 1 and read.positions == [0, 0]
        assert read.readers[0].model is inner
    read = read_by([inner, wrapped(model())], [View("A"), View("B")])
    assert len(read.readers) == 2 and read.positions == [0, 1]


def test_a_recording_is_read_once():
    recording = Recording.from_tensors({"x": DATA, "y": DATA[:, :1]})
    read = read_by([recording, recording], [View("A", "x"), View("B", "y")])
    assert len(read.readers) == 1 and read.positions == [0, 1]


def hashed(*sides) -> bool:
    """Whether the last side, a model, gives fingerprints of its inputs."""
    read = read_by(sides, [View("A"), View("B"), View("C")][: len(sides)])
    with read.readers[-1] as reader, torch.no_grad():
        [part] = reader.read(DATA, None, BatchPosition(0, 0))
    return part.inputs is not None


def test_live_inputs_are_hashed_only_where_a_recording_has_hashes():
    features = Recording.from_tensors({"x": DATA})
    recording = record(model(), [DATA], progress=False)
    assert recording.inputs is not None and features.inputs is None
    assert hashed(recording, model()) and hashed(features, recording, model())
    assert not hashed(features, model()) and not hashed(model(), model())
