"""`scripts/conformance.py` runs, cell by cell and as a table, and says what is wrong."""

import json
import math
import resource
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scripts import conformance
from scripts.conformance import BEGIN, END, Cell, from_plain, measure_peers, peer_cells, plain
from scripts.marked import replaced
from tests.conformance import columns
from tests.conformance.columns import TOOLS, outcome
from tests.datasets import CASES

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "conformance.py"


@pytest.fixture
def script(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["conformance.py", *words])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


class TestTable:
    def test_two_cases(self, script):
        lines = script("table", "--case", "width 1", "--case", "offset 100").splitlines()
        assert "| `hooksim-cka` | `functional.cka` of hooksim | debiased CKA | 2 of 2 |" in lines[6]
        assert lines[6].endswith("| <1e-6 |  |")
        (cka, imbalance) = (line for line in lines if line.startswith("| offset 100 |"))
        assert cka.startswith("| offset 100 | **0.72** | **AssertionError** | 1e-6 | <1e-6 |")
        assert imbalance == "| offset 100 | <1e-6 | **3e-4** |" + " <1e-6 |" * 5
        assert lines[-2].startswith("Other tools: ")
        assert "pytorch-cka 1.1.3" in lines[-2]
        assert lines[-1].startswith("hooksim: ")

    def test_into_a_document(self, script):
        document = Path("page.md")
        document.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
        table = script("table", "--case", "width 1", "--into", "page.md")
        assert document.read_text() == f"above\n{BEGIN}\n{table}{END}\nbelow\n"

    @pytest.mark.parametrize("text", ["none", f"{BEGIN} {END} {BEGIN} {END}", f"{END} {BEGIN}"])
    def test_a_document_without_the_marks(self, text):
        with pytest.raises(ValueError, match="once each and in this order"):
            replaced(text, "table", conformance.BEGIN, conformance.END)

    def test_other_rows_are_refused(self, monkeypatch):
        stored = json.loads(conformance.PEERS.read_text(encoding="utf-8"))
        monkeypatch.setitem(stored["inputs"], "width 1", stored["inputs"]["width 2"])
        conformance.check_inputs(stored, ["width 2"])
        with pytest.raises(SystemExit, match=r"case 'width 1': the rows made here are not those"):
            conformance.check_inputs(stored, ["width 1"])
        with pytest.raises(SystemExit, match=r"case 'new': no values of the other tools; run 'pee"):
            conformance.check_inputs(stored, ["new"])


class TestCell:
    def test_one_of_hooksim(self, script):
        lines = script("cell", "--case", "offset 100", "--tool", "hooksim-imbalance").splitlines()
        assert lines[0] == "imbalance, offset 100: 200 samples, 64 and 48 wide"
        assert lines[1].startswith("hooksim-imbalance: 0.1117")
        assert lines[2].startswith("float64: 0.1117")
        assert float(lines[3].removeprefix("error: ")) < 1e-6

    @pytest.mark.skipif(TOOLS["dadapy"].installed, reason="it is here")
    def test_one_that_is_not_installed(self, script):
        with pytest.raises(SystemExit, match="dadapy is not installed here; --help says how"):
            script("cell", "--case", "offset 0", "--tool", "dadapy")

    @pytest.mark.parametrize(
        ("case", "tool", "message"),
        [
            ("ofset 0", "dadapy", "no case 'ofset 0'; did you mean 'offset 0'"),
            ("offset 0", "hooksim", "no tool 'hooksim'; did you mean 'hooksim-cka'"),
            ("zzz", "dadapy", "did you mean 'offset 0', .*'width 65536'"),
        ],
    )
    def test_unknown_names(self, script, case, tool, message):
        with pytest.raises(SystemExit, match=message):
            script("cell", "--case", case, "--tool", tool)

    @pytest.mark.parametrize(
        ("found", "text"),
        [
            ([0.5], "<1e-6"),
            ([0.5 + 2.4e-5], "2e-5"),
            ([0.5 + 2.4e-4], "**2e-4**"),
            ([0.4912], "**0.0088**"),
            ([1.73], "**1.2**"),
            ([math.nan], "**NaN**"),
            ([-math.inf], "**inf**"),
            ("ValueError: text: more", "**ValueError**"),
            ("RuntimeError: DefaultCPUAllocator: can't allocate memory", "**out of memory**"),
        ],
    )
    def test_how_it_is_written(self, found, text):
        cell = Cell.of(found, [0.5])
        assert str(cell) == text
        assert cell.right == (not text.startswith("**"))
        assert Cell.of(from_plain(json.loads(json.dumps(plain(found)))), [0.5]).right == cell.right

    def test_the_worse_direction_counts(self):
        assert Cell.of([0.5, 0.7], [0.5, 0.5]).error == pytest.approx(0.2)
        assert math.isnan(Cell.of([0.5, math.nan], [0.5, 0.5]).error)
        assert math.isnan(Cell.of([math.nan, 0.5], [0.5, 0.5]).error)


class TestPeers:
    def test_requirements_need_nothing_installed(self):
        """They are asked for in an environment that is still empty."""
        words = [sys.executable, "-I", "-S", str(SCRIPT), "requirements"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "dadapy==0.3.4" in done.stdout.splitlines()
        assert [line for line in done.stdout.splitlines() if line.startswith("torch==")]

    @pytest.mark.skipif(TOOLS["dadapy"].installed, reason="they are here")
    def test_they_are_measured_where_they_are_installed(self, script):
        with pytest.raises(SystemExit, match=r"not installed here: pytorch-cka, .*dadapy"):
            script("peers", "--out", "peers.json")
        assert not Path("peers.json").exists()

    def test_what_is_stored_gives_the_errors(self, monkeypatch):
        """Stand-ins take the tools' places: two values, none, and an exception."""

        def raising(x, y):
            raise ValueError("first line\nsecond line")

        runs = {
            "pytorch-cka": lambda x, y: [math.nan],
            "torch_cka": raising,
            "dadapy": lambda x, y: [0.0, 0.0],
        }
        ours = {name: tool for name, tool in TOOLS.items() if tool.ours}
        stand_ins = {name: replace(TOOLS[name], run=run) for name, run in runs.items()}
        monkeypatch.setattr(columns, "TOOLS", stand_ins | ours)
        monkeypatch.setattr(conformance, "version", lambda name: "1.0+local")
        stored = json.loads(json.dumps(measure_peers(["width 2"]), allow_nan=False))
        assert stored["values"]["width 2"]["torch_cka"] == {"failure": "ValueError: first line"}
        assert "torch 1.0, " in stored["surroundings"]
        cells = peer_cells(stored, ["width 2"])
        assert str(cells["pytorch-cka"]["width 2"]) == "**NaN**"
        assert cells["dadapy"]["width 2"].error == pytest.approx(0.7993, abs=1e-3)


class TestOutcome:
    def test_a_broken_import_is_no_outcome(self):
        def broken(x, y):
            raise ImportError("no such module")

        with pytest.raises(ImportError):
            outcome(replace(TOOLS["dadapy"], run=broken), *CASES["width 1"]())

    @pytest.mark.skipif(sys.platform != "linux", reason="no such limit")
    def test_the_limit_of_memory_is_lifted_again(self, monkeypatch):
        monkeypatch.setattr(columns, "MEMORY", 1 << 40)
        before = resource.getrlimit(resource.RLIMIT_AS)
        if before[1] != resource.RLIM_INFINITY:
            pytest.skip("limited already")
        with columns.limited_memory():
            assert resource.getrlimit(resource.RLIMIT_AS)[0] == 1 << 40
        assert resource.getrlimit(resource.RLIMIT_AS) == before

    def test_a_model_of_stored_rows_gives_them(self):
        x, _ = CASES["float16"]()
        assert columns.StoredRows(x)(torch.arange(len(x))).equal(x)
