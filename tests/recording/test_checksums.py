"""Rows and descriptions that were changed after they were written are found out."""

import errno
import json

import pytest
import torch

from hooksim.errors import HooksimError
from hooksim.recording import Recording
from hooksim.recording import folder as folders
from hooksim.recording.row_files import checksum_of
from tests.recording.recorded import DATA, Twice, recorded


@pytest.fixture
def folder(tmp_path):
    recorded(Twice(), DATA.split(8), "*", path=tmp_path / "r")
    return tmp_path / "r"


def flip(file, place=0):
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("place", [0, 77, -1])
@pytest.mark.parametrize("name", ["0.bin", "1.bin"])
def test_a_flipped_bit_of_the_rows(folder, name, place):
    flip(folder / name, place)
    with pytest.raises(HooksimError) as error:
        Recording.load(folder)
    assert str(error.value) == (
        f"the recording in '{folder}' is damaged: {name} is not what was written: its checksum is "
        "another. Record it again."
    )


def test_a_change_of_the_description(folder):
    file = folder / "metadata.json"
    file.write_text(file.read_text().replace('"first"', '"fifth"'))
    with pytest.raises(HooksimError, match=r"json is not what was written: its sha256 is"):
        Recording.load(folder)


def test_what_was_saved_from_memory_has_checksums_too(folder, tmp_path):
    again = Recording.load(folder).save(tmp_path / "s")
    ours, theirs = (json.loads((each / "metadata.json").read_text()) for each in (folder, again))
    assert ours["checksums"] == theirs["checksums"]
    assert ours["checksums"] == [checksum_of(folder / f"{stored}.bin") for stored in (0, 1)]


def test_layers_that_part_in_the_middle(tmp_path):
    """The second of two equal layers gets a file of its own, and the checksum with it."""

    class Parting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Identity(), torch.nn.Identity()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            y = self.first(x)
            return self.second(y if self.calls < 3 else y + 1)

    recorded(Parting(), DATA.split(4), "*", path=tmp_path / "r")
    recording = Recording.load(tmp_path / "r")
    assert recording.positions == [0, 1] and torch.equal(recording["first"], DATA)
    assert torch.equal(recording["second"][8:], DATA[8:] + 1)


def test_an_interrupted_recording_has_those_of_its_whole_batches(tmp_path):
    def loader():
        yield from DATA.split(8)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        recorded(Twice(), loader(), "*", path=tmp_path / "r")
    recording = Recording.load(tmp_path / "r")
    assert not recording.complete and recording._description.checksums is not None


def test_many_rows_are_checked_when_asked(folder, monkeypatch):
    monkeypatch.setattr(folders, "CHECKED", 10)
    Recording.load(folder).verify()
    flip(folder / "1.bin")
    recording = Recording.load(folder)
    with pytest.raises(HooksimError, match=r"1\.bin is not what was written"):
        recording.verify()
    (folder / "1.bin").unlink()
    with pytest.raises(HooksimError, match="the recording cannot be read: No such file"):
        recording.verify()


def test_an_older_recording_is_read(folder):
    file = folder / "metadata.json"
    description = json.loads(file.read_text())
    del description["sha256"], description["checksums"]
    file.write_text(json.dumps({**description, "schema_version": 1}))
    assert Recording.load(folder).n_samples == 20
