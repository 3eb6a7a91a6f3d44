import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from hooksim.capture.outputs import choose_output
from hooksim.capture.rows import Rows
from hooksim.errors import NoRowsError

HIDDEN = torch.zeros(4, 5, 3)
CACHE = torch.zeros(2, 3)


def test_a_tensor_is_itself():
    chosen = choose_output(HIDDEN, Rows(output_index=1), 4)
    assert chosen.tensor is HIDDEN
    assert chosen.skipped == ()


def test_last_hidden_state_comes_first():
    pooled = torch.zeros(4, 3)
    chosen = choose_output({"pooled": pooled, "last_hidden_state": HIDDEN}, Rows(), 4)
    assert chosen.tensor is HIDDEN
    assert (chosen.name, chosen.skipped) == ("last_hidden_state", ("pooled",))


def test_model_output():
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    output = BaseModelOutputWithPooling(last_hidden_state=HIDDEN, pooler_output=torch.zeros(4, 3))
    assert choose_output(output, Rows(), 4).tensor is HIDDEN
    assert choose_output(output, Rows(output_index=1), 4).name == "pooler_output"


def test_first_floating_tensor_with_the_batch_in_front():
    output = (None, torch.zeros(4, dtype=torch.int64), CACHE, HIDDEN, torch.zeros(4, 1))
    chosen = choose_output(output, Rows(), 4)
    assert chosen.tensor is HIDDEN
    assert (chosen.name, chosen.skipped) == ("3", ("1", "2", "4"))


def test_attention_without_weights_skips_nothing():
    assert choose_output((HIDDEN, None), Rows(), 4).skipped == ()


def test_batch_dim_decides_what_is_in_front():
    time_first = torch.zeros(5, 4, 3)
    chosen = choose_output((HIDDEN, time_first), Rows(batch_dim=1, channel_dim=2), 4)
    assert chosen.tensor is time_first


def test_output_index():
    assert choose_output([HIDDEN, CACHE], Rows(output_index=-1), 4).tensor is CACHE
    with pytest.raises(NoRowsError, match="output_index 2 is beyond its 2 outputs"):
        choose_output((HIDDEN, CACHE), Rows(output_index=2), 4)
    message = r"output_index 1 names no tensor of its output, which holds 0 \(4, 5, 3\) float32\."
    with pytest.raises(NoRowsError, match=message):
        choose_output((HIDDEN, None), Rows(output_index=1), 4)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, "its output is NoneType, which holds no tensor"),
        ((None, CACHE), "none of its outputs is a floating tensor with 4 samples in dimension 0"),
        ([None], r"none of its outputs is a floating tensor with 4 samples in dimension 0\. Sel"),
        (
            iter([HIDDEN]),
            "its output is list_iterator, which holds no tensor. Select another layer",
        ),
    ],
)
def test_outputs_without_rows(output, message):
    with pytest.raises(NoRowsError, match=message):
        choose_output(output, Rows(), 4)


NESTED = (None, {"state": (HIDDEN, CACHE), "ids": HIDDEN.long()})


@pytest.mark.parametrize(
    ("index", "name"), [(None, "1.state.0"), (1, "1.state.0"), ("1.state.1", "1.state.1")]
)
def test_containers_inside_containers(index, name):
    chosen = choose_output(NESTED, Rows(output_index=index), 4)
    assert chosen.name == name
    assert {chosen.name, *chosen.skipped} == {"1.state.0", "1.state.1", "1.ids"}


def test_an_element_without_a_floating_tensor():
    message = "none of its outputs is a floating tensor with 4 samples in dimension 0: 0 "
    with pytest.raises(NoRowsError, match=message):
        choose_output((HIDDEN, (CACHE, None)), Rows(output_index=1), 4)


def test_a_packed_sequence_is_no_batch():
    lengths = torch.tensor([5, 2, 3, 1])
    packed = pack_padded_sequence(HIDDEN[:, :5], lengths, batch_first=True, enforce_sorted=False)
    output = nn.LSTM(HIDDEN.shape[2], 6, batch_first=True)(packed)
    message = "it gives a PackedSequence.* Select a layer after pad_packed_sequence"
    for rows in (Rows(), Rows(batch_dim=1)):
        with pytest.raises(NoRowsError, match=message):
            choose_output(output, rows, 4)
    last = choose_output(output, Rows(output_index="1.0", batch_dim=1), 4)
    assert last.tensor is output[1][0]
