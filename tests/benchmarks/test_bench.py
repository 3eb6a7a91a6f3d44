"""What a bench measures, and the process that it lives in."""

import sys

import numpy as np
import pytest

from scripts.benchmarks import bench
from scripts.benchmarks.bench import Bench, peak_since, reset_peak
from scripts.benchmarks.case import Case, Contestant
from scripts.benchmarks.worker import Worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="the peak is Linux's")


def taking(count):
    """A case that holds this many bytes for a moment and lets them go."""

    def run(inputs):
        np.ones(count, dtype=np.uint8)
        return {}

    return lambda small: Case("", lambda: None, [Contestant("x", "x()", run, "numpy")])


class TestPeak:
    @linux
    @pytest.mark.parametrize("mebibytes", [16, 64])
    def test_of_what_is_gone_again(self, mebibytes):
        asked = Bench({"x": taking(mebibytes << 20)})
        asked.ask({"do": "prepare", "case": "x", "small": False, "modules": []})
        for _ in range(2):  # the second does not see the first
            peak = asked.ask({"do": "run", "name": "x"})["peak"]
            assert peak == pytest.approx(mebibytes << 20, abs=4 << 20)

    @linux
    def test_before_it_is_reset_does_not_count(self):
        np.ones(64 << 20, dtype=np.uint8)
        assert peak_since(reset_peak()) < 4 << 20

    def test_on_another_system(self, monkeypatch, tmp_path):
        monkeypatch.setattr(bench, "Path", lambda path: tmp_path / "nothing" / path.strip("/"))
        assert reset_peak() is None
        assert peak_since(None) is None


def test_values_and_references_are_those_of_the_case():
    def run(inputs):
        return {"cka": np.array([inputs, np.nan])}

    case = Case(
        "", lambda: 3.0, [Contestant("x", "", run)], {"right": lambda inputs: {"cka": [inputs]}}
    )
    asked = Bench({"x": lambda small: case})
    asked.ask({"do": "prepare", "case": "x", "small": False, "modules": ["hooksim"]})
    asked.ask({"do": "run", "name": "x"})
    assert str(asked.ask({"do": "values", "name": "x"})) == "{'values': {'cka': [3.0, nan]}}"
    assert asked.ask({"do": "reference", "quantity": "right"}) == {"values": {"cka": [3.0]}}


def test_a_broken_installation_is_no_result():
    def run(inputs):
        raise ModuleNotFoundError("no module named 'cka'")

    asked = Bench({"x": lambda small: Case("", lambda: None, [Contestant("x", "", run)])})
    asked.ask({"do": "prepare", "case": "x", "small": False, "modules": []})
    with pytest.raises(ModuleNotFoundError, match="cka"):
        asked.ask({"do": "run", "name": "x"})


def test_a_reference_before_a_case():
    with pytest.raises(RuntimeError, match="no case is prepared"):
        Bench({}).ask({"do": "reference", "quantity": "right"})


class TestProcess:
    def test_it_answers_and_ends(self):
        with Worker(sys.executable, 1) as worker:
            assert worker.ask({"do": "surroundings"})["threads"] == 1
            with pytest.raises(RuntimeError, match=r"KeyError: 'nothing'"):
                worker.ask({"do": "prepare", "case": "nothing", "small": True, "modules": []})
            assert worker.ask({"do": "surroundings"})["versions"]["torch"]
            process = worker._process
        assert process.returncode == 0

    def test_one_that_ends_by_itself(self, tmp_path):
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\nread request\nexit 3\n")
        python.chmod(0o755)
        worker = Worker(str(python), 1)
        with pytest.raises(RuntimeError, match=r"python: ended with 3 at {'do': 'surroundings'}"):
            worker.ask({"do": "surroundings"})
        worker.close()
