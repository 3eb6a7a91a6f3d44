"""What the layers of two sides give on one batch: names, kinds, shapes, row widths, bytes."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hooksim.capture.layers import Selectors
from hooksim.capture.reader import LayerInfo
from hooksim.capture.rows import as_rows
from hooksim.capture.stream import stream
from hooksim.cli.comparing import Inputs
from hooksim.cli.yaml_wording import in_yaml
from hooksim.errors import Note
from hooksim.sides import Side as Source
from hooksim.sides import describe_side, read_by, views_of

__all__ = ["Side", "survey", "survey_inputs"]


@dataclass(frozen=True)
class Side:
    """The layers of one side, as one batch showed them.

    Attributes:
        title: The model in words: its class alone where it is the only one.
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
        return sum(layer.row_width * layer.dtype.itemsize for layer in self.layers)

    def bytes_per_1000_samples(self, layer: LayerInfo) -> int:
        """Count the bytes of a layer's rows; with token rows, of samples like the batch's."""
        return round(1000 * layer.row_width * layer.dtype.itemsize * self.n_rows / self.items)

    @property
    def names(self) -> list[str]:
        """The layers' names."""
        return [layer.name for layer in self.layers]


def survey(
    sources: Sequence[Source],
    loader: Iterable[Any],
    *,
    layers: Sequence[Selectors],
    rows: Sequence[Any],
    **reader_options: Any,
) -> list[Side]:
    """Read the first batch of a loader and list the layers of each side.

    Args:
        sources: One or two models or recordings; the second takes the second half of a
            `PairedBatch`.
        loader: The batches, of which only the first is asked for.
        layers: Selectors for each.
        rows: Row policy for each.
        reader_options: `forward` and `device`, as for `hooksim.compare`.

    Returns:
        One side for each.

    Raises:
        HooksimError: A selector or the batch does not fit.
    """
    names = [("A", "a"), ("B", "b")] if len(sources) == 2 else [("", "a")]
    views = views_of(sources, layers, [as_rows(policy) for policy in rows], names)
    readers = [
        read_by([source], [view], **reader_options).readers[0]
        for source, view in zip(sources, views, strict=True)
    ]
    with ExitStack() as stack:
        for reader in readers:
            stack.enter_context(reader)
        slices = next(stream(readers, islice(loader, 1), lambda _joins_next: None))
    return [
        Side(
            reader.titles[0] if view.label else describe_side(source)["model"],
            reader.layers(0),
            part.items,
            part.n,
            [_for_a_listing(note, reader.titles[0]) for note in (*reader.warnings, *reader.notes)],
        )
        for source, view, reader, part in zip(sources, views, readers, slices, strict=True)
    ]


def _for_a_listing(note: Note, title: str) -> Note:
    """Word a note for those who look, not for those who run: the model's title stands above."""
    text = note.text.removeprefix(f"{title}: ").removesuffix(" Select another layer.")
    text = text.replace("left out ", "no rows from ", 1).rstrip(".")
    return note._replace(text=in_yaml(text, ["rows"]))


def survey_inputs(inputs: Inputs, layers: Selectors = None) -> list[Side]:
    """Read the first batch of both sides of a configuration.

    Args:
        inputs: The loaded configuration.
        layers: Selectors for both sides instead of the configuration's.

    Returns:
        Sides A and B.

    Raises:
        HooksimError: A selector or the batch does not fit.
    """
    options = inputs.options
    chosen = [options.get("layers_a"), options.get("layers_b")]
    rows = options.get("rows", "auto")
    return survey(
        [inputs.side_a, inputs.side_b],
        inputs.batches(),
        layers=chosen if layers is None else [layers, layers],
        rows=rows if isinstance(rows, tuple) else (rows, rows),
        **{key: options[key] for key in ("forward", "device") if key in options},
    )
