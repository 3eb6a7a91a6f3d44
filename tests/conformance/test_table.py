"""The README's table is what the script makes of the stored values and of hooksim today."""

import json
from pathlib import Path

import pytest

from scripts.conformance import BEGIN, END, PEERS, SHOWN, own_cells, peer_cells, render
from tests.conformance.columns import CASES, TOOLS

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def own():
    return own_cells(CASES)


def test_the_worst_error_of_hooksim(own):
    """Every way in, every case; 1e-4 is the promise, and rounding is all there is."""
    assert set(own) == {name for name, tool in TOOLS.items() if tool.ours}
    for name, column in own.items():
        assert set(column) == set(CASES), name
        assert all(cell.has_value for cell in column.values()), name
        assert max(column.values()).error <= 1e-4, name
        assert max(column.values()).error < SHOWN, f"{name}: no longer what the README shows"


def test_the_readme_shows_the_rendered_table(own):
    """All but the last line, which names the machine that hooksim was measured on."""
    text = README.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    shown = text.split(BEGIN)[1].split(END)[0].strip("\n").splitlines()
    stored = json.loads(PEERS.read_text(encoding="utf-8"))
    made = render(stored, {**peer_cells(stored, CASES), **own}).splitlines()
    assert shown[:-1] == made[:-1], "run scripts/conformance.py table --into README.md"
    assert shown[-1].startswith("hooksim: ")
