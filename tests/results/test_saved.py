"""Whichever kind of result a folder holds."""

import json

import pytest

from hooksim.errors import HooksimError
from hooksim.results import Comparison, Trajectory
from hooksim.results.saved import load_saved
from tests.report.pages import comparison


def test_a_comparison_is_a_comparison(tmp_path, monkeypatch):
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    folder = comparison().save(tmp_path / "run")
    assert isinstance(load_saved(folder), Comparison)


def test_a_trajectory_is_read_as_one(tmp_path, monkeypatch):
    (tmp_path / "metadata.json").write_text(json.dumps({"format": "hooksim trajectory"}))
    monkeypatch.setattr(Trajectory, "load", lambda path: f"trajectory in {path.name}")
    assert load_saved(tmp_path) == f"trajectory in {tmp_path.name}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "it has no metadata.json"),
        ("{", "metadata.json is not valid JSON"),
        ("[3]", "metadata.json is of another kind"),
        ('{"format": "x"}', "metadata.json is of another kind"),
    ],
)
def test_what_is_wrong_is_said_by_the_reader(tmp_path, text, message):
    if text is not None:
        (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(HooksimError, match=message):
        load_saved(tmp_path)
