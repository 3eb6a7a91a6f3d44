"""One heatmap in given axes: cells, names, marks of the best matches, numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hooksim.plotting.cells import CellText
from hooksim.plotting.colours import Scale, clip_rounding, colour_map, colour_norm, text_colours
from hooksim.plotting.figure import wrap
from hooksim.plotting.names import choose_ticks, escape, shorten, shorten_all, split_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PatchCollection
    from matplotlib.image import AxesImage

__all__ = ["DrawnPanel", "Panel", "draw_panel"]

_LABEL_FONT = 9.0
_TITLE_FONT = 10.0
_SMALL_CELL = 12.0  # points; smaller cells are marked with a dot, larger ones with a frame


@dataclass(frozen=True, eq=False)
class Panel:
    """One matrix to be drawn.

    Attributes:
        values: Values `(la, lb)`, A down.
        stderr: Standard errors `(la, lb)`, or None.
        layers_a: `la` names.
        layers_b: `lb` names.
        title: Text above the panel.
        scale: What its colours mean.
        label_a: What the vertical axis is called.
        label_b: What the horizontal axis is called.
        decided: For each layer of A whether its best cell stands apart from the next best; None
            where that is not known.
    """

    values: Tensor
    stderr: Tensor | None
    layers_a: Sequence[str]
    layers_b: Sequence[str]
    title: str = ""
    scale: Scale = field(default_factory=Scale)
    label_a: str = "model A"
    label_b: str = "model B"
    decided: Sequence[bool] | None = None
    numbers: NDArray[np.float64] = field(init=False, repr=False)
    errors: NDArray[np.float64] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numbers = self.values.detach().cpu().double().numpy()
        low, high = self.scale.low, self.scale.high
        object.__setattr__(self, "numbers", clip_rounding(numbers, low, high))
        errors = None if self.stderr is None else self.stderr.detach().cpu().double().numpy()
        object.__setattr__(self, "errors", errors)


class DrawnPanel(NamedTuple):
    """What came of a panel.

    Attributes:
        image: The cells, from which a colour bar can be made.
        mark: How the best cell of a row is marked: `"Framed"`, `"Dotted"`, `""` where none is.
        undecided: How it is where the next best is about as good: `"Dashed"`, `"Hollow"`, `""`
            where there is none.
    """

    image: "AxesImage"
    mark: Literal["Framed", "Dotted", ""]
    undecided: Literal["Dashed", "Hollow", ""]


def draw_panel(
    ax: "Axes",
    panel: Panel,
    inches: tuple[float, float],
    content: CellText | None,
) -> DrawnPanel:
    """Draw one matrix into axes, without a colour bar.

    Args:
        ax: Empty axes.
        panel: What to draw.
        inches: Width and height that the axes have or will have.
        content: What to write in the cells, if anything.

    Returns:
        The image, and how the best cells are marked.
    """
    rows, columns = panel.numbers.shape
    cell = (inches[0] * 72 / columns, inches[1] * 72 / rows)
    image = _draw_cells(ax, panel)
    _name_axes(ax, panel, cell)
    ax.set_title(wrap(panel.title, inches[0] + 0.2, _TITLE_FONT), fontsize=_TITLE_FONT)
    colours = text_colours(np.asarray(image.to_rgba(np.ma.masked_invalid(panel.numbers))))
    marks = _mark_best(ax, panel, colours, min(cell))
    if content is None:
        return DrawnPanel(image, *marks)
    for (row, column), text in np.ndenumerate(content.texts):
        drawn = ax.text(column, row, str(text), ha="center", va="center", linespacing=1.1)
        drawn.set(fontsize=content.font, color=str(colours[row, column]))
        # Thousands of texts that stay inside their cells need not be measured for the layout.
        drawn.set_in_layout(False)
    return DrawnPanel(image, *marks)


def _draw_cells(ax: "Axes", panel: Panel) -> "AxesImage":
    """Draw the colours; the hatched background shows through undefined cells."""
    ax.patch.set(facecolor="#ececec", edgecolor="#a8a8a8", hatch="/////", linewidth=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax.imshow(
        np.ma.masked_invalid(panel.numbers),
        origin="lower",
        cmap=colour_map(panel.scale.best),
        norm=colour_norm(panel.scale)[0],
        aspect="auto",
        interpolation="nearest",
    )


def _name_axes(ax: "Axes", panel: Panel, cell: tuple[float, float]) -> None:
    """Write layer names on both axes, and above them the parts that all names share."""
    sides: list[tuple[Any, Sequence[str], str, float]] = [
        (ax.xaxis, panel.layers_b, panel.label_b, cell[0]),
        (ax.yaxis, panel.layers_a, panel.label_a, cell[1]),
    ]
    for axis, layers, label, spacing in sides:
        pattern, rest = split_names(layers)
        names = [escape(name) for name in shorten_all(rest)]
        ticks = choose_ticks(len(names), spacing)
        places = range(0, len(names), ticks.step)
        axis.set_ticks(places, [names[i] for i in places], fontsize=ticks.font)
        if ticks.step > 1:
            axis.set_ticks(range(len(names)), minor=True)
        length = len(names) * spacing / 72
        pattern = shorten(pattern, max(16, min(44, int(length * 14))))
        text = "\n".join(filter(None, [label, pattern]))
        axis.set_label_text(wrap(text, length, _LABEL_FONT), fontsize=_LABEL_FONT)
        ax.tick_params(axis=axis.axis_name, length=2.5, which="major", width=0.6)
        ax.tick_params(axis=axis.axis_name, length=1.5, which="minor", width=0.4)
        if axis is ax.xaxis:
            longest = max(map(len, names)) * 0.6 * ticks.font
            _turn(ax, longest, spacing * ticks.step, ticks.font)


def _turn(ax: "Axes", longest: float, spacing: float, font: float) -> None:
    """Turn the names of the horizontal axis where they would touch; all lengths in points."""
    if longest <= 0.9 * spacing:
        return
    slanted = spacing >= 1.6 * font
    ax.tick_params(axis="x", rotation=45 if slanted else 90)
    if slanted:
        for text in ax.get_xticklabels():
            text.set(horizontalalignment="right", rotation_mode="anchor")


def _mark_best(
    ax: "Axes", panel: Panel, colours: NDArray[np.str_], size: float
) -> tuple[Literal["Framed", "Dotted", ""], Literal["Dashed", "Hollow", ""]]:
    """Mark the best cell of each row of A, and lightly so where the next best is as good."""
    if panel.numbers.shape[1] < 2:
        return "", ""
    sign = 1.0 if panel.scale.best == "max" else -1.0
    # Not the numbers drawn, in which what is 1 up to rounding is equal.
    values = sign * panel.values.detach().cpu().double().numpy()
    best = np.where(np.isnan(values), -np.inf, values).argmax(axis=1)
    places = [(i, int(j)) for i, j in enumerate(best) if not np.isnan(values[i, j])]
    decided = panel.decided
    open_ones = [place for place in places if decided is not None and not decided[place[0]]]
    clear_ones = [place for place in places if place not in open_ones]
    for some, light in ((clear_ones, False), (open_ones, True)):
        if some:
            ax.add_collection(_marks(some, colours, size, light), autolim=False)
    if size < _SMALL_CELL:
        return "Dotted", "Hollow" if open_ones else ""
    return "Framed", "Dashed" if open_ones else ""


def _marks(
    places: list[tuple[int, int]], colours: NDArray[np.str_], size: float, light: bool
) -> "PatchCollection":
    """Frame cells, or put a dot in each where cells are small; dashed or hollow if light."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle, Patch, Rectangle

    inks = [str(colours[place]) for place in places]
    if size < _SMALL_CELL:
        dots: list[Patch] = [Circle((j, i), 0.2) for i, j in places]
        if light:
            return PatchCollection(dots, facecolors="none", edgecolors=inks, linewidths=0.05 * size)
        return PatchCollection(dots, facecolors=inks, linewidths=0)
    frames: list[Patch] = [Rectangle((j - 0.44, i - 0.44), 0.88, 0.88) for i, j in places]
    width = min(1.0, 0.035 * size) * (0.6 if light else 1.0)
    return PatchCollection(
        frames, facecolors="none", edgecolors=inks, linewidths=width,
        linestyles=[(0, (4, 3))] if light else "solid",
    )  # fmt: skip
