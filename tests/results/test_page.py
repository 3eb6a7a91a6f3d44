"""The page on disk: whole, and never in the way of other files."""

import pytest

from hooksim.errors import ConfigError, HooksimError
from hooksim.report import GENERATOR
from hooksim.results import Comparison
from hooksim.results.page import PAGE, is_page
from tests.report.pages import comparison


def test_report_writes_a_page_and_replaces_its_own(tmp_path):
    file = tmp_path / "new" / "folder" / "x.html"
    assert comparison().report(file) == file
    first = file.read_text(encoding="utf-8")
    assert GENERATOR in first and is_page(file)
    comparison((2, 2)).report(str(file))
    assert file.read_text(encoding="utf-8") != first
    assert [one.name for one in file.parent.iterdir()] == ["x.html"]


def test_a_folder_gets_its_page(tmp_path):
    assert comparison().report(tmp_path) == tmp_path / PAGE


def test_another_file_is_never_replaced(tmp_path):
    file = tmp_path / "thesis.html"
    file.write_text("years of work")
    with pytest.raises(ConfigError) as caught:
        comparison().report(file)
    assert str(caught.value) == (
        f"report: '{file}' exists and is no page of hooksim: it is not replaced. Choose another "
        "name."
    )
    assert file.read_text() == "years of work"
    file.write_bytes(b"x" * 5000 + GENERATOR.encode())
    assert not is_page(file), "somebody may quote it further down"
    assert not is_page(tmp_path) and not is_page(tmp_path / "nothing")


def test_a_failure_leaves_the_old_page(tmp_path, monkeypatch):
    file = comparison().report(tmp_path / "x.html")
    before = file.read_bytes()

    def fail(*_arguments):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(HooksimError, match="the page cannot be written: no space left"):
        comparison((2, 2)).report(file)
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["x.html"]


def test_names_that_utf_8_cannot_hold_do_not_cost_the_page(tmp_path):
    result = comparison(name=lambda i: f"{i}\udcff", name_a="runs/\udcff")
    assert "runs/?" in result.report(tmp_path / "x.html").read_text(encoding="utf-8")


def test_save_writes_it_and_a_saved_result_may_be_replaced_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    folder = comparison().save(tmp_path / "run")
    assert is_page(folder / PAGE)
    again = Comparison.load(folder)
    assert again.report(folder) == folder / PAGE
    again.save(folder, overwrite=True)
    (folder / PAGE).unlink()
    Comparison.load(folder).report(folder)
    again.save(folder, overwrite=True)
