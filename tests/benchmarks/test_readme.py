"""The README's table of times is that of the numbers which are kept."""

import json

import pytest

from scripts.benchmark import ROOT
from scripts.benchmarks import readme

CASE = {
    "outcomes": {
        "hooksim": {"best": 1.0, "failure": "", "peaks": [1 << 20, 3 << 20]},
        "bare forward": {"best": 2.0, "failure": "", "peaks": [None]},
        "torch_cka": {"best": 9.0, "failure": "RuntimeError: no memory", "peaks": []},
    },
    "promises": [{"text": "hooksim / bare forward", "bound": 0.4, "value": 0.5, "kept": False}],
}
PLACE = {
    "system": "Linux",
    "processor": "CPU",
    "capability": "AVX2",
    "processors": 2,
    "threads": 2,
    "python": "3.11",
    "versions": {"torch": "2.13"},
}


def test_it_is_of_the_numbers_that_are_kept():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split(readme.BEGIN)[1].split(readme.END)[0].strip("\n")
    assert shown == readme.summary(json.loads(readme.MEASURED.read_text(encoding="utf-8")))


def test_a_row_and_what_is_missed():
    text = readme.summary({"cases": {"a": CASE}, "environments": [PLACE, PLACE]})
    row = text.splitlines()[2]
    assert row.endswith("| 2 s | 0.5 (3 MiB) |  | RuntimeError |  |  |")
    assert "Missed so far: case a, hooksim / bare forward: 0.5 (aimed at 0.4)." in text
    kept = CASE | {"promises": [CASE["promises"][0] | {"kept": True}]}
    assert "Missed" not in readme.summary({"cases": {"a": kept}, "environments": [PLACE]})


def test_numbers_are_kept_with_the_document(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "MEASURED", tmp_path / "measured.json")
    document, run = tmp_path / "README.md", tmp_path / "benchmark.json"
    run.write_text(json.dumps({"cases": {"a": CASE}, "environments": [PLACE]}))
    document.write_text("no marks")
    with pytest.raises(ValueError, match="expected the marks"):
        readme.keep(run, document)
    assert not readme.MEASURED.exists()
    document.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter")
    readme.keep(run, document)
    assert json.loads(readme.MEASURED.read_text())["cases"]["a"]["promises"]
    assert "old" not in document.read_text() and "0.5 (3 MiB)" in document.read_text()
