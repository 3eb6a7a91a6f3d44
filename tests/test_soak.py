"""The soak: it runs, leaves nothing, and would say what is left."""

import sys
from pathlib import Path

import pytest

from scripts.soak import Reading, faults, soak


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, trims glibc's heap")
def test_two_rounds_leave_nothing() -> None:
    [reading] = soak(minutes=0, every=0, warm=2)
    assert (reading.rounds, reading.hooks, reading.files) == (2, 0, 0)
    assert reading.memory > 2**20 and reading.descriptors < 100
    assert list(Path("/proc/self/fd").iterdir())


GOOD = Reading(1.0, 10, 1000, 9, 0, 0)


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (GOOD._replace(memory=1019), []),
        (GOOD._replace(memory=1021), ["memory has grown by 2.1%"]),
        (GOOD._replace(descriptors=10), ["descriptors: 10, expected 9"]),
        (GOOD._replace(hooks=1, files=2), ["hooks: 1, expected 0", "files: 2, expected 0"]),
    ],
)
def test_what_is_left_is_told(last: Reading, found: list[str]) -> None:
    assert faults([GOOD, last]) == found
