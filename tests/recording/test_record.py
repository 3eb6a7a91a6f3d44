"""`record` from outside: the very bits of the live model, or one clear line."""

import logging

import pytest
import torch
from torch import nn

from hooksim.capture.batches import PairedBatch
from hooksim.capture.rows import Rows
from hooksim.errors import (
    ConfigError,
    HooksimError,
    LayerNotFoundError,
    NonFiniteError,
    NotEnoughSamplesError,
)
from hooksim.recording import Recording, record
from tests.capture.tiny_models import Stack, hook_count, text_batch, tiny
from tests.recording.recorded import DATA, Twice, apart_from, live, recorded, same_bits

TEXT = [text_batch([3, 5, 2]), text_batch([4, 4], total=6), text_batch([1])]


@pytest.fixture(params=["memory", "disk"])
def path(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "recording"


@pytest.mark.parametrize(
    ("model", "loader", "rows"),
    [
        (Stack(2), DATA.split(6), "auto"),
        (Stack(2).double(), DATA.double().split(6), "auto"),
        (Stack(2).bfloat16(), DATA.bfloat16().split(6), "auto"),
        (tiny("Bert"), TEXT, "mean"),
        (tiny("Bert"), TEXT, "cls"),
        (tiny("Bert"), TEXT, "token"),
        (tiny("Albert"), TEXT, "last"),
    ],
    ids=["float32", "float64", "bfloat16", "mean", "cls", "token", "firings"],
)
def test_rows_are_those_of_the_live_model_bit_for_bit(model, loader, rows, path):
    recording = recorded(model, loader, None, rows, path)
    names, slices = live(model, loader, rows=rows)
    assert recording.layers == names
    for layer, name in enumerate(names):
        assert same_bits(recording[name], torch.cat([part.values[layer] for part in slices]))
    assert recording.n_samples == sum(part.items for part in slices)
    assert recording.n_rows == sum(part.n for part in slices)
    assert recording.batch_lengths == [part.items for part in slices]
    assert recording.inputs == [each for part in slices for each in part.inputs]
    lengths = [each for part in slices for each in part.lengths or ()]
    assert recording.lengths == (lengths or None)
    assert (recording.rows, recording.model) == (Rows(rows), type(model).__name__)
    assert recording.complete and recording.path == path


def test_a_folder_and_memory_say_the_same(tmp_path):
    in_memory = recorded(Twice(), DATA.split(6), "*")
    on_disk = recorded(Twice(), DATA.split(6), "*", path=tmp_path / "one" / "two")
    again = Recording.load(tmp_path / "one" / "two")
    for each in (on_disk, again):
        for name in ("layers", "positions", "sample_ids", "inputs", "rows", "notes", "complete"):
            assert getattr(each, name) == getattr(in_memory, name), name
    assert repr(again) == (
        f"Recording of Twice: 3 layers, 20 samples, 400 bytes, in '{tmp_path}/one/two'"
    )


@pytest.mark.parametrize("number", [1, 3])
def test_layers_that_cease_to_share_their_tensor_are_stored_apart(number, path):
    model, loader = Twice(), apart_from(number)
    names, slices = live(model, loader, "*")
    recording = recorded(model, loader, "*", path=path)
    assert recording.positions == [0, 2, 1] and len(recording.tensors) == 3
    for layer, name in enumerate(names):
        assert same_bits(recording[name], torch.cat([part.values[layer] for part in slices]))
    together = recorded(model, apart_from(9), "*", path=path, overwrite=True)
    assert together.positions == [0, 0, 1] and len(together.tensors) == 2
    if path is not None:
        assert sorted(file.name for file in path.iterdir()) == ["0.bin", "1.bin", "metadata.json"]


def test_ids_are_kept():
    loader = [{"x": part, "sample_ids": [f"s{i}" for i in range(6)]} for part in DATA.split(6)[:2]]
    recording = recorded(nn.Sequential(Keywords()), loader, forward=lambda m, b: m(b["x"]))
    assert recording.sample_ids == [f"s{i}" for i in range(6)] * 2
    assert [note.code for note in recording.notes] == ["repeated_sample_ids"]
    assert "'s0' 2 times" in recording.notes[0].text


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x)


def test_ids_of_some_batches_only_are_not_kept_and_not_silently():
    loader = [{"x": DATA[:4], "sample_ids": list("abcd")}, {"x": DATA[4:8]}]
    for batches in (loader, loader[::-1]):
        recording = recorded(Keywords(), batches)
        assert recording.sample_ids is None and len(recording.inputs) == 8
        assert [note.code for note in recording.notes] == ["partial_sample_ids"]


def test_what_the_reader_notes_is_kept_without_its_title():
    recording = recorded(Keywords(), [{"x": DATA, "extra": DATA}])
    assert [note.text for note in recording.notes] == ["'extra' of the batch is not passed to it."]


def test_max_samples_cuts_the_last_batch():
    recording = recorded(Stack(2), DATA.split(8), max_samples=10)
    assert (recording.n_samples, recording.batch_lengths) == (10, [8, 2])


@pytest.mark.parametrize("layer", ["0", "1", "2"])
def test_a_loader_may_fill_one_buffer_again_and_again(layer, path):
    buffer = torch.empty(4, 4)

    def loader():
        for part in DATA.split(4):
            yield buffer.copy_(part)

    model = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 2))
    expected = recorded(model, DATA.split(4), layer)
    recording = recorded(model, loader(), layer, path=path)
    assert same_bits(recording[layer], expected[layer]) and recording.inputs == expected.inputs


def test_the_model_is_as_before_and_nothing_is_logged(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    model = Stack(2).train()
    record(model, DATA.split(8))
    assert hook_count(model) == 0 and model.blocks[0].training
    assert caplog.records == [] and capsys.readouterr() == ("", "")


class Overflowing(nn.Module):
    """Gives NaN for a sample that begins with a 7."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.after = nn.Identity()

    def forward(self, x):
        return self.after(self.layer(x).where(x[:, :1] != 7, torch.nan))


def test_nan_is_refused_at_once_and_what_came_before_is_kept(tmp_path):
    data = DATA.clone()
    data[9, 0] = data[10, 0] = 7
    seen = []

    def loader():
        for part in data.split(4):
            seen.append(len(part))
            yield part

    with pytest.raises(NonFiniteError) as error:
        recorded(Overflowing(), loader(), "*", path=tmp_path / "r")
    assert str(error.value) == (
        "layer 'after' of model (Overflowing), batch 2 (first sample 8): 2 of 4 rows hold NaN or "
        "infinity, the first of them row 1 (sample 9). Leave those samples out, or run the model "
        "in a wider dtype."
    )
    assert len(seen) == 3
    assert Recording.load(tmp_path / "r").n_samples == 8


def test_a_token_with_nan_is_named_by_its_sample_and_id():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding.from_pretrained(torch.tensor([[0.0], [1.0], [torch.inf]]))

        def forward(self, input_ids, attention_mask=None):
            return self.embed(input_ids)

    batch = {"input_ids": torch.tensor([[1, 1, 1], [1, 2, 1]]), "sample_ids": ["one", "two"]}
    with pytest.raises(NonFiniteError, match=r"the first of them row 4 \(sample 1, id 'two'\)"):
        recorded(Tokens(), [batch], "embed", "token")


def test_a_sum_that_overflows_is_no_infinity():
    recording = recorded(nn.Sequential(nn.Identity()), [torch.full((4, 4), 3e38)], "0")
    assert recording["0"].isfinite().all()


def test_rows_of_another_type_than_in_the_first_batch():
    loader = [DATA[:4], DATA[4:8].double()]
    with pytest.raises(HooksimError) as error:
        recorded(nn.Sequential(nn.Identity()), loader, "0")
    assert str(error.value) == (
        "layer '0' of model (Sequential), batch 1 (first sample 4): rows of torch.float64, "
        "torch.float32 in the first batch. Run all batches in one precision."
    )


WRONG = {
    "no model": (lambda: recorded("bert", [DATA]), "model: expected a torch.nn.Module, got str."),
    "no loader": (
        lambda: recorded(Stack(2), None),
        "loader: expected an iterable of batches, got None.",
    ),
    "one batch": (
        lambda: recorded(Stack(2), {"x": DATA}),
        "loader: expected an iterable of batches, got dict. Put a batch in a list.",
    ),
    "max_samples": (
        lambda: recorded(Stack(2), [DATA], max_samples=0),
        "max_samples: expected a whole number from 1, got 0.",
    ),
    "max_samples a claim": (
        lambda: recorded(Stack(2), [DATA], max_samples=True),
        "max_samples: expected a whole number from 1, got True.",
    ),
    "on_nonfinite": (
        lambda: recorded(Stack(2), [DATA], on_nonfinite="drop"),
        "on_nonfinite='drop' is not available in this version; use 'error'.",
    ),
    "pairs": (
        lambda: recorded(Stack(2), [PairedBatch(DATA, DATA)]),
        "loader: a PairedBatch holds the inputs of two models, and one is recorded. Give the model "
        "its own loader.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_one_line(name):
    call, message = WRONG[name]
    with pytest.raises(ConfigError) as error:
        call()
    assert str(error.value) == message


def test_no_batches():
    with pytest.raises(NotEnoughSamplesError) as error:
        recorded(Stack(2), iter([]))
    assert str(error.value) == (
        "the data has 0 samples. The loader gave no batches; a generator can be read only once."
    )


def test_a_layer_that_is_not_there():
    with pytest.raises(LayerNotFoundError, match=r"no layer of model \(Stack\) matches 'block.0'"):
        recorded(Stack(2), [DATA], "block.0")


def test_the_whole_forward_runs_where_it_is_asked_for():
    class Counted(nn.Sequential):
        ended = 0

        def forward(self, x):
            x = super().forward(x)
            type(self).ended += 1
            return x

    model = Counted(nn.Linear(4, 3), nn.Linear(3, 2))
    for stop_early, ended in ((True, 1), (False, 1 + 5)):
        record(model, DATA.split(4), "0", progress=False, stop_early=stop_early)
        assert model.ended == ended
