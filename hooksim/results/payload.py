"""From a comparison to what its page shows: plain data."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from hooksim.results.caption import leading_warnings, size_text
from hooksim.results.diagnostics import LayerDiagnostics
from hooksim.results.directions import BACK, FORTH
from hooksim.results.matrix import SimilarityMatrix
from hooksim.results.provenance import provenance
from hooksim.results.tables import file_stems

if TYPE_CHECKING:
    from hooksim.report import Axis, Matrix, Model, Payload, Plane, Table
    from hooksim.results.comparison import Comparison

__all__ = [
    "axis",
    "colour_tables",
    "comparison_payload",
    "layer_tables",
    "plane",
    "side_models",
    "sizes_text",
    "warning_pairs",
]

_COLUMNS = (
    "Layer", "Width", "Rows per dimension", "Participation ratio", "Duplicate rows",
    "Largest share of a row", "Order F",
)  # fmt: skip
_NOTE = (
    "Participation ratio: how many directions vary. Largest share: what one row makes of the "
    "layer's HSIC with itself. Order F: variance of the block means over that within the blocks, "
    "about 1 for shuffled samples."
)


def comparison_payload(comparison: "Comparison") -> "Payload":
    """Gather what the page of a comparison shows.

    Args:
        comparison: The result.

    Returns:
        Matrices, names, words, warnings and provenance.
    """
    from hooksim.report import Payload

    directed = comparison.directed()
    groups = {f"{stem}{end}": stem for stem in directed for end in (FORTH, BACK)}
    stems = file_stems(dict.fromkeys(["diagnostics", *comparison, *directed]))
    close, depth = colour_tables()
    models = side_models(comparison.metadata)
    return Payload(
        models=models,
        facts=_facts(comparison),
        matrices=tuple(
            _matrix(key, comparison[key], models, groups.get(key, key), stems[key])
            for key in comparison
        ),
        colours=close,
        depth_colours=depth,
        planes=tuple(
            plane(stem, comparison[stem + FORTH].meaning.label, comparison.metadata)
            for stem in directed
        ),
        warnings=warning_pairs(comparison.metadata),
        tables=layer_tables(comparison),
        provenance=provenance(comparison.metadata, comparison.n_samples),
    )


def axis(label: str, layers: Sequence[str]) -> "Axis":
    """Name an axis, with the names as short as the pictures have them.

    Args:
        label: Name of the model, in full.
        layers: Names of the layers.

    Returns:
        The axis of a page.

    Example:
        >>> axis("runs/a", ["encoder.layer.0", "encoder.layer.1"])
        Axis(label='runs/a', layers=('encoder.layer.0', 'encoder.layer.1'),
             short=('0', '1'), pattern='encoder.layer.*')
    """
    from hooksim.plotting.names import shorten_all, split_names
    from hooksim.report import Axis

    pattern, rest = split_names(layers)
    return Axis(label, tuple(layers), tuple(shorten_all(rest)), pattern)


def colour_tables() -> tuple[str, str]:
    """Write the colours of the pictures down.

    Returns:
        256 colours from the farthest to the closest, and 256 from the first layer to the last;
        six hexadecimal digits each, joined.
    """
    import numpy as np

    from hooksim.plotting.colours import colour_map, depth_map

    maps = (colour_map("max"), depth_map())
    close, depth = (each(np.arange(256), bytes=True)[:, :3].tobytes().hex() for each in maps)
    return close, depth


def side_models(metadata: Mapping[str, Any]) -> "tuple[Model, Model]":
    """Name both models in full: by a name such as a path where there is one, else by class.

    Args:
        metadata: Of the comparison; `name_a` and `model_a` are read, and those of B.

    Returns:
        A and B.
    """
    from hooksim.report import Model

    def model(side: str) -> Model:
        name, kind = (metadata.get(f"{word}_{side}") for word in ("name", "model"))
        kind = kind if isinstance(kind, str) else ""
        if isinstance(name, str) and name:
            return Model(name, kind)
        return Model(kind or f"model {side.upper()}")

    return model("a"), model("b")


def warning_pairs(metadata: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """List all warnings, first those that stand under the pictures.

    Args:
        metadata: Of the comparison.

    Returns:
        Pairs of code and text.
    """
    pairs = [(str(one["code"]), str(one["text"])) for one in metadata.get("warnings") or []]
    leading, _ = leading_warnings(metadata)
    return (*leading, *(pair for pair in pairs if pair not in leading))


def plane(stem: str, label: str, metadata: Mapping[str, Any]) -> "Plane":
    """Pair the two directions of a measure, with the value that equal spaces would have.

    Args:
        stem: What the keys of both directions begin with.
        label: Name of the measure.
        metadata: Of the result; `measures` and `blocks` are read.

    Returns:
        The plane. Its floor is (k + 1) / n, n being the size of a block, None where that is not
        known.

    Example:
        >>> described = {"measures": [{"key": "x", "k": 1}], "blocks": [100, 300]}
        >>> plane("x", "Information Imbalance", described).floor
        0.01
    """
    from hooksim.report import Plane

    measures = metadata.get("measures") or []
    neighbours = [each["k"] for each in measures if each.get("key") == stem and "k" in each]
    blocks = metadata.get("blocks") or []
    # The mean over the samples: each block has (k + 1) / n of its own, n times.
    floor = (neighbours[0] + 1) * len(blocks) / sum(blocks) if neighbours and blocks else None
    return Plane(label, stem + FORTH, stem + BACK, floor)


def layer_tables(comparison: "Comparison") -> "tuple[Table, ...]":
    """Lay out what is known of each layer.

    Args:
        comparison: The result.

    Returns:
        A table for each side of which something is known: older results have none.
    """
    sides: list[Literal["a", "b"]] = ["a", "b"]
    return tuple(_diagnostics(comparison, side) for side in sides if comparison.diagnostics(side))


def _facts(comparison: "Comparison") -> str:
    """Say in a line how much data and how many layers there are."""
    size = size_text(comparison.n_samples, comparison.metadata)
    sizes = {(len(m.layers_a), len(m.layers_b)) for m in map(comparison.__getitem__, comparison)}
    return " · ".join([size, *sizes_text(sizes)])


def sizes_text(sizes: Iterable[tuple[int, int]]) -> list[str]:
    """Say how many layers are compared with how many.

    Args:
        sizes: Of the matrices, layers of A first.

    Returns:
        A text for each size.

    Example:
        >>> sizes_text([(12, 24)])
        ['12 x 24 layers']
    """
    return [f"{la:,} x {lb:,} layers" for la, lb in sorted(set(sizes))]


def _matrix(
    key: str, matrix: SimilarityMatrix, models: "tuple[Model, Model]", group: str, file: str
) -> "Matrix":
    from hooksim.report import Matrix

    meaning = matrix.meaning
    return Matrix(
        key=key,
        group=group,
        label=meaning.label,
        direction=meaning.direction,
        best=meaning.best,
        range=meaning.range,
        a=axis(models[0].name, matrix.layers_a),
        b=axis(models[1].name, matrix.layers_b),
        values=matrix.values.numpy(),
        stderr=matrix.stderr.numpy(),
        file=file,
        caption=matrix.caption,
    )


def _diagnostics(comparison: "Comparison", side: Literal["a", "b"]) -> "Table":
    from hooksim.report import Table

    name = side_models(comparison.metadata)["ab".index(side)].name
    rows = tuple(_diagnostic_row(layer) for layer in comparison.diagnostics(side))
    return Table(f"Model {side.upper()}: {name}", _COLUMNS, rows, _NOTE)


def _diagnostic_row(layer: LayerDiagnostics) -> tuple[str, ...]:
    return (
        layer.layer,
        f"{layer.width:,}",
        _number(layer.rows_per_dimension, "{:.3g}"),
        _number(layer.participation_ratio, "{:.1f}"),
        _number(layer.duplicate_rows, "{:.1%}"),
        _number(layer.largest_share, "{:.1%}"),
        _number(layer.order, "{:.2f}"),
    )


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)
