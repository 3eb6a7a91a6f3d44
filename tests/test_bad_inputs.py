"""All that a user may get wrong, in one table: one line, the exit code, nothing half-written.

The README's table of exit codes: 2 for usage, a config that does not fit, an output that may not be
written; 1 for anything else, such as missing weights or a damaged result.
"""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from hooksim.cli.main import main
from tests.bad_inputs import command_line, inputs, saved
from tests.bad_inputs.folder import make_folder

TABLE = {
    f"{kind}: {name}": bad
    for kind, cases in {
        "command line": command_line.COMMAND_LINE,
        "config": command_line.CONFIGS,
        "output": command_line.OUTPUTS,
        "model": inputs.MODELS,
        "weights": inputs.WEIGHT_FILES,
        "data": inputs.DATA,
        "layers": inputs.LAYERS,
        "result": saved.RESULTS,
        "recording": saved.RECORDINGS,
        "checkpoints": saved.CHECKPOINTS,
    }.items()
    for name, bad in cases.items()
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    make_folder(folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    shutil.copytree(good, place)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return place


def contents(folder: Path) -> dict[str, str]:
    """Everything in a folder, by its path: what it holds, in short."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def test_the_table_is_long_and_its_start_is_good(folder: Path) -> None:
    assert len(TABLE) >= 60
    for words in (["compare", "c.yaml"], saved.OF_RECORDED, saved.RUN):
        assert main([*words, "--dry-run"]) == 0


@pytest.mark.parametrize("name", TABLE)
def test_bad_input(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = TABLE[name]
    bad.harm()
    before = contents(folder)
    assert main(bad.words) == bad.code
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.endswith("\n"), error
    place = 0
    for number, part in enumerate(bad.line.split("...")):
        found = error.find(part, place)
        assert found >= 0 and (number or not part or found == 0), error
        place = found + len(part)
    assert "Traceback" not in error and "was-run" not in contents(folder)
    assert contents(folder) == before
