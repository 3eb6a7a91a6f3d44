"""What the layers of models give on one batch: names, kinds, shapes, row widths, bytes."""

import json
from collections.abc import Iterable, Sequence, Sized
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import nn

from hooksim.blocks.blocker import automatic_size
from hooksim.capture.layers import Selectors, layers_for_other
from hooksim.capture.reader import LayerInfo, ModelReader, View
from hooksim.capture.rows import as_rows
from hooksim.capture.stream import stream
from hooksim.cli.comparing import Inputs
from hooksim.errors import Note

__all__ = ["Side", "as_data", "plan", "survey", "survey_inputs", "table"]

_COLUMNS = ("layer", "kind", "output shape", "row width", "bytes per 1,000 rows")


@dataclass(frozen=True)
class Side:
    """The layers of one model, as one batch showed them.

    Attributes:
        title: The model in words.
        layers: One entry a layer.
        items: Samples of the batch.
        n_rows: Rows of the batch; more than samples where these are tokens.
        notes: Layers that were left out, and why.
    """

    title: str
    layers: list[LayerInfo]
    items: int
    n_rows: int
    notes: list[Note]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of every layer together."""
        return sum(_row_bytes(layer) for layer in self.layers)


def survey(
    models: Sequence[nn.Module],
    loader: Iterable[Any],
    *,
    layers: Sequence[Selectors],
    rows: Sequence[Any],
    **reader_options: Any,
) -> list[Side]:
    """Run models on the first batch of a loader and list their layers.

    Args:
        models: One or two models; the second takes the second half of a `PairedBatch`.
        loader: The batches, of which only the first is asked for.
        layers: Selectors for each model.
        rows: Row policy for each model.
        reader_options: `forward` and `device`, as for `hooksim.compare`.

    Returns:
        One side for each model.

    Raises:
        HooksimError: A selector or the batch does not fit a model.
    """
    labels = "AB"[: len(models)]
    views = [
        View(label, chosen, as_rows(policy))
        for label, chosen, policy in zip(labels, layers, rows, strict=True)
    ]
    readers = [
        ModelReader(model, [view], side=view.label.lower(), **reader_options)
        for model, view in zip(models, views, strict=True)
    ]
    with ExitStack() as stack:
        for reader in readers:
            stack.enter_context(reader)
        slices = next(stream(readers, islice(loader, 1), lambda _joins_next: None))
    return [
        Side(
            reader.titles[0],
            reader.layers(0),
            part.items,
            part.n,
            reader.notes,
        )
        for reader, part in zip(readers, slices, strict=True)
    ]


def survey_inputs(inputs: Inputs, layers: Selectors = None) -> list[Side]:
    """Run both models of a configuration on its first batch.

    Args:
        inputs: The loaded configuration.
        layers: Selectors for both models instead of the configuration's.

    Returns:
        Sides A and B.

    Raises:
        HooksimError: A selector or the batch does not fit a model.
    """
    options = inputs.options
    chosen_a, chosen_b = options.get("layers_a"), options.get("layers_b")
    if chosen_b is None and chosen_a is not None:
        chosen_b = layers_for_other(chosen_a, inputs.model_b)
    rows = options.get("rows", "auto")
    return survey(
        [inputs.model_a, inputs.model_b],
        inputs.loader,
        layers=[layers, layers] if layers is not None else [chosen_a, chosen_b],
        rows=rows if isinstance(rows, tuple) else (rows, rows),
        **{key: options[key] for key in ("forward", "device") if key in options},
    )


def table(side: Side, selected: Sequence[str] | None = None) -> str:
    """Lay the layers of a side out as text.

    Args:
        side: A surveyed side.
        selected: Names to mark with `*`; None marks none.

    Returns:
        A title, a line for the columns and a line for each layer.
    """
    lines = [_COLUMNS]
    for layer in side.layers:
        mark = "" if selected is None else "* " if layer.name in selected else "  "
        shape = " x ".join(map(str, layer.output_shape))
        size = f"{1000 * _row_bytes(layer):,}"
        lines.append((mark + layer.name, layer.kind, shape, f"{layer.row_width:,}", size))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [
        "  ".join(
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    notes = [f"({note.text})" for note in side.notes]
    return "\n".join([f"{side.title}, {len(side.layers)} layers", *rows, *notes]) + "\n"


def plan(sides: Sequence[Side], inputs: Inputs, *, as_json: bool = False) -> str:
    """Say what a run would read and how it would cut it.

    Args:
        sides: The surveyed sides.
        inputs: What they were surveyed with.
        as_json: One line of JSON instead of tables.

    Returns:
        Text that ends in a newline.
    """
    row_bytes = sum(side.row_bytes for side in sides)
    asked = inputs.options.get("block_size", "auto")
    block_size = automatic_size(row_bytes) if asked == "auto" else asked
    batches = len(inputs.loader) if isinstance(inputs.loader, Sized) else None
    if as_json:
        content = {
            "block_size": block_size,
            "batches": batches,
            "batch_samples": sides[0].items,
            "batch_rows": sides[0].n_rows,
            "row_bytes": row_bytes,
            "sides": [as_data(side) for side in sides],
        }
        return json.dumps(content) + "\n"
    count = "an unknown number of batches" if batches is None else f"{batches:,} batches"
    block = "one block a batch"
    if isinstance(block_size, int):
        held = 2 * block_size * row_bytes / 2**20
        block = f"blocks of {block_size:,} rows, at most {held:,.1f} MiB of rows held"
    first = f"first batch: {sides[0].items:,} samples, {sides[0].n_rows:,} rows"
    summary = f"{count}; {first}; {row_bytes:,} bytes a row of all layers; {block}\n"
    return "\n".join([*map(table, sides), summary])


def as_data(side: Side) -> dict[str, Any]:
    """Return a side as plain data.

    Args:
        side: A surveyed side.

    Returns:
        Title and layers.
    """
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "output_shape": list(layer.output_shape),
            "row_width": layer.row_width,
            "row_bytes": _row_bytes(layer),
        }
        for layer in side.layers
    ]
    return {"title": side.title, "layers": layers, "notes": [note.text for note in side.notes]}


def _row_bytes(layer: LayerInfo) -> int:
    return layer.row_width * layer.dtype.itemsize
