"""The README's Python runs as it stands, one block after the other."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings(
    "ignore:.*isinstance.treespec, LeafSpec.. is deprecated",  # of lightning and torch
    "ignore:The number of training batches .* is smaller",
    "ignore:The .* does not have many workers",
)
def test_python_blocks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(README.read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert len(blocks) == 9
    assert "cka: 3 x 2 (A x B), n = 1,000" in capsys.readouterr().out
    assert (tmp_path / "runs" / "first" / "matrices.safetensors").is_file()


def test_named_files_exist():
    text = README.read_text(encoding="utf-8")
    names = re.findall(r"configs/\w+\.yaml", text) + re.findall(r"\]\(([\w./-]+)\)", text)
    assert {"configs/digits.yaml", "CONTRIBUTING.md"} <= set(names)
    assert [name for name in names if not (README.parent / name).is_file()] == []
