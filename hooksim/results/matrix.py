"""One matrix of values: layers of A down, layers of B across, and what the values mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from hooksim.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hooksim.plotting import Panel

__all__ = ["Match", "Meaning", "SimilarityMatrix", "span_text"]


@dataclass(frozen=True)
class Meaning:
    """How the values of a matrix are to be read.

    Attributes:
        label: Name of the quantity with its settings, such as `"CKA (linear, debiased)"`.
        best: Which values mean "closest": `"max"` or `"min"`.
        range: Values at the two ends of the colour bar. Values beyond it are legitimate.
        direction: Such as `"A to B"`; empty for a symmetric measure.

    Raises:
        ConfigError: `best` is another word, or the range is empty.
    """

    label: str
    best: Literal["max", "min"]
    range: tuple[float, float] = (0.0, 1.0)
    direction: str = ""

    def __post_init__(self) -> None:
        if self.best not in ("max", "min"):
            raise ConfigError(f"Meaning: best={self.best!r}, expected 'max' or 'min'.")
        low, high = self.range
        if not low < high:
            raise ConfigError(f"Meaning: range={self.range!r}, expected (low, high), low < high.")

    @property
    def title(self) -> str:
        """Label and direction, for people."""
        return f"{self.label}, {self.direction}" if self.direction else self.label


class Match(NamedTuple):
    """The closest layer of the other model.

    Attributes:
        layer: A layer of the side that was asked for.
        best: The closest layer of the other side; of equal ones the first. None where every
            value of `layer` is NaN.
        value: Value of the pair, NaN where there is none.
        stderr: Its standard error, NaN where undefined.
        runner_up: The second closest layer, None where there is none.
        decided: Whether the gap to the runner-up is larger than twice the sum of both standard
            errors: the error of a difference never exceeds the sum. True without a runner-up,
            False where a standard error is NaN.
    """

    layer: str
    best: str | None
    value: float
    stderr: float
    runner_up: str | None
    decided: bool


def span_text(values: Tensor) -> str:
    """Say how far values reach.

    Args:
        values: Any shape; NaN is passed over and counted.

    Returns:
        Smallest and largest value, for people; the only one where there is one.

    Example:
        >>> span_text(torch.tensor([0.25, math.nan, 1.0]))
        '0.250 to 1.000, 1 undefined'
        >>> span_text(torch.tensor([[0.5]]))
        '0.500'
    """
    finite = values[~values.isnan()]
    if finite.numel() == 0:
        return "undefined everywhere"
    missing = values.numel() - finite.numel()
    undefined = f", {missing:,} undefined" if missing else ""
    # Adding 0 turns a rounded -0.0 into 0.0.
    low, high = (round(end.item(), 3) + 0.0 for end in (finite.min(), finite.max()))
    reach = f"{low:.3f}" if finite.numel() == 1 else f"{low:.3f} to {high:.3f}"
    return f"{reach}{undefined}"


@dataclass(frozen=True, eq=False, repr=False)
class SimilarityMatrix:
    """Values of one measure for all pairs of layers.

    Attributes:
        key: Name in the result, such as `"cka"`.
        values: `(la, lb)` float64 on the CPU, NaN where undefined.
        stderr: Standard errors, shaped alike.
        layers_a: Names of the `la` layers of model A, in axis order.
        layers_b: Names of the `lb` layers of model B.
        meaning: How the values are to be read.
        label_a: What pictures call model A.
        label_b: What pictures call model B.
        caption: Small print of pictures: number of samples, blocks, caveats.
        warning: What pictures warn of, above the small print.

    Raises:
        ShapeError: Values, standard errors and names do not fit each other.

    Example:
        >>> meaning = Meaning("CKA (linear, debiased)", best="max")
        >>> values = torch.tensor([[0.9, 0.2], [0.3, 0.8]])
        >>> m = SimilarityMatrix("cka", values, 0.01 * values, ["a", "b"], ["c", "d"], meaning)
        >>> m
        SimilarityMatrix 'cka': CKA (linear, debiased), 2 x 2 (A x B), 0.200 to 0.900
        >>> [(match.layer, match.best, match.decided) for match in m.best_match("a")]
        [('a', 'c', True), ('b', 'd', True)]
    """

    key: str
    values: Tensor
    stderr: Tensor
    layers_a: list[str]
    layers_b: list[str]
    meaning: Meaning
    label_a: str = "model A"
    label_b: str = "model B"
    caption: str = ""
    warning: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.layers_a), len(self.layers_b))
        for name in ("values", "stderr"):
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape:
                raise ShapeError(
                    f"matrix '{self.key}': {name} of shape {tuple(tensor.shape)}, expected "
                    f"{shape}: a row for each layer of A, a column for each layer of B."
                )
            copy = torch.empty(shape, dtype=torch.float64).copy_(tensor.detach())
            object.__setattr__(self, name, copy)
        object.__setattr__(self, "layers_a", list(self.layers_a))
        object.__setattr__(self, "layers_b", list(self.layers_b))

    @property
    def span(self) -> str:
        """Smallest and largest value, for people."""
        return span_text(self.values)

    def __repr__(self) -> str:
        size = f"{len(self.layers_a)} x {len(self.layers_b)} (A x B)"
        return f"SimilarityMatrix '{self.key}': {self.meaning.title}, {size}, {self.span}"

    def best_match(self, side: Literal["a", "b"] = "a") -> list[Match]:
        """Find the closest layer of the other model for each layer of one model.

        Args:
            side: Whose layers are looked at, `"a"` or `"b"`.

        Returns:
            A match for each layer of that side, in axis order. Closest means the largest CKA,
            the smallest imbalance.

        Raises:
            ConfigError: `side` is another word.
        """
        if side not in ("a", "b"):
            raise ConfigError(f"best_match: side={side!r}, expected 'a' or 'b'.")
        own, others = self.layers_a, self.layers_b
        values, stderr = self.values, self.stderr
        if side == "b":
            own, others, values, stderr = others, own, values.T, stderr.T
        rows = zip(own, values.tolist(), stderr.tolist(), strict=True)
        return [self._match(layer, row, errors, others) for layer, row, errors in rows]

    def _match(
        self, layer: str, row: list[float], errors: list[float], others: Sequence[str]
    ) -> Match:
        """Find the two closest layers in one row."""
        # Sorting is stable: the first of equals wins.
        sign = -1.0 if self.meaning.best == "max" else 1.0
        order = sorted(
            (i for i, v in enumerate(row) if not math.isnan(v)), key=lambda i: sign * row[i]
        )
        if not order:
            return Match(layer, None, math.nan, math.nan, None, False)
        best = order[0]
        if len(order) == 1:
            return Match(layer, others[best], row[best], errors[best], None, True)
        second = order[1]
        decided = abs(row[best] - row[second]) > 2 * (errors[best] + errors[second])
        return Match(layer, others[best], row[best], errors[best], others[second], decided)

    def panel(self) -> "Panel":
        """Describe the matrix to the plotting functions.

        Returns:
            Values, names and colours as `hooksim.plotting` takes them.
        """
        from hooksim.plotting import Panel, Scale

        meaning = self.meaning
        title = f"{meaning.label}\n{meaning.direction}".strip()
        scale = Scale(meaning.best, *meaning.range, meaning.label)
        return Panel(
            self.values, self.stderr, self.layers_a, self.layers_b, title, scale,
            self.label_a, self.label_b, [match.decided for match in self.best_match("a")],
        )  # fmt: skip

    def plot(
        self,
        *,
        annotate: bool | Literal["auto"] = "auto",
        show_stderr: bool = False,
        ax: "Axes | None" = None,
    ) -> "tuple[Figure, Axes]":
        """Draw the matrix as a heatmap, layers of A upwards, layer 0 in the lower left corner.

        Args:
            annotate: Write values in the cells; `"auto"` where they fit.
            show_stderr: Write standard errors under the values.
            ax: Axes to draw into, such as pyplot's; caption and warnings are left out then. None
                makes a figure of the right size: `fig.savefig(...)`, `fig.show()`, or the last
                line of a notebook cell.

        Returns:
            The figure and its axes.
        """
        from hooksim.plotting import draw_heatmap

        return draw_heatmap(
            self.panel(), caption=self.caption, warning=self.warning, annotate=annotate,
            show_stderr=show_stderr, ax=ax,
        )  # fmt: skip
