"""`scripts/benchmark.py` from the command line."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"


@pytest.fixture
def script(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_two_cases(script):
    words = ("--case", "c", "--case", "d", "--small", "--repeats", "2", "--threads", "1")
    text = script(*words, "--out", "found")
    assert Path("found/benchmark.md").read_text() == text.removesuffix("\n")
    assert Path("found/growth.png").exists()
    assert text.startswith("Best of 2. ")
    assert "\n### c. Statistics alone: 4 + 4 layers, N = 40, d = 16" in text
    assert "\n### d. Growth" in text
    numbers = json.loads(Path("found/benchmark.json").read_text())
    assert list(numbers["cases"]) == ["c", "d"]
    ours = numbers["cases"]["c"]["outcomes"]["hooksim"]
    assert len(ours["seconds"]) == 2
    assert f"both measures` | {min(ours['seconds']):.3g} |" in text
    products = numbers["cases"]["c"]["outcomes"]["plain products"]
    shown = min(ours["seconds"]) / min(products["seconds"])
    assert f"- hooksim / plain products: {shown:.3g}," in text
    [environment] = numbers["environments"]
    assert environment["threads"] == 1
    assert environment["versions"]["hooksim"]


def test_requirements(script):
    lines = script("--requirements").splitlines()
    assert "pytorch-cka==1.1.3" in lines
    assert [line.split("==")[0] for line in lines[-2:]] == ["torch", "transformers"]
    assert "+" not in lines[-2]


@pytest.mark.parametrize("words", [("--repeats", "0"), ("--threads", "0"), ("--case", "z")])
def test_what_cannot_be(script, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        script(*words)
    assert words[0] in capsys.readouterr().err
