"""Results on disk: exact, whole, never in the way of other files."""

import csv
import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from hooksim import storage
from hooksim.errors import ConfigError, HooksimError
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from hooksim.results.tables import file_stems

KEYS = ("cka", "ii_a_to_b", "ii_b_to_a")


@pytest.fixture
def result() -> Comparison:
    matrices = {}
    for key in KEYS:
        values = torch.rand(2, 3, dtype=torch.float64)
        values[1, 2] = math.nan
        meaning = (
            Meaning("CKA", "max") if key == "cka" else Meaning("Imbalance", "min", (0, 1), key)
        )
        matrices[key] = SimilarityMatrix(
            key, values, values / 7, ["=cmd|'/c calc'!A0", "é,\nx"], ["b.0", "b.1", "b.2"], meaning
        )
    return Comparison(matrices, 42, {"blocks": [42], "warnings": [], "seconds": 1.5})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out where they do not matter."""
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".hooksim")]


def test_saved_and_loaded_values_are_the_same_bit_for_bit(
    result: Comparison, tmp_path: Path, quick: None
) -> None:
    folder = result.save(tmp_path / "new" / "run")
    again = Comparison.load(folder)
    assert again.keys() == result.keys() and again.n_samples == 42
    assert again.metadata == result.metadata
    for key in KEYS:
        for name in ("values", "stderr"):
            theirs, ours = getattr(again[key], name), getattr(result[key], name)
            assert torch.equal(theirs.view(torch.int64), ours.view(torch.int64))
        assert again[key].meaning == result[key].meaning
        assert again[key].layers_a == result[key].layers_a
    assert str(again) == str(result)
    assert leftovers(folder.parent) == []


def test_the_folder_holds_tables_and_pictures_and_lists_them(
    result: Comparison, tmp_path: Path
) -> None:
    folder = result.save(tmp_path / "run")
    names = sorted(path.name for path in folder.iterdir())
    expected = ["matrices.safetensors", "metadata.json", "ii.directions.png", "ii.plane.png"]
    expected += ["report.html"]
    for key in KEYS:
        expected += [f"{key}.csv", f"{key}.stderr.csv", f"{key}.png"]
    assert names == sorted(expected)
    description = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert description["files"] == names and description["schema_version"] == 2
    assert (folder / "cka.png").read_bytes().startswith(b"\x89PNG")
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_tables_are_labelled_exact_and_harmless(
    result: Comparison, tmp_path: Path, quick: None
) -> None:
    folder = result.save(tmp_path / "run")
    with (folder / "cka.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["layer of A / layer of B", "b.0", "b.1", "b.2"]
    assert [row[0] for row in rows[1:]] == ["'=cmd|'/c calc'!A0", "é,\nx"]
    assert float(rows[1][1]) == result["cka"].values[0, 0].item()
    assert rows[2][3] == "nan"
    table = pd.read_csv(folder / "cka.stderr.csv", index_col=0)
    assert table.iloc[0, 1] == pytest.approx(result["cka"].stderr[0, 1].item(), rel=1e-14)


def test_file_names_are_safe_and_different_whatever_the_keys() -> None:
    keys = ["a/b", "a\\b", "A_B", "..", "", "con", "x" * 300, "x" * 301, "é", "a.b"]
    stems = file_stems(keys)
    assert len({stem.casefold() for stem in stems.values()}) == len(keys)
    assert all(stem.replace("_", "").replace("-", "").isalnum() for stem in stems.values())
    assert all(len(stem) < 90 for stem in stems.values()) and stems["con"] != "con"


def test_any_key_can_be_saved(result: Comparison, tmp_path: Path, quick: None) -> None:
    m = result["cka"]
    keys = ["../up", "__metadata__", "a.values", "a"]
    odd = Comparison(dict.fromkeys(keys, m), 1, {})
    assert Comparison.load(odd.save(tmp_path / "run")).keys() == keys
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_metadata_becomes_plain_data(result: Comparison, tmp_path: Path, quick: None) -> None:
    result.metadata["odd"] = {1: (torch.float32, math.inf), "path": Path("x"), "n": torch.Size([2])}
    again = Comparison.load(result.save(tmp_path / "run"))
    assert again.metadata["odd"] == {"1": ["torch.float32", "inf"], "path": "x", "n": [2]}


def test_an_existing_result_is_refused_and_untouched(
    result: Comparison, tmp_path: Path, quick: None
) -> None:
    folder = result.save(tmp_path / "run")
    before = (folder / "matrices.safetensors").read_bytes()
    with pytest.raises(
        ConfigError, match=r"already holds a result.*overwrite=True \(--overwrite\)"
    ):
        Comparison({}, 0, {}).save(folder)
    assert (folder / "matrices.safetensors").read_bytes() == before
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("exchange", [True, False])
def test_overwriting_replaces_the_whole_folder(
    result: Comparison, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(storage, "_exchange", lambda *_: False)
    folder = result.save(tmp_path / "run")
    (folder / "report.html").write_text("old page")
    Comparison({"cka": result["cka"]}, 7, {}).save(folder, overwrite=True)
    assert Comparison.load(folder).n_samples == 7
    assert sorted(path.name for path in folder.iterdir()) == [
        "cka.csv", "cka.stderr.csv", "matrices.safetensors", "metadata.json", "report.html",
    ]  # fmt: skip
    assert "old page" not in (folder / "report.html").read_text(encoding="utf-8")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_of_somebody_else_is_never_replaced(
    result: Comparison, tmp_path: Path, quick: None, overwrite: bool
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="is not a result that this hooksim can read: it is not"):
        result.save(tmp_path / "thesis", overwrite=overwrite)
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "years of work"


def test_a_result_that_holds_other_files_is_not_replaced(
    result: Comparison, tmp_path: Path, quick: None
) -> None:
    folder = result.save(tmp_path / "run")
    (folder / "checkpoint-100").mkdir()
    with pytest.raises(ConfigError, match=r"not part of the result \('checkpoint-100'\)"):
        result.save(folder, overwrite=True)
    assert (folder / "checkpoint-100").is_dir()


def test_a_file_in_the_way_is_refused_and_an_empty_folder_taken(
    result: Comparison, tmp_path: Path, quick: None
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file: a folder is needed"):
        result.save(tmp_path / "file", overwrite=True)
    (tmp_path / "empty").mkdir()
    assert Comparison.load(result.save(tmp_path / "empty")).keys() == list(KEYS)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no space left")])
def test_a_failure_while_writing_keeps_the_old_result(
    result: Comparison,
    tmp_path: Path,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | type[BaseException],
) -> None:
    folder = result.save(tmp_path / "run")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("hooksim.results.files._write_metadata", fail)
    with pytest.raises((KeyboardInterrupt, HooksimError)):
        Comparison({}, 0, {}).save(folder, overwrite=True)
    with pytest.raises((KeyboardInterrupt, HooksimError)):
        result.save(tmp_path / "other")
    assert Comparison.load(folder).keys() == list(KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failure_while_swapping_puts_the_old_result_back(
    result: Comparison, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = result.save(tmp_path / "run")
    monkeypatch.setattr(storage, "_exchange", lambda *_: False)
    rename = Path.rename

    def fail_for_the_new(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(KeyboardInterrupt):
        Comparison({}, 0, {}).save(folder, overwrite=True)
    assert Comparison.load(folder).keys() == list(KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_result_that_appears_meanwhile_is_not_overwritten(
    result: Comparison, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "run"
    flush = storage._flush

    def slow(folder: Path) -> None:
        monkeypatch.setattr(storage, "_flush", flush)
        result.save(target)

    monkeypatch.setattr(storage, "_flush", slow)
    with pytest.raises(ConfigError, match="already holds a result"):
        Comparison({}, 0, {}).save(target)
    assert Comparison.load(target).keys() == list(KEYS)


def test_a_link_to_a_result_stays_a_link(result: Comparison, tmp_path: Path, quick: None) -> None:
    folder = result.save(tmp_path / "run-1")
    (tmp_path / "latest").symlink_to(folder, target_is_directory=True)
    Comparison({}, 5, {}).save(tmp_path / "latest", overwrite=True)
    assert (tmp_path / "latest").is_symlink() and Comparison.load(folder).n_samples == 5


def test_a_missing_folder_and_a_plain_file_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(HooksimError, match=r"'.*nowhere' does not exist"):
        Comparison.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(HooksimError, match="is not a result of hooksim"):
        Comparison.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a\0b", r"path: 'a\\x00b' cannot be the name of a folder: it holds a NUL\.$"),
        ("~no-such-user/x", "cannot be the name of a folder: Could not determine home"),
        ("x" * 999, r"xxx'.*: File name too long\.$"),
        (3, r"path: expected the name of a folder, got int\.$"),
    ],
)
def test_wrong_paths_are_one_line(
    result: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (result.save, Comparison.load):
        with pytest.raises(HooksimError, match=message):
            call(path)
    assert list(tmp_path.iterdir()) == []


def test_a_ring_of_links_is_no_folder(result: Comparison, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for call in (result.save, Comparison.load):
        with pytest.raises(HooksimError, match=r"b'? |a'"):
            call(tmp_path / "a")
