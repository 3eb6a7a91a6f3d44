"""CSV tables of matrices and layers, and file names that no file system refuses."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from hooksim.results.diagnostics import LayerDiagnostics

__all__ = ["file_stems", "write_diagnostics", "write_table"]

_CORNER = "layer of A / layer of B"
# A spreadsheet would run a cell that begins with one of these, of whatever width, or may take what
# stands behind it, and cannot be seen, for the beginning.
_FORMULA = ("=", "+", "-", "@")
_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # categories: controls, marks without a shape, spaces
# In some countries a semicolon parts the cells.
_QUOTED = re.compile(r'[",;\t\r\n]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_LONGEST_STEM = 80


def write_table(
    path: Path,
    values: Tensor,
    layers_a: Sequence[str],
    layers_b: Sequence[str],
    corner: str = _CORNER,
) -> None:
    """Write one labelled table, A down, B across.

    Args:
        path: The file.
        values: `(la, lb)`, written with all digits; NaN as `nan`.
        layers_a: Names of the rows. A name that a spreadsheet would take for a formula gets an
            apostrophe in front.
        layers_b: Names of the columns.
        corner: What the names of the rows and the columns are.
    """
    lines = [[corner, *map(_cell, layers_b)]]
    for layer, row in zip(layers_a, values.tolist(), strict=True):
        lines.append([_cell(layer), *map(repr, row)])
    _write(path, lines)


def write_diagnostics(path: Path, sides: Mapping[str, Sequence[LayerDiagnostics]]) -> None:
    """Write what is known of each layer, a line a layer.

    Args:
        path: The file.
        sides: The layers of A and of B, by `a` and `b`.
    """
    lines = [["side", *LayerDiagnostics._fields]]
    for side, layers in sides.items():
        lines += [[side, _cell(layer), *map(repr, numbers)] for layer, *numbers in layers]
    _write(path, lines)


def _write(path: Path, lines: Iterable[Iterable[str]]) -> None:
    text = "".join(f"{','.join(line)}\n" for line in lines)
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def _cell(name: str) -> str:
    """Write a name so that no spreadsheet runs it, nor takes a part of it for a cell of its own.

    The csv module leaves a bare carriage return without quotes, which readers take for the end of a
    line: what stands behind it would be a cell.
    """
    harmless = f"'{name}" if _is_formula(name) else name
    if not _QUOTED.search(harmless):
        return harmless
    doubled = harmless.replace('"', '""')
    return f'"{doubled}"'


def _is_formula(name: str) -> bool:
    """Whether some spreadsheet might run a cell."""
    first = next((place for place, each in enumerate(name) if not _is_unseen(each)), len(name))
    begins = unicodedata.normalize("NFKC", name[first : first + 1]).startswith(_FORMULA)
    return begins or name.startswith(("\t", "\r", "\n"))


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def file_stems(keys: Iterable[str]) -> dict[str, str]:
    """Give every key a file name of its own.

    Args:
        keys: Any texts.

    Returns:
        For each key letters, digits, `_` and `-` only, at most 80 of them, different even where
        upper and lower case are not told apart.

    Example:
        >>> file_stems(["cka", "CKA", "../etc/x", "nul"])
        {'cka': 'cka', 'CKA': 'CKA-2', '../etc/x': 'etc_x', 'nul': 'matrix_nul'}
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for key in keys:
        start = re.sub(r"[^A-Za-z0-9_-]+", "_", key).strip("_-")[:_LONGEST_STEM] or "matrix"
        if _RESERVED.fullmatch(start):
            start = f"matrix_{start}"
        stem, count = start, 1
        while stem.casefold() in taken:
            count += 1
            stem = f"{start}-{count}"
        taken.add(stem.casefold())
        stems[key] = stem
    return stems
