"""The share of a process that is over its budget."""

import errno
import os

import pytest
import torch

from hooksim.errors import HooksimError
from hooksim.run import ring


@pytest.mark.parametrize("n", [0, 5])
def test_it_is_in_a_file_to_be_written_to(n):
    share = ring._in_file(n, 3, dtype=torch.float64)
    share[:] = 2
    assert share.shape == (n, 3) and (share == 2).all()


def test_a_full_disk_is_found_out_before_rows_are_written(monkeypatch):
    """To write to a mapped file that the disk has no room for ends the process by a signal."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(HooksimError, match=r"No space left on device\. Select fewer layers"):
        ring._in_file(5, 3, dtype=torch.float32)
