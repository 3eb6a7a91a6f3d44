"""The script behind the README's pictures of the page."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.report.pages import comparison

SCRIPT = Path(__file__).parents[2] / "scripts" / "report_pictures.py"


def run(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["report_pictures.py", *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.browser
def test_a_desk_and_a_phone(tmp_path, monkeypatch, capsys):
    page = comparison((9, 9)).report(tmp_path / "x.html")
    run(monkeypatch, str(page), str(tmp_path / "new"))
    pictures = [tmp_path / "new" / name for name in ("report.png", "report-phone.png")]
    assert capsys.readouterr().out.split("\n")[:-1] == list(map(str, pictures))
    sizes = [int.from_bytes(picture.read_bytes()[16:20]) for picture in pictures]
    assert sizes == [1280, 780]


def test_a_page_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"x\.html: no such page; hooksim report RESULT writes it"):
        run(monkeypatch, "x.html", str(tmp_path))
