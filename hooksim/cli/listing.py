"""The layers of a surveyed side as text that fits the terminal, and as plain data."""

from collections.abc import Collection
from typing import Any

from hooksim.capture.reader import LayerInfo
from hooksim.cli.columns import in_columns, table_width
from hooksim.cli.survey import Side

__all__ = ["COLUMNS_EXPLAINED", "as_data", "table"]

_COLUMNS = ("layer", "kind", "output shape", "row width", "bytes")
_SMALLEST_NAME = 14
_SMALLEST_KIND = 12

COLUMNS_EXPLAINED = """\
output shape: of the first batch
row width: numbers in the row of a sample (a token, where each token is a row)
bytes: of the rows of 1,000 samples
"""


def table(side: Side, selected: Collection[str] | None = None, width: int | None = None) -> str:
    """Lay the layers of a side out as text.

    A name that is too long for its column has a line of its own, and its columns stand below.

    Args:
        side: A surveyed side.
        selected: Names to mark with `*`; None marks none.
        width: Columns of the terminal; None asks it (no limit where there is none).

    Returns:
        A title, a line for the columns, a line or two for each layer, and what was left out.
    """
    given, width = width, width or table_width()
    lines = [_COLUMNS, *(_cells(side, layer, selected) for layer in side.layers)]
    longest = [max(map(len, column)) for column in zip(*lines, strict=True)]
    others = sum(longest[2:]) + 2 * (len(longest) - 1)
    kind = min(longest[1], max(_SMALLEST_KIND, width - others - _SMALLEST_NAME))
    name = min(longest[0], max(_SMALLEST_NAME, width - others - kind))
    rows: list[str] = []
    for first, second, *rest in lines:
        if len(first) > name:
            rows.append(first)
            first = ""
        cells = (first.ljust(name), _cut(second, kind).ljust(kind), rest[0].ljust(longest[2]))
        numbers = (rest[1].rjust(longest[3]), rest[2].rjust(longest[4]))
        rows.append("  ".join([*cells, *numbers]).rstrip())
    notes = [in_columns(f"({note.text})", given) for note in side.notes]
    return "\n".join([f"{side.title}, {len(side.layers)} layers", *rows, *notes]) + "\n"


def as_data(side: Side, selected: Collection[str] | None = None) -> dict[str, Any]:
    """Return a side as plain data.

    Args:
        side: A surveyed side.
        selected: Names of layers that are compared; None says nothing of it.

    Returns:
        Title, layers and notes.
    """
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "output_shape": list(layer.output_shape),
            "row_width": layer.row_width,
            "row_bytes": layer.row_width * layer.dtype.itemsize,
            "bytes_per_1000_samples": side.bytes_per_1000_samples(layer),
            **({} if selected is None else {"selected": layer.name in selected}),
        }
        for layer in side.layers
    ]
    return {"title": side.title, "layers": layers, "notes": [note.text for note in side.notes]}


def _cells(side: Side, layer: LayerInfo, selected: Collection[str] | None) -> tuple[str, ...]:
    mark = "" if selected is None else "* " if layer.name in selected else "  "
    shape = " x ".join(map(str, layer.output_shape))
    size = f"{side.bytes_per_1000_samples(layer):,}"
    return mark + layer.name, layer.kind, shape, f"{layer.row_width:,}", size


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."
