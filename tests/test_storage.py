"""Whole files and folders, and the hash that finds a change."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooksim.cli.main import main
from hooksim.errors import HooksimError
from hooksim.storage import SEAL, is_sealed, one_line, sealed, write_file

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
DESCRIPTIONS = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key != SEAL), PLAIN, max_size=5
)


@given(description=DESCRIPTIONS, key=st.text(max_size=5), value=PLAIN)
def test_any_change_breaks_the_seal(description, key, value):
    whole = sealed(description)
    assert is_sealed(whole) and sealed(whole) == whole
    changed = {**whole, key: value}
    assert is_sealed(changed) == (repr(sealed({**description, key: value})) == repr(changed))
    for lost in whole:
        assert not is_sealed({name: each for name, each in whole.items() if name != lost})


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "deep" / "x.png"
    with write_file(file) as temporary:
        assert temporary.suffix == ".png" and temporary.parent == file.parent
        temporary.write_text("first")
    assert file.read_text() == "first"
    with pytest.raises(KeyboardInterrupt), write_file(file) as temporary:
        temporary.write_text("sec")
        raise KeyboardInterrupt
    assert file.read_text() == "first" and list(file.parent.iterdir()) == [file]


def test_only_what_the_system_refuses_is_reworded():
    denied = r"^'x': it cannot be read: Permission denied\.$"
    with pytest.raises(HooksimError, match=denied), one_line("x", "it cannot be read"):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(ValueError, match="other"), one_line("x", "it cannot be read"):
        raise ValueError("other")


def test_a_full_disk_costs_no_picture(tmp_path, monkeypatch, capsys):
    """What stood there stays, and nothing half-written comes."""
    import torch
    from matplotlib.figure import Figure

    from hooksim.results import Comparison, Meaning, SimilarityMatrix

    def full(self, out, **_options):
        out.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    m = SimilarityMatrix("cka", torch.ones(1, 1), torch.ones(1, 1), "0", "0", Meaning("C", "max"))
    monkeypatch.chdir(tmp_path)
    Comparison({"cka": m}, 8, {}).save("run", pictures=False)
    (tmp_path / "x.png").write_text("old")
    monkeypatch.setattr(Figure, "savefig", full)
    for name in ("x.png", "new.png"):
        assert main(["heatmap", "run", "--out", name, "--overwrite"]) == 1
        words = f"HooksimError: '{name}': the picture cannot be written: No space left on device.\n"
        assert capsys.readouterr().err == words
    assert (tmp_path / "x.png").read_text() == "old"
    assert {each.name for each in tmp_path.iterdir()} == {"run", "x.png"}
