"""Paths that a user gives."""

from pathlib import Path

import pytest

from hooksim.errors import ConfigError
from hooksim.loading import local_path


def test_what_is_there_and_what_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/x") == tmp_path / "x"
    (tmp_path / "x").write_text("")
    assert local_path("~/x/y") == tmp_path / "x" / "y"
    assert local_path("") == Path()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a\0b", r"--out: 'a\x00b' cannot be looked at: embedded null byte"),
        ("~nobody-here/x", "--out: '~nobody-here/x' cannot be looked at: Could not determine home"),
        ("x" * 300, f"--out: '{'x' * 100}...' cannot be looked at: File name too long"),
    ],
)
def test_what_no_file_can_be_called(path, words):
    with pytest.raises(ConfigError) as error:
        local_path(path, "--out")
    assert str(error.value).startswith(words)


def test_a_ring_of_links(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match=r"path: .*cannot be looked at: Too many levels of symb"):
        local_path(str(tmp_path / "a"))
