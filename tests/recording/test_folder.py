"""Recordings on disk: saved whole, opened mapped; what is said of damaged or foreign folders."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from hooksim.errors import ConfigError, HooksimError
from hooksim.recording import Recording
from hooksim.recording.format import END
from hooksim.recording.log_lock import is_held
from hooksim.storage import sealed
from tests.capture.tiny_models import Stack
from tests.recording.recorded import DATA, Twice, recorded, same_bits


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    recorded(Twice(), DATA.split(8), "*", path=tmp_path / "r")
    return tmp_path / "r"


def change(folder, **keys):
    file = folder / "metadata.json"
    description = json.loads(file.read_text())
    for key, value in keys.items():
        description[key] = value(description[key]) if callable(value) else value
    file.write_text(json.dumps(sealed(description)))


def test_saved_and_loaded_is_the_same(tmp_path):
    before = recorded(Twice(), DATA.split(8), "*")
    folder = before.save(tmp_path / "new" / "r")
    after = Recording.load(folder)
    assert names(folder) == ["0.bin", "1.bin", "metadata.json"]
    assert names(tmp_path / "new") == ["r"]
    assert vars(after).keys() == vars(before).keys()
    for name in vars(before).keys() - {"tensors", "path", "_description"}:
        assert getattr(after, name) == getattr(before, name), name
    for name in before:
        assert same_bits(after[name], before[name])
    copied = Recording.load(after.save(tmp_path / "copy"))
    assert all(same_bits(copied[name], before[name]) for name in before)


def test_files_are_plain(folder):
    recording = Recording.load(folder)
    raw = np.fromfile(folder / "0.bin", "<f4").reshape(20, 3)
    assert np.array_equal(raw, recording["first"].numpy())
    text = (folder / "metadata.json").read_text()
    description = json.loads(text)
    assert len(text.splitlines()) == len(description) + 2
    assert description["format"] == "hooksim recording" and description["schema_version"] == 2
    assert description["names"] == ["first", "same", "last"]
    assert description["positions"] == [0, 0, 1] and description["widths"] == [3, 2]


def test_rows_stay_on_the_disk_and_changes_do_not_reach_it(folder):
    recording = Recording.load(folder)
    before = (folder / "0.bin").read_bytes()
    recording["first"].zero_()
    assert (folder / "0.bin").read_bytes() == before
    assert not torch.equal(Recording.load(folder)["first"], recording["first"])


def test_a_layer_larger_than_memory_is_mapped(tmp_path):
    width = 1 << 38
    recording = Recording.from_tensors({"x": torch.ones(2, 1)})
    folder = recording.save(tmp_path / "r")
    change(folder, widths=[width])
    with (folder / "0.bin").open("wb") as file:
        try:
            file.truncate(2 * width * 4)
        except OSError:
            pytest.skip("no files of that size here")
    rows = Recording.load(folder)["x"]
    assert rows.shape == (2, width) and rows[1, -1] == 0


def test_ids_of_files_without_a_proper_name(tmp_path):
    ids = [os.fsdecode(b"\xff.png"), "é", '"\n']
    recording = Recording.from_tensors({"x": torch.ones(3, 2)}, sample_ids=ids)
    assert recording.sample_ids == ["\\udcff.png", "é", '"\n']
    assert Recording.load(recording.save(tmp_path / "r")).sample_ids == recording.sample_ids


@pytest.mark.parametrize("name", ["../../up", "/etc/x", "a\x00b", "con", "x" * 999, "é\n", "0.bin"])
def test_names_of_layers_are_no_names_of_files(tmp_path, name):
    recording = Recording.from_tensors({name: torch.ones(3, 2)})
    folder = recording.save(tmp_path / "r")
    assert names(tmp_path) == ["r"] and names(folder) == ["0.bin", "metadata.json"]
    assert Recording.load(folder).layers == [name]


def test_an_existing_recording_is_refused_or_replaced(folder):
    other = Recording.from_tensors({"x": torch.ones(3, 2)})
    with pytest.raises(ConfigError, match=r"already holds a result.*overwrite=True"):
        other.save(folder)
    old = Recording.load(folder)
    kept = old["last"].clone()
    assert Recording.load(other.save(folder, overwrite=True)).layers == ["x"]
    assert names(folder) == ["0.bin", "metadata.json"]
    assert torch.equal(old["last"], kept)
    old.save(folder, overwrite=True)
    assert torch.equal(Recording.load(folder)["last"], kept)


@pytest.mark.parametrize("name", ["notes.txt", "3.bin", "00.bin", "1.bin.tmp", ".hidden"])
@pytest.mark.parametrize("how", ["save", "record"])
def test_files_of_others_are_not_replaced(folder, name, how):
    (folder / name).write_text("mine")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(ConfigError, match=f"holds files that are not part of .*{name}"):
        if how == "save":
            Recording.load(folder).save(folder, overwrite=True)
        else:
            recorded(Stack(2), [DATA], path=folder, overwrite=True)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_folder_that_is_no_recording_is_not_replaced(tmp_path):
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(ConfigError, match="is not a recording that this hooksim can read"):
        recorded(Stack(2), [DATA], path=tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match="is not a recording of hooksim: metadata"):
        Recording.load(tmp_path)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "f").write_text("mine")
    with pytest.raises(ConfigError, match="is a file: a folder is needed"):
        recorded(Stack(2), [DATA], path=tmp_path / "f", overwrite=True)
    with pytest.raises(ConfigError, match=r"r': nothing can be written to '.*f'. Choose another"):
        recorded(Stack(2), [DATA], path=tmp_path / "f" / "r")
    with pytest.raises(HooksimError, match="the recording cannot be written: "):
        Recording.from_tensors({"x": DATA}).save(tmp_path / "f" / "r")


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    seen = []
    loader = (seen.append(part) or part for part in DATA.split(4))
    with pytest.raises(ConfigError, match="nothing can be written to"):
        recorded(Stack(2), loader, path=tmp_path / "r")
    assert seen == [] and names(tmp_path) == []


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / "1.bin").unlink(), "1.bin is missing"),
        (
            lambda f: (f / "1.bin").write_bytes(b"1" * 159),
            "1.bin holds 159 bytes, 160 expected for 20 rows of 2 float32",
        ),
        (
            lambda f: (f / "1.bin").write_bytes(b"1" * 164),
            "1.bin holds 164 bytes, 160 expected for 20 rows of 2 float32",
        ),
        (lambda f: (f / "metadata.json").write_text("{"), "metadata.json is not valid JSON"),
        (lambda f: (f / "metadata.json").write_bytes(b"\xff"), "metadata.json is not valid JSON"),
        (lambda f: (f / "metadata.json").write_text("[" * 99999), "is not valid JSON"),
        (lambda f: change(f, schema_version="1"), "metadata.json has no schema version"),
        (lambda f: change(f, n_samples="20"), "metadata.json: n_samples: Input should be a valid"),
        (lambda f: change(f, n_samples=-1), "metadata.json: n_samples holds -1, expected from 0"),
        (
            lambda f: change(f, widths=[3, 0]),
            "metadata.json: widths holds 0, expected from 1 to 2814",
        ),
        (lambda f: change(f, widths=[3, 10**30]), "metadata.json: widths holds 1000000000000000"),
        (lambda f: change(f, n_rows=-2), "metadata.json: n_rows holds -2, expected from 0"),
        (lambda f: change(f, lengths=[-1] * 20), "metadata.json: lengths holds -1, expected from"),
        (lambda f: change(f, batch_lengths=[8, 0, 12]), "batch_lengths holds 0, expected from 1"),
        (lambda f: change(f, rows={"policy": "token"}), "lengths: null, but token rows need the n"),
        (lambda f: change(f, schema_version=0), "schema_version is 0, expected from 1"),
        (lambda f: change(f, schema_version=-1), "schema_version is -1, expected from 1"),
        (lambda f: change(f, widths=[3, 2.0]), "metadata.json: widths.1: Input should be a valid"),
        (lambda f: change(f, dtypes=["float32", "int8"]), "dtypes.1: Input should be 'float32'"),
        (lambda f: change(f, dtypes=["float32"]), "are not as many as each other"),
        (lambda f: change(f, positions=[0, 0, 7]), "the positions do not fit 2 stored layers"),
        (lambda f: change(f, positions=[0, 0, 0]), "the positions do not fit 2 stored layers"),
        (lambda f: change(f, positions=[0, 0, -1]), "positions holds -1, expected from 0"),
        (lambda f: change(f, names=["a", "a", "b"]), "a layer is named twice"),
        (lambda f: change(f, names=[], positions=[]), "or there is none"),
        (lambda f: change(f, names=["a", "b", 3]), "names.2: Input should be a valid string"),
        (lambda f: change(f, sample_ids=["a"]), "1 sample_ids for 20 samples"),
        (lambda f: change(f, inputs=lambda old: old[1:]), "19 inputs for 20 samples"),
        (lambda f: change(f, lengths=[1] * 19), "19 lengths for 20 samples"),
        (lambda f: change(f, lengths=[2] * 20), "20 rows, 40 expected"),
        (lambda f: change(f, n_rows=19), "19 rows, 20 expected"),
        (lambda f: change(f, batch_lengths=[8, 8]), "batches of 16 samples in all, not 20"),
        (lambda f: change(f, rows={"policy": "maen"}), "rows: Value error, rows: no policy 'maen'"),
        (lambda f: change(f, notes=[3]), "metadata.json: notes.0: "),
        (lambda f: change(f, complete=1), "complete: Input should be a valid boolean"),
    ],
)
def test_damage(folder, harm, message):
    harm(folder)
    with pytest.raises(HooksimError) as error:
        Recording.load(folder)
    assert str(error.value).startswith(f"the recording in '{folder}' is damaged: ")
    assert message in str(error.value) and str(error.value).endswith(". Record it again.")
    assert not isinstance(error.value, ConfigError)


@pytest.mark.parametrize("removed", ["batches.jsonl", "metadata.json"])
def test_a_writer_that_ends_or_begins_while_it_is_loaded(folder, monkeypatch, removed):
    log, metadata = folder / "batches.jsonl", folder / "metadata.json"
    whole, read = metadata.read_bytes(), type(folder).read_bytes
    if removed == "batches.jsonl":
        log.write_bytes(b"x")
    looks = []

    def reading(file):
        looks.append(file.name)
        if looks == ["batches.jsonl"] and removed == "batches.jsonl":  # it ended
            log.unlink()
        if looks == ["batches.jsonl", "metadata.json"] and removed == "metadata.json":  # it began
            metadata.unlink()
            log.write_bytes(b" ".join(whole.split(b"\n")) + b"\n")
        return read(file)

    monkeypatch.setattr(type(folder), "read_bytes", reading)
    assert Recording.load(folder).n_samples == 20


def test_what_the_system_refuses_is_one_line(folder, monkeypatch):
    def refuse(file):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(type(folder), "read_bytes", refuse)
        with pytest.raises(HooksimError) as error:
            Recording.load(folder)
        assert str(error.value) == f"'{folder}': the recording cannot be read: Permission denied."
        with pytest.raises(HooksimError, match="cannot be written: Permission denied"):
            recorded(Stack(2), [DATA], path=folder, overwrite=True)
    monkeypatch.setattr("hooksim.recording.folder_store.open_rows", out_of_memory)
    with pytest.raises(HooksimError, match=r"cannot be written: Cannot allocate memory\."):
        recorded(Stack(2), [DATA], path=folder, overwrite=True)
    assert names(folder) == ["0.bin", "1.bin", "metadata.json"]
    assert Recording.load(folder).complete  # the rows are there all the same


def out_of_memory(folder, description):
    assert is_held(folder / "batches.jsonl")  # or somebody else might overwrite what is opened
    raise OSError(12, "Cannot allocate memory")


WRONG_PATHS = {
    "number": (3, "path: expected the name of a folder, got int."),
    "bytes": (b"x", "path: expected the name of a folder, got bytes."),
    "NUL": ("a\0b", r"path: 'a\x00b' cannot be the name of a folder: it holds a NUL."),
    "user": ("~no-such-user/x", "path: '~no-such-user/x' cannot be the name of a folder: Could "),
    "long": ("x" * 999, "File name too long."),
}


@pytest.mark.parametrize("name", WRONG_PATHS)
@pytest.mark.parametrize("how", ["load", "save", "record"])
def test_wrong_paths_are_one_line(tmp_path, monkeypatch, name, how):
    monkeypatch.chdir(tmp_path)
    path, message = WRONG_PATHS[name]
    recording = Recording.from_tensors({"x": DATA})
    calls = {
        "load": lambda: Recording.load(path),
        "save": lambda: recording.save(path),
        "record": lambda: recorded(Stack(2), [DATA], path=path),
    }
    with pytest.raises(HooksimError) as error:
        calls[how]()
    assert message in str(error.value) and "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_nothing_is_no_path():
    for call in (Recording.load, Recording.from_tensors({"x": DATA}).save):
        with pytest.raises(ConfigError, match="path: expected the name of a folder, got NoneType"):
            call(None)


def test_lines_of_a_log_are_checked_by_what_was_made_once(unfinished):
    from hooksim.recording import format as module

    module._adapters.cache_clear()
    assert len(Recording.load(unfinished).batch_lengths) == 4
    assert module._adapters.cache_info().misses == 1


def test_newer_foreign_and_missing(folder, tmp_path):
    with pytest.raises(
        ConfigError, match=r"'.*nothing' does not exist. Expected the folder of a r"
    ):
        Recording.load(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"is not a recording of hooksim: it has no metadata\.js"):
        Recording.load(tmp_path)
    with pytest.raises(ConfigError, match=r"is not a recording of hooksim: it has no metadata\.js"):
        Recording.load(folder / "0.bin")
    change(folder, schema_version=3)
    message = r"was written by a newer hooksim \(schema 3, this one reads up to 2\). Upgrade"
    with pytest.raises(HooksimError, match=message):
        Recording.load(folder)
    change(folder, schema_version=1, format="hooksim comparison")
    with pytest.raises(ConfigError, match="is not a recording of hooksim: metadata"):
        Recording.load(folder)


@pytest.fixture
def unfinished(tmp_path):
    """A folder as a killed process leaves it: copied before the last batch."""

    def loader():
        *batches, last = DATA.split(4)
        yield from batches
        shutil.copytree(tmp_path / "r", tmp_path / "u")
        yield last

    recorded(Twice(), loader(), "*", path=tmp_path / "r")
    assert names(tmp_path / "u") == ["0.bin", "1.bin", "batches.jsonl"]
    return tmp_path / "u"


def test_a_log_is_right_whatever_else_there_is(unfinished):
    (unfinished / "metadata.json").write_text("{torn")
    (unfinished / "2.bin").write_text("of a batch that was not finished")
    with (unfinished / "1.bin").open("ab") as file:
        file.write(b"half a row")
    recording = Recording.load(unfinished)
    assert (recording.complete, recording.n_samples) == (False, 16)
    with (unfinished / "batches.jsonl").open("ab") as file:
        file.write(b'{"samples": 4, "rows"')
    assert Recording.load(unfinished).n_samples == 16
    saved = Recording.load(recording.save(unfinished.parent / "saved"))
    assert (saved.complete, saved.n_samples) == (False, 16)
    recorded(Stack(2), [DATA], path=unfinished, overwrite=True)
    assert names(unfinished) == ["0.bin", "1.bin", "metadata.json"]


def test_a_log_that_ended(unfinished):
    with (unfinished / "batches.jsonl").open("ab") as file:
        file.write(END)
    assert Recording.load(unfinished).complete


def test_a_log_without_a_batch(unfinished):
    file = unfinished / "batches.jsonl"
    file.write_bytes(file.read_bytes().split(b"\n")[0] + b"\n")
    recording = Recording.load(unfinished)
    assert recording.n_samples == 0 and recording["last"].shape == (0, 2)
    for name in ("0.bin", "1.bin"):
        (unfinished / name).unlink()
    assert Recording.load(unfinished)["first"].shape == (0, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "batches.jsonl, line 3: Invalid JSON"),
        (b'{"samples": 4}', "batches.jsonl, line 3: rows: Field required"),
        (b'{"samples": 4, "rows": -4}', "batches.jsonl: "),
        (b'{"samples": 4, "rows": 4, "positions": [0]}', "line 3: its positions do not fit"),
        (b'{"samples": 4, "rows": 4, "positions": [0, 1, 9]}', "the positions do not fit 2 stored"),
        (b'{"samples": 4, "rows": 4, "inputs": ["a"]}', "batches.jsonl: 13 inputs for 16 samples"),
        (b'{"complete": true}', "batches.jsonl, line 3: samples: Field required"),
    ],
)
def test_damaged_logs(unfinished, line, message):
    file = unfinished / "batches.jsonl"
    lines = file.read_bytes().split(b"\n")
    lines[2] = line
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(HooksimError, match=r"is damaged: .* Record it again") as error:
        Recording.load(unfinished)
    assert message in str(error.value)


def test_a_log_that_is_ahead_of_its_rows(unfinished):
    os.truncate(unfinished / "0.bin", 100)
    with pytest.raises(
        HooksimError, match=r"0\.bin holds 100 bytes, 192 expected for 16 rows of 3"
    ):
        Recording.load(unfinished)
