from pathlib import Path

import pytest
import torch
from torch import nn

from hooksim.errors import ConfigError
from hooksim.probe.references import name_references, record_reference
from hooksim.recording import Recording, record

MODEL = nn.Linear(3, 2)


def test_a_single_reference_is_named_for_what_it_is():
    assert name_references(MODEL) == {"reference": MODEL}
    assert name_references("previous") == {"previous": "previous"}
    assert name_references("./previous") == {"reference": "./previous"}
    assert name_references(Path("previous")) == {"reference": Path("previous")}


def test_names_are_kept():
    given = {"initial": MODEL, "last-step.1": "previous"}
    assert name_references(given) == given


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (3, "expected a torch.nn.Module, a hooksim.Recording, a folder, 'previous', or a mapping"),
        ({"x": 3}, "reference 'x': expected a torch.nn.Module, a hooksim.Recording, a folder"),
        ({}, "the mapping is empty"),
        ({"a/b": MODEL}, "'a/b' cannot be the name of a folder"),
        ({"..": MODEL}, "'..' cannot be the name"),
        ({"": MODEL}, "'' cannot be the name"),
        ({1: MODEL}, "1 cannot be the name"),
    ],
)
def test_what_is_no_reference_is_refused(reference, words):
    with pytest.raises(ConfigError) as error:
        name_references(reference)
    assert words in str(error.value)


def rows(model: nn.Module) -> Recording:
    return record(model, [torch.ones(4, 3)], "", progress=False)


def test_a_recording_is_taken_as_it_is_or_from_its_folder(tmp_path):
    recording = Recording.from_tensors({"x": torch.randn(6, 2)})
    assert record_reference("r", recording, rows) is recording
    loaded = record_reference("r", str(recording.save(tmp_path / "kept")), rows)
    assert torch.equal(loaded["x"], recording["x"])


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("nowhere", "there is no folder"),
        ("nowhere", "a checkpoint in the Hugging Face format; 'previous' for the measurement"),
        ("", "holds neither a recording nor a checkpoint in the Hugging Face format"),
    ],
)
def test_a_folder_of_something_else_is_refused(folder, words, tmp_path):
    with pytest.raises(ConfigError, match=r"^reference 'initial': ") as error:
        record_reference("initial", tmp_path / folder, rows)
    assert words in str(error.value)


def test_a_word_that_was_meant_is_proposed():
    with pytest.raises(ConfigError) as error:
        record_reference("reference", "previos", rows)
    words = "reference: there is no folder 'previos', did you mean 'previous'? Expected the folder"
    assert str(error.value).startswith(words)


def test_checkpoints_inside_a_folder_are_named(tmp_path):
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "checkpoint-10" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="Its subfolders 'checkpoint-10' have one"):
        record_reference("initial", tmp_path, rows)
