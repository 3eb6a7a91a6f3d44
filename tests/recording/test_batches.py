import pytest
import torch

from hooksim.errors import AlignmentError, ConfigError
from hooksim.recording import Recording, recorded_batches
from tests.capture.tiny_models import Stack
from tests.recording.recorded import DATA, recorded


def by(size):
    return recorded(Stack(1), DATA.split(size), "blocks.0")


def features(n=20):
    return Recording.from_tensors({"x": torch.zeros(n, 2)})


def lengths(recordings, **options):
    batches = recorded_batches(recordings, **{"batch": False, **options})
    assert [i for each in batches for i in each] == list(range(sum(map(len, batches))))
    return [len(each) for each in batches]


def test_the_batches_of_the_first_recording():
    assert lengths([by(8), by(8)], batch=True) == [8, 8, 4]
    assert lengths([by(8), by(6)]) == [8, 8, 4]
    assert lengths([by(6), features()]) == [6, 6, 6, 2]
    assert lengths([features(2100)]) == [1024, 1024, 52]


@pytest.mark.parametrize("batch", [False, True])
def test_max_samples_cuts(batch):
    assert lengths([by(8), by(8)], batch=batch, max_samples=10) == [8, 2]
    assert lengths([by(8), by(8)], batch=batch, max_samples=16) == [8, 8]
    assert lengths([by(8), by(8)], batch=batch, max_samples=99) == [8, 8, 4]


def test_cut_to_a_common_number():
    assert lengths([features(30), features(20)], max_samples=20) == [20]
    assert lengths([by(10), by(20)], batch=True, max_samples=10) == [10]


@pytest.mark.parametrize("max_samples", [None, 25])
def test_other_numbers_of_samples(max_samples):
    with pytest.raises(AlignmentError) as error:
        recorded_batches([features(30), by(8)], batch=False, max_samples=max_samples)
    assert str(error.value) == (
        "the recordings hold 30 and 20 samples. Both must be of the same samples in the same "
        "order; max_samples=20 compares the first 20 of each."
    )


def test_batches_that_matter_must_be_there_and_equal():
    with pytest.raises(ConfigError) as error:
        recorded_batches([by(8), features()], batch=True)
    assert str(error.value) == (
        "block_size='batch' needs a recording made by record(), which knows its batches; one made "
        "by from_tensors has none. Use 'auto', 'all' or an integer."
    )
    with pytest.raises(ConfigError) as error:
        recorded_batches([by(8), by(3)], batch=True)
    assert str(error.value) == (
        "block_size='batch' needs recordings with the same batches, but their lengths differ: "
        "8, 8, 4 and 3, 3, 3, .... Use 'auto', 'all' or an integer."
    )
