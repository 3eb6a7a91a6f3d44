import pytest
import torch

from hooksim.errors import LayerNotFoundError
from hooksim.recording import Recording
from tests.capture.tiny_models import Stack, text_batch, tiny
from tests.recording.recorded import DATA, Twice, recorded


def test_layers_by_name():
    recording = recorded(Twice(), [DATA], "*")
    assert list(recording) == recording.layers == ["first", "same", "last"]
    assert len(recording) == 3 and "last" in recording and "none" not in recording
    assert recording["first"] is recording["same"] and recording["last"].shape == (20, 2)
    assert recording.nbytes == 20 * (3 + 2) * 4
    with pytest.raises(LayerNotFoundError) as error:
        _ = recording["frist"]
    assert str(error.value) == (
        "no layer of Recording of Twice: 3 layers, 20 samples, 400 bytes, in memory is called "
        "'frist'. Close names: 'first'. recording.layers shows all."
    )


def test_a_tensordict_under_plain_names(tmp_path):
    recorded(Stack(2), [DATA], path=tmp_path / "r")
    recording = Recording.load(tmp_path / "r")
    rows = recording.tensordict
    assert set(rows.keys()) == {"blocks.0", "blocks.1"} and rows.batch_size == torch.Size([20])
    assert rows["blocks.1"].data_ptr() == recording["blocks.1"].data_ptr()
    assert recording.tensordict is rows
    assert rows[3:5]["blocks.0"].shape == (2, 4)


@pytest.mark.parametrize(
    ("recording", "text"),
    [
        (
            lambda: recorded(tiny("Bert"), [text_batch([3, 5])], "encoder.layer.0", "token"),
            "Recording of BertModel: 1 layer, 2 samples (8 rows), 512 bytes, in memory",
        ),
        (
            lambda: Recording.from_tensors({"x": torch.zeros(12345, 70)}),
            "Recording of features: 1 layer, 12,345 samples, 3.5 MB, in memory",
        ),
    ],
)
def test_what_it_says_of_itself(recording, text):
    assert repr(recording()) == text
