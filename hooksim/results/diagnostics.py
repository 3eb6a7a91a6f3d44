"""What is worth knowing of each layer before its cells are read."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from hooksim.errors import HooksimError

__all__ = ["DiagnosticsTable", "LayerDiagnostics", "layer_diagnostics"]

_HEADINGS = (
    "layer", "width", "rows per dimension", "participation ratio", "duplicate rows",
    "largest share", "order F",
)  # fmt: skip


class LayerDiagnostics(NamedTuple):
    """One layer of one model, as the samples showed it.

    Attributes:
        layer: Its name.
        width: d, the dimensions of its rows.
        rows_per_dimension: Number of rows over d. Biased CKA misleads below 10.
        participation_ratio: How many directions of equal variance would vary as much:
            `tr(C)^2 / tr(C^2)` of the covariance C within blocks, 1 to d. What few rows show too
            little of is made up for as is right for normal rows. NaN where nothing varies, or in
            blocks of under 3 rows.
        duplicate_rows: Share of rows that equal another one in their block, 0 to 1. Neighbours
            tie among these.
        largest_share: Share of the HSIC of the layer with itself that a single row has a part in,
            at most: about 2 / n where none stands out, since every pair counts for both of its
            rows; near 1 where one row rules. NaN where nothing varies.
        order: F, the variance of the block means over that within the blocks: about 1 for
            shuffled samples, far above it for sorted ones; NaN for a single block.
    """

    layer: str
    width: int
    rows_per_dimension: float
    participation_ratio: float
    duplicate_rows: float
    largest_share: float
    order: float

    def __repr__(self) -> str:
        pairs = zip(self._fields[1:], self[1:], strict=True)
        numbers = (f"{name}={_short(value, 'nan')}" for name, value in pairs)
        return f"{type(self).__name__}(layer={self.layer!r}, {', '.join(numbers)})"


class DiagnosticsTable(list[LayerDiagnostics]):
    """The layers of one side, in axis order: a list that prints as a table.

    Example:
        >>> DiagnosticsTable([LayerDiagnostics("0", 64, 7.03125, 12.5, 0.0, 0.0091, math.nan)])
        layer  width  rows per dimension  participation ratio  ...  order F
        0         64                7.03                 12.5  ...        -
    """

    def __repr__(self) -> str:
        lines = [_HEADINGS, *((each.layer, *map(_short, each[1:])) for each in self)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = [
            [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
            for name, *numbers in lines
        ]
        return "\n".join("  ".join(row).rstrip() for row in rows)


def _short(value: Any, undefined: str = "-") -> str:
    """Write as many digits as a reader compares."""
    if isinstance(value, int):
        return f"{value:,}"
    return undefined if math.isnan(value) else f"{value:.3g}"


def layer_diagnostics(metadata: Mapping[str, Any], side: str) -> DiagnosticsTable:
    """Read the diagnostics of one side off the metadata of a result.

    Args:
        metadata: Of the comparison.
        side: `"a"` or `"b"`.

    Returns:
        One entry a layer, in axis order; none where the metadata have none.

    Raises:
        HooksimError: They are not what was written.
    """
    try:
        return _layers(metadata.get("diagnostics", {}).get(side, []))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HooksimError(
            f"metadata['diagnostics'] is damaged ({type(error).__name__}: {error})."
        ) from error


def _layers(entries: Any) -> DiagnosticsTable:
    return DiagnosticsTable(
        LayerDiagnostics(
            layer=str(each["layer"]),
            width=int(each["width"]),
            **{name: float(each[name]) for name in LayerDiagnostics._fields[2:]},
        )
        for each in entries
    )
