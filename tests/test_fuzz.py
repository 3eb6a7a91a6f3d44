"""The fuzzers of `scripts/fuzz.py` find nothing in a few tries, and would find what is there."""

import sys

import pytest

import hooksim.cli.config
from hooksim.results import Comparison
from scripts.fuzz import fuzz, main


@pytest.mark.parametrize("kind", ["configs", "results"])
def test_nothing_is_found(kind, capsys):
    assert fuzz(kind, range(200)) == {}


def test_a_crash_is_found(monkeypatch, capsys):
    def crash(*_arguments):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(Comparison, "load", crash)
    found = fuzz("results", range(20))
    assert any("times: ZeroDivisionError in comparison: by nothing; " in each for each in found)
    monkeypatch.setattr(hooksim.cli.config, "check_keys", crash)
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "configs", "20"])
    assert main() == 1
    said = capsys.readouterr().out
    assert (
        "not worded: ZeroDivisionError: by nothing (-v shows where); hooksim/cli/config.py:" in said
    )
    assert said.endswith(" findings\n")
