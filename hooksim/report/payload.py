"""What a page shows, as plain data: names, numbers, words. Nothing is computed here."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hooksim.errors import ConfigError, ShapeError

__all__ = ["Axis", "Curves", "Matrix", "Model", "Payload", "Plane", "Table"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """One of the two things compared, as the head of the page names it.

    Attributes:
        name: Such as the path of a checkpoint, in full.
        kind: Class of the model; empty where `name` says it.
    """

    name: str
    kind: str = ""


@dataclass(frozen=True)
class Axis:
    """The layers along one side of a matrix.

    Attributes:
        label: What the axis is called, such as the name of the model.
        layers: Names in full, in axis order.
        short: The same names as an axis has room for, in the same order.
        pattern: What all names share, such as `"encoder.layer.*"`; empty if nothing.
    """

    label: str
    layers: tuple[str, ...]
    short: tuple[str, ...]
    pattern: str = ""

    def __post_init__(self) -> None:
        if len(self.layers) != len(self.short):
            raise ShapeError(
                f"axis '{self.label}': {len(self.layers)} names and {len(self.short)} short ones, "
                "expected one short name for each."
            )


@dataclass(frozen=True, eq=False)
class Matrix:
    """The values of one measure in one direction.

    Attributes:
        key: Name in the result, unique in the page.
        group: What the directions of one measure share; its key where there is none.
        label: Name of the quantity with its settings.
        direction: Such as `"A to B"`; empty for a symmetric measure.
        best: Which values mean "closest".
        range: Values at the ends of the colour bar.
        a: Layers of A, from the bottom up.
        b: Layers of B, from left to right.
        values: `(la, lb)`, with steps `(steps, la, lb)`, for all pairs of steps
            `(steps of A, steps of B, la, lb)`; float64, NaN where undefined.
        stderr: Standard errors, shaped alike.
        file: Name of the CSV file that a reader downloads, without its ending.
        caption: Small print: number of samples, blocks, caveats.
    """

    key: str
    group: str
    label: str
    direction: str
    best: Literal["max", "min"]
    range: tuple[float, float]
    a: Axis
    b: Axis
    values: Floats
    stderr: Floats
    file: str
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Curves:
    """One value for each layer at each step, such as its similarity to itself at the reference.

    Attributes:
        key: Key of the matrix that they are shown with.
        label: What a value is, for the axis.
        layers: Names in full.
        short: The same names, shortened.
        values: `(steps, layers)` float64, NaN where undefined.
        stderr: Standard errors, shaped alike.
        file: Name of the CSV file that a reader downloads, without its ending.
    """

    key: str
    label: str
    layers: tuple[str, ...]
    short: tuple[str, ...]
    values: Floats
    stderr: Floats
    file: str


@dataclass(frozen=True)
class Plane:
    """Two directions of one measure, drawn against each other.

    Attributes:
        label: Name of the measure.
        a_to_b: Key of the matrix for the horizontal axis.
        b_to_a: Key of the matrix for the vertical axis.
        floor: The least value that there is, that of equal spaces; None if unknown.
    """

    label: str
    a_to_b: str
    b_to_a: str
    floor: float | None = None


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        title: Heading.
        columns: Names of the columns; none for pairs of name and text.
        rows: As many texts in each row as there are columns.
        note: A sentence under it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Payload:
    """All that a page shows.

    Attributes:
        models: What A and B are.
        facts: A few words on the data, such as `"n = 450 in one block"`.
        matrices: In the order of the buttons; those of one group stand together.
        colours: Colours from the farthest to the closest, each as six hexadecimal digits, joined.
        depth_colours: Colours from the first to the last layer, written likewise.
        steps: Labels of the steps of a trajectory; empty for a single comparison.
        step_name: What a step is called.
        reference_step: Position of the step that is A in all comparisons; None where A is none of
            the steps, or every one of them.
        planes: Pairs of matrices to be drawn against each other.
        curves: Values by step, of a trajectory.
        warnings: Pairs of a short code and a sentence, the most important ones first.
        tables: What is known of the layers.
        provenance: Where the numbers come from, in pairs of name and text.

    Raises:
        ShapeError: Numbers, names and steps do not fit each other.
        ConfigError: A plane or a curve names a matrix that is not there, a key comes twice, or the
            reference is none of the steps.
    """

    models: tuple[Model, Model]
    facts: str
    matrices: tuple[Matrix, ...]
    colours: str
    depth_colours: str
    steps: tuple[int | str, ...] = ()
    step_name: str = "step"
    reference_step: int | None = None
    planes: tuple[Plane, ...] = ()
    curves: tuple[Curves, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    provenance: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        keys = [matrix.key for matrix in self.matrices]
        if len(set(keys)) < len(keys):
            raise ConfigError(f"page: expected every key once, got {', '.join(map(repr, keys))}.")
        named = [key for plane in self.planes for key in (plane.a_to_b, plane.b_to_a)]
        named += [curves.key for curves in self.curves]
        for key in named:
            if key not in keys:
                known = ", ".join(map(repr, keys)) or "none"
                raise ConfigError(f"page: no matrix {key!r} to be drawn. It has: {known}.")
        if self.reference_step is not None and self.reference_step not in range(len(self.steps)):
            raise ConfigError(
                f"page: reference_step={self.reference_step!r}, expected the position of one of "
                f"{len(self.steps)} steps, or None."
            )
        for matrix in self.matrices:
            size = (len(matrix.a.layers), len(matrix.b.layers))
            self._check(f"matrix '{matrix.key}'", matrix.values, matrix.stderr, size)
        for curves in self.curves:
            size = (len(self.steps), len(curves.layers))
            _check_shapes(f"curves of '{curves.key}'", curves.values, curves.stderr, [size])

    def _check(self, what: str, values: Floats, stderr: Floats, size: tuple[int, int]) -> None:
        """Refuse a matrix that fits neither a comparison nor a trajectory over the steps."""
        count = len(self.steps)
        fitting: list[tuple[int, ...]] = [size]
        if count:
            fitting = [(count, *size), (count, count, *size)]
        _check_shapes(what, values, stderr, fitting)


def _check_shapes(
    what: str, values: Floats, stderr: Floats, fitting: list[tuple[int, ...]]
) -> None:
    """Refuse arrays of another shape."""
    for name, array in (("values", values), ("stderr", stderr)):
        if array.shape not in fitting or array.shape != values.shape:
            expected = " or ".join(map(str, fitting))
            raise ShapeError(
                f"page: {what}: {name} of shape {array.shape}, expected {expected}, the same for "
                "values and standard errors."
            )
