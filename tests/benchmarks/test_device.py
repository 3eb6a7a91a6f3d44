"""The cases on another device: the same values as on the CPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmark import ROOT
from scripts.benchmarks.bench import Bench
from scripts.benchmarks.registry import CASES
from scripts.benchmarks.turns import measure

SCRIPT = str(Path(ROOT) / "scripts" / "benchmark.py")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("key", ["a", "b", "c"])
def test_values_do_not_depend_on_the_device(key, device):
    measured = measure(key, CASES[key](True), [Bench(CASES)], small=True, repeats=1, device=device)
    for outcome in measured.outcomes.values():
        assert not outcome.failure and outcome.peaks != [None]
        assert outcome.error is None or outcome.error <= 1e-5


@pytest.mark.gpu
def test_the_benchmark_as_it_is(tmp_path):
    """Full sizes; the table is in the folder that pytest names."""
    subprocess.run([sys.executable, SCRIPT, "--device", "cuda", "--out", tmp_path], check=True)
    table = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert "cuda" in table and "### c." in table


@pytest.mark.parametrize("more", [["--peers", "python"], ["--case", "e"]])
def test_what_is_not_measured_there_is_refused(more):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--device", "cuda", *more], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--device: cases a to c without --peers are measured there." in done.stderr
