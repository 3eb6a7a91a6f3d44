import sys
import warnings

import numpy as np
import pytest
import torch

from hooksim.recording.row_files import map_file, map_open_file, over_array, write_rows

ROWS = torch.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize("rows", [ROWS, ROWS.double(), ROWS.T.contiguous().T, ROWS[1:]])
def test_what_is_written_is_read(tmp_path, rows):
    path = tmp_path / "x"
    with path.open("wb") as file:
        write_rows(file, rows[:2])
        write_rows(file, rows[2:])
    assert torch.equal(map_file(path, rows.dtype, tuple(rows.shape)), rows)
    assert path.read_bytes() == rows.numpy().astype(rows.numpy().dtype.newbyteorder("<")).tobytes()
    with path.open("rb+") as file:
        assert torch.equal(map_open_file(file, rows.dtype, tuple(rows.shape)), rows)


def test_a_file_that_is_longer(tmp_path):
    (tmp_path / "x").write_bytes(ROWS.numpy().tobytes())
    assert torch.equal(map_file(tmp_path / "x", torch.float32, (2, 2)), ROWS[:2])


def test_machines_of_the_other_byte_order(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    with (tmp_path / "x").open("wb+") as file:
        write_rows(file, ROWS)
        assert torch.equal(map_open_file(file, torch.float32, (3, 2)), ROWS)
    assert torch.equal(map_file(tmp_path / "x", torch.float32, (3, 2)), ROWS)
    assert (tmp_path / "x").read_bytes() == ROWS.numpy().byteswap().tobytes()


def test_a_mapping_that_the_system_refuses_becomes_one_that_cannot_be_written_to(
    tmp_path, monkeypatch
):
    def refuse(*args, **options):
        raise RuntimeError("unable to mmap: Cannot allocate memory")

    (tmp_path / "x").write_bytes(ROWS.numpy().tobytes())
    monkeypatch.setattr(torch, "from_file", refuse)
    assert torch.equal(map_file(tmp_path / "x", torch.float32, (3, 2)), ROWS)


def test_no_rows(tmp_path):
    assert map_file(tmp_path / "none", torch.float64, (0, 3)).shape == (0, 3)
    with (tmp_path / "x").open("wb+") as file:
        assert map_open_file(file, torch.float64, (0, 3)).dtype == torch.float64


def test_no_warning_of_arrays_that_cannot_be_written_to():
    array = np.ones((2, 2))
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert over_array(array).sum() == 4
