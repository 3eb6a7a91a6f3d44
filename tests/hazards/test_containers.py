"""Layers that return tuples, dicts, ModelOutputs, and one in the other."""

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

import hooksim
from hooksim import Rows
from tests.hazards.measured import BATCHES, Odd, assert_measured, assert_refused, by_hand

Pair = namedtuple("Pair", "mask hidden")


@dataclass
class Held:
    count: int
    hidden: Tensor


WITH_HIDDEN = {
    "tuple": lambda hidden: (hidden, None),
    "the first is no tensor": lambda hidden: (None, hidden),
    "the first is integer": lambda hidden: (hidden.argmax(dim=1), hidden),
    "the first has no batch": lambda hidden: (hidden[:3], hidden),
    "list": lambda hidden: [hidden, 2 * hidden.relu()],
    "named tuple": lambda hidden: Pair(hidden > 0, hidden),
    "dict": lambda hidden: {"choice": hidden.argmax(dim=1), "hidden": hidden},
    "ModelOutput": lambda hidden: BaseModelOutput(hidden, (hidden.relu(),)),
    "last_hidden_state is not the first": lambda hidden: {
        "logits": hidden.relu(),
        "last_hidden_state": hidden,
    },
    "dataclass": lambda hidden: Held(3, hidden),
    "tuple in a tuple": lambda hidden: ((hidden, hidden.relu()), None),
    "dict in a tuple": lambda hidden: (None, {"inner": (3, hidden)}),
}


@pytest.mark.parametrize("kind", WITH_HIDDEN)
def test_the_hidden_tensor_is_found(kind):
    model = Odd(WITH_HIDDEN[kind])
    assert_measured(model, {"odd": by_hand(model, BATCHES, ["first"])["first"]})


@pytest.mark.parametrize("index", [1, -1, "1", "1.state"])
def test_output_index_takes_another(index):
    """A position, a name, or the name of a tensor inside another element."""
    model = Odd(lambda hidden: (hidden, {"state": hidden.relu()}))
    expected = by_hand(model, BATCHES, ["first"])["first"].relu()
    assert_measured(model, {"odd": expected}, rows=Rows("auto", output_index=index))


def test_the_cell_state_of_an_lstm_has_a_name():
    model, loader = nn.Sequential(nn.LSTM(4, 5, batch_first=True)), list(torch.randn(2, 9, 3, 4))
    with torch.no_grad():
        cells = [model(batch)[1][1][0] for batch in loader]
    rows = Rows("mean", output_index="1.1", batch_dim=1)
    assert_measured(model, {"0": torch.cat(cells)}, loader, rows)


def test_what_was_not_taken_is_noted_by_its_name():
    model = Odd(lambda hidden: (hidden, (hidden.relu(), None, {"k": hidden})))
    result = hooksim.compare(model, model, BATCHES, layers_a="odd", progress=False)
    [note] = result.metadata["notes"]
    assert note["text"] == (
        "model A (Odd): took output '0' of 'odd', not '1.0', '1.2.k'. "
        "Rows(output_index=...) takes another."
    )


def test_a_recording_remembers_the_name(tmp_path):
    model, rows = Odd(lambda hidden: (hidden, (hidden.relu(),))), Rows(output_index="1.0")
    hooksim.record(model, BATCHES, "odd", rows, tmp_path / "r", progress=False)
    recording = hooksim.Recording.load(tmp_path / "r")
    assert recording.rows == rows
    assert float(recording["odd"].min()) >= 0


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda hidden: None,
            "its output is NoneType, which holds no tensor. Select another layer.",
        ),
        (lambda hidden: "text", "its output is str, which holds no tensor. Select another layer."),
        (
            lambda hidden: (hidden[:3], 5),
            "none of its outputs is a floating tensor with 20 samples in dimension 0: 0 (3, 6) "
            "float32. Select another layer.",
        ),
        (
            lambda hidden: {"name": "text"},
            "none of its outputs is a floating tensor with 20 samples in dimension 0. Select "
            "another layer.",
        ),
    ],
)
def test_nothing_to_take(make, reason):
    assert_refused(Odd(make), "odd", reason)


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (2, "output_index 2 is beyond its 2 outputs. Count them from 0."),
        (1, "output_index 1 names no tensor of its output, which holds 0 (20, 6) float32."),
        ("x", "output_index 'x' names no tensor of its output, which holds 0 (20, 6) float32."),
    ],
)
def test_an_output_index_that_is_not_there(index, reason):
    assert_refused(Odd(lambda hidden: (hidden, None)), "odd", reason, rows=Rows(output_index=index))


def test_a_generator_is_not_used_up():
    """The next layer reads it; the hook must not."""

    class Reads(Odd):
        def forward(self, x: Tensor) -> Tensor:
            return self.last(next(self.odd(self.first(x))))

    model = Reads(lambda hidden: iter([hidden]))
    result = hooksim.compare(model, model, BATCHES, layers_a=["o*", "last"], progress=False)
    assert result["cka"].layers_a == ["last"]
    [note] = result.metadata["notes"]
    assert note["text"] == (
        "model A (Reads): left out 'odd': its output is list_iterator, which holds no tensor. "
        "Select another layer."
    )


def test_a_forward_that_returns_nothing():
    class Silent(Odd):
        def forward(self, x: Tensor) -> None:
            super().forward(x)

    model = Silent(lambda hidden: hidden)
    assert_measured(model, by_hand(model, BATCHES, ["first", "last"]))
