"""What is worth knowing of each layer before its cells are read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["LayerDiagnostics", "layer_diagnostics"]


class LayerDiagnostics(NamedTuple):
    """One layer of one model, as the samples showed it.

    Attributes:
        layer: Its name.
        width: d, the dimensions of its rows.
        rows_per_dimension: Number of rows over d. Biased CKA misleads below 10.
        participation_ratio: How many directions of equal variance would vary as much:
            `tr(C)^2 / tr(C^2)` of the covariance C, between 1 and d. Both parts are estimated
            without bias, so that few rows do not make it small; a few rows far from all others can
            push the estimate beyond d. NaN where nothing varies, or in blocks of under 4 rows.
        duplicate_rows: Share of rows that equal another one in their block, 0 to 1. Neighbours
            tie among these.
        largest_share: Share of the HSIC of the layer with itself that the largest single row
            makes, about 1 / n where none stands out; NaN where nothing varies.
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


def layer_diagnostics(metadata: Mapping[str, Any], side: str) -> list[LayerDiagnostics]:
    """Read the diagnostics of one side off the metadata of a result.

    Args:
        metadata: Of the comparison.
        side: `"a"` or `"b"`.

    Returns:
        One entry a layer, in axis order; none where the metadata have none.
    """
    return [
        LayerDiagnostics(
            layer=str(each["layer"]),
            width=int(each["width"]),
            **{name: float(each[name]) for name in LayerDiagnostics._fields[2:]},
        )
        for each in metadata.get("diagnostics", {}).get(side, [])
    ]
