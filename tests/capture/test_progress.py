import sys

import pytest
from torch.utils.data import DataLoader, IterableDataset

from hooksim.capture.progress import batch_progress, known_length, row_progress


class Stream(IterableDataset):
    def __iter__(self):
        return iter([1, 2])


@pytest.mark.parametrize(
    ("loader", "expected"),
    [([1, 2], 2), (iter([1]), None), (DataLoader([1, 2, 3]), 3), (DataLoader(Stream()), None)],
)
def test_how_many_batches(loader, expected):
    assert known_length(loader) == expected


@pytest.mark.parametrize(("terminal", "shown"), [(True, True), (False, True), (True, False)])
def test_a_bar_only_where_it_is_wanted_and_seen(terminal, shown, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with batch_progress(2, shown) as on_batch:
        on_batch(32)
        on_batch(32)
    said = capsys.readouterr()
    assert said.out == "" and bool(said.err) == (terminal and shown)
    assert not said.err or "samples/s" in said.err or "batch" in said.err


@pytest.mark.parametrize(
    ("n", "shown", "seen"), [(5000, True, True), (2048, True, False), (5000, False, False)]
)
def test_a_bar_over_the_rows_of_large_blocks(n, shown, seen, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with row_progress(shown) as on_rows:
        on_rows(n // 2, n)
        on_rows(n, n)
    assert ("row" in capsys.readouterr().err) == seen
