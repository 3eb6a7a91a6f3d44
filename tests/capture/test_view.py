import pytest
import torch
from torch import nn

from hooksim.capture.reader import ModelReader, View
from hooksim.errors import LayerNotFoundError
from tests.capture.reading import LATER, START, Calls, read, values_of
from tests.capture.tiny_models import Stack, text_batch, tiny


def test_several_firings():
    model, x = Calls([2, 1]).eval(), torch.randn(3, 4)
    values = values_of(model, x, times=2)
    assert list(values) == ["blocks.0#0", "blocks.0#1", "blocks.1"]
    once = model.blocks[0](x)
    torch.testing.assert_close(values["blocks.0#0"], once.detach())
    torch.testing.assert_close(values["blocks.0#1"], model.blocks[0](once).detach())
    assert list(values_of(model, x, ["blocks.1", "blocks.0#1"])) == ["blocks.1", "blocks.0#1"]


def test_albert_fires_its_shared_block():
    reader, _ = read(tiny("Albert"), text_batch([3, 5]), times=2)
    assert [name.rpartition("#")[2] for name in reader.names(0)] == ["0", "1", "2"]


def test_a_firing_that_does_not_exist():
    with pytest.raises(LayerNotFoundError) as error:
        read(Calls([2, 1]), torch.ones(3, 4), "blocks.0#2")
    assert str(error.value) == (
        "layer 'blocks.0#2' of model A (Calls): it is called 2 times in the forward pass, "
        "so #0 to #1 exist."
    )


@pytest.mark.parametrize("stop_early", [True, False])
def test_fewer_firings_later_are_an_error(stop_early):
    model = Calls([2, 1])
    with ModelReader(model, [View("A")], stop_early=stop_early) as reader:
        reader.read(torch.ones(3, 4), None, START)
        model.counts = [1, 1]
        with pytest.raises(LayerNotFoundError, match=r"'blocks.0' of model A \(Calls\), batch 3"):
            reader.read(torch.ones(3, 4), None, LATER)


def test_more_firings_later_are_an_error():
    model = Calls([1, 1])
    with ModelReader(model, [View("A")], stop_early=False) as reader:
        reader.read(torch.ones(3, 4), None, START)
        model.counts = [2, 1]
        with pytest.raises(LayerNotFoundError, match="called 2 times, 1 times in the first batch"):
            reader.read(torch.ones(3, 4), None, LATER)


def test_a_named_layer_that_is_not_called_is_an_error():
    with pytest.raises(LayerNotFoundError) as error:
        read(Calls([1, 0]), torch.ones(3, 4), ["blocks.0", "blocks.1"])
    assert str(error.value) == (
        "layer 'blocks.1' of model A (Calls): it is not called in the forward pass. "
        "Select another layer."
    )


def test_a_layer_found_by_pattern_that_is_not_called_is_left_out():
    reader, _ = read(Calls([1, 0]), torch.ones(3, 4), "blocks.*", times=2)
    assert reader.names(0) == ["blocks.0"]
    assert [(note.code, note.text) for note in reader.notes] == [
        (
            "dropped_layers",
            "model A (Calls): left out 'blocks.1': it is not called in the forward pass. "
            "Select another layer.",
        )
    ]


def test_wrong_policy_for_a_named_layer():
    with pytest.raises(LayerNotFoundError) as error:
        read(nn.Sequential(nn.Linear(4, 2)), torch.ones(3, 4), "0", rows="token")
    assert str(error.value).startswith(
        "layer '0' of model A (Sequential), batch 0 (first sample 0): policy 'token' takes no rows "
        "from its 2-D output (3, 2). Use rows='auto' or"
    )


def test_no_layer_left():
    with pytest.raises(
        LayerNotFoundError, match=r"no layer of model A \(Stack\) gives rows. The f"
    ):
        read(Stack(2), torch.ones(3, 4), rows="token")


def test_no_batch_in_front_is_left_out():
    reader, _ = read(tiny("Bert"), text_batch([3, 5]), "embeddings.*")
    assert "embeddings.position_embeddings" not in reader.names(0)
    [note] = [note for note in reader.notes if note.code == "dropped_layers"]
    assert "left out 'embeddings.position_embeddings': its output (1, 5, 16) has no ba" in note.text


def test_skipped_outputs_are_noted():
    batch = {**text_batch([3, 5]), "decoder_input_ids": torch.ones(2, 4).long()}
    reader, _ = read(tiny("T5"), batch, "encoder.block.*")
    assert [note.text for note in reader.notes] == [
        "model A (T5Model): took output '0' of 'encoder.block.0', 'encoder.block.1', not '1'. "
        "Rows(output_index=...) takes another."
    ]


def test_ignored_keys_are_noted_once():
    reader, _ = read(tiny("Bert"), {**text_batch([3, 5]), "labels": torch.ones(2)}, times=3)
    assert [note.text for note in reader.notes] == [
        "model A (BertModel): 'labels' of the batch is not passed to it."
    ]
