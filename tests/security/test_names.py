"""Whatever layers, measures, references and steps are called: no path leaves the output folder."""

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import hooksim
from hooksim.cli.main import main
from hooksim.errors import ConfigError
from hooksim.probe import Probe
from hooksim.results import Comparison, Meaning, SimilarityMatrix, Trajectory
from hooksim.results.tables import write_table

NASTY = [
    "../../x", "/etc/passwd", "a\0b", "x" * 5000, "con", "NUL", "aux.txt", "..", ".", "~",
    "a\\..\\b", "C:\\x", "\n", "\u202e", "=cmd|'/c calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(1)", "\ufe661", " =1", "\u00a0=1", "\u200b=1",
    "\ufeff=1", "\0=1", "\x1c=1",
    "</script>", "<img src=x onerror=alert(1)>", "${jndi:x}", "%00", "trailing. ", "\ud800",
]  # fmt: skip


def matrix(key: str, layers: list[str]) -> SimilarityMatrix:
    values = torch.rand(len(layers), len(layers), dtype=torch.float64)
    return SimilarityMatrix(key, values, values, layers, layers, Meaning("CKA", "max"))


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def cells(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return [cell for row in csv.reader(stream) for cell in row]


@pytest.mark.parametrize("name", NASTY)
def test_a_comparison_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    plain = name.encode("utf-8", "replace").decode()
    result = Comparison({plain: matrix(plain, [plain, "0"])}, 8, {"name_a": plain, "x": plain})
    folder = result.save(tmp_path / "deep" / "run", pictures=False)
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"run"}
    files = files_in(folder)
    assert len(files) == 5 and all("/" not in each and len(each) < 120 for each in files)
    stems = {each.split(".")[0].upper() for each in files}
    assert not stems & {"CON", "NUL", "AUX"}
    again = Comparison.load(folder)
    assert again.keys() == [plain] and again[plain].layers_a == [plain, "0"]
    for file in folder.glob("*.csv"):
        for cell in cells(file):
            assert not cell.startswith(("=", "+", "@", "\t", "\r", "\n")), cell
            assert not cell.startswith("-") or float(cell) <= 0
            seen = "".join(each for each in cell if each.isprintable() and not each.isspace())
            assert not seen or seen[0] not in "\uff1d\uff0b\uff0d\uff20\ufe66=+@", cell


@pytest.mark.parametrize("step", ["../../x", "=1+1", "a\0b", "con", "x" * 300])
def test_a_trajectory_stays_in_its_folder(step: str, tmp_path: Path) -> None:
    made = Comparison({step: matrix(step, ["0"])}, 8, {})
    run = Trajectory.from_comparisons([step, "b"], [made, made], "first")
    folder = run.save(tmp_path / "run")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert Trajectory.load(folder).steps == [step, "b"]
    assert f"'{step}" in cells(next(folder.glob("*.drift.csv"))) or not step.startswith("=")


def test_layers_of_a_model_and_the_measure_s_key(tmp_path: Path) -> None:
    model = nn.Sequential()
    for name in ("/etc/passwd", "=1+1", "con", "a\0b", "../x"):
        if "." not in name:  # torch refuses those itself
            model.add_module(name, nn.Linear(4, 4))
    data = [torch.randn(16, 4)]
    measures = [hooksim.CKA(key="../../up")]
    result = hooksim.compare(model, model, data, measures=measures, progress=False)
    result.save(tmp_path / "a" / "run")
    hooksim.record(model, data, path=tmp_path / "a" / "rows", progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"run", "rows"}
    assert {each.partition(".")[2] for each in files_in(tmp_path / "a" / "rows")} == {"bin", "json"}


@pytest.mark.parametrize("name", ["../../x", "/x", "", "..", "a/b", "a\0b", "-x", "=1", "é"])
def test_references_are_no_paths(name: str) -> None:
    model = nn.Linear(4, 4)
    with pytest.raises(ConfigError, match="cannot be the name of a folder and of a curve"):
        Probe([torch.randn(8, 4)], reference={name: model})


@pytest.mark.parametrize("name", NASTY)
def test_the_page_holds_names_as_text(name: str, tmp_path: Path) -> None:
    plain = name.encode("utf-8", "replace").decode()
    metadata = {"name_a": plain, "config": {plain: [plain]}, "warnings": []}
    result = Comparison({"cka": matrix("cka", [plain, "0"])}, 8, metadata)
    page = result.report(tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page and page.count("</script>") == page.count("<script")


def test_the_heatmap_of_a_measure_stays_beside_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Comparison({"../../up": matrix("x", ["0"])}, 8, {}).save(tmp_path / "run", pictures=False)
    assert main(["heatmap", "run", "--measure", "../../up"]) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.resolve().parent == tmp_path and written.is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"run", written.name}


def test_a_name_with_every_separator_stays_one_cell(tmp_path: Path) -> None:
    name = 'a,b;c"d\ne\tf\rg'
    write_table(tmp_path / "x.csv", torch.ones(1, 1), [name], [name])
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert [len(row) for row in rows] == [2, 2] and rows[0][1] == rows[1][0] == name


@pytest.mark.parametrize("separator", [";", "\t"])
def test_where_other_separators_are_used_a_name_stays_one_cell_too(
    tmp_path: Path, separator: str
) -> None:
    write_table(tmp_path / "x.csv", torch.ones(1, 1), ["0"], [f"a{separator}=1+1"])
    text = (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert f',"a{separator}=1+1"\n' in text


def test_a_name_that_no_file_can_hold_is_written_out(tmp_path: Path) -> None:
    """As steps are called by paths, and these may hold bytes that are no text."""
    made = Comparison({"cka": matrix("cka", ["\udcff"])}, 8, {"name_a": "\udcff"})
    folder = made.save(tmp_path / "run")
    assert cells(folder / "cka.csv")[1] == "\\udcff"
    assert Comparison.load(folder).metadata == {"name_a": "\\udcff"}
    Trajectory.from_comparisons(["\udcff", 2], [made, made], "first").save(tmp_path / "course")
    assert Trajectory.load(tmp_path / "course").steps == ["\\udcff", 2]


def test_metadata_of_any_text_is_json(tmp_path: Path) -> None:
    result = Comparison({"cka": matrix("cka", ["0"])}, 8, {"x": NASTY[:-1]})
    folder = result.save(tmp_path / "run", pictures=False)
    assert json.loads((folder / "metadata.json").read_bytes())["metadata"]["x"] == NASTY[:-1]
