"""Curves over the steps of a run: a line a layer, coloured by depth, with bands of its error.

Steps stand at equal distances, as on the page, whose slider goes from one to the next: a run may be
saved at 0, 1, 2, 4, ..., 512, 1000, 2000, ..., for which no scale of numbers has room.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hooksim.plotting.colours import Scale, clip_rounding, depth_colours
from hooksim.plotting.figure import add_caption, fit_panels, new_figure, wrap
from hooksim.plotting.names import choose_ticks, escape, shorten, shorten_all, split_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

__all__ = ["Curves", "draw_curves"]

_WIDTH, _HEIGHT = 6.2, 3.9  # inches of the panel
_LABEL_FONT = 9.0
_MOST_MARKERS = 40  # steps; more of them are a line alone
_LONGEST_STEP = 18  # characters
_SHORT_STEP = 8  # characters; longer names are turned where they stand
_STEP_FONT = 8.0
_CLOSE_LINES = 8  # layers; more of them get lighter bands
# Where values take at least this share of the range, all of it is shown.
_SHARE = 0.4
# Of the range so much is shown at least: what hardly changes must not look lively.
_LEAST_SPAN = 0.03


@dataclass(frozen=True, eq=False)
class Curves:
    """Values by step that are to be drawn.

    Attributes:
        steps: Numbers, or any words, in the order in which they are drawn.
        layers: Names, in the order of depth.
        values: `(steps, layers)`; NaN leaves a gap.
        stderr: Standard errors, shaped alike; NaN draws no band.
        scale: The range of the values, which end is the better one, and what they are.
        against: The step that all others are compared with, which gets a line; None if none is.
    """

    steps: Sequence[int | str]
    layers: Sequence[str]
    values: Tensor
    stderr: Tensor
    scale: Scale
    against: int | str | None = None
    numbers: NDArray[np.float64] = field(init=False, repr=False)
    errors: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numbers, errors = (
            each.detach().cpu().double().numpy() for each in (self.values, self.stderr)
        )
        object.__setattr__(self, "numbers", clip_rounding(numbers, self.scale.low, self.scale.high))
        object.__setattr__(self, "errors", errors)


def draw_curves(curves: Curves, *, caption: str = "", warning: str = "") -> "tuple[Figure, Axes]":
    """Draw a line for each layer.

    Args:
        curves: What to draw.
        caption: Small text below.
        warning: Lines in dark red above the caption.

    Returns:
        The figure and its axes. Layers without a value are left out and counted in the caption.

    Example:
        >>> import torch
        >>> values = torch.tensor([[1.0, 1.0], [0.9, 0.7], [0.8, 0.5]])
        >>> scale = Scale("max", 0.0, 1.0, "CKA")
        >>> fig, ax = draw_curves(Curves([0, 50, 100], ["0", "1"], values, 0.1 * values, scale))
        >>> ax.get_ylabel(), len(ax.collections)
        ('CKA', 2)
    """
    fig = new_figure()
    fig.set_size_inches(_WIDTH + 2, _HEIGHT + 1.5)
    ax = fig.subplots()
    colours = depth_colours(len(curves.layers))
    _draw_steps(ax, curves)
    _draw_lines(ax, curves, colours)
    _limit(ax, curves)
    ax.set_ylabel(wrap(curves.scale.label, _HEIGHT, _LABEL_FONT), fontsize=_LABEL_FONT)
    ax.tick_params(labelsize=_STEP_FONT, length=2.5, width=0.6)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if len(curves.layers) > 0:
        _draw_depth_bar(fig, ax, curves.layers, colours)
    fit_panels(fig, [ax], _WIDTH, _HEIGHT)
    bands = "Bands: one standard error either way."
    words = [caption, _marked(curves), bands, _undefined(curves)]
    add_caption(fig, " ".join(filter(None, words)), warning)
    fit_panels(fig, [ax], _WIDTH, _HEIGHT, corrections=1)
    return fig, ax


def _draw_steps(ax: "Axes", curves: Curves) -> None:
    """Name the steps, as many as have room, and mark the one that all are compared with."""
    words = [f"{step:,}" if isinstance(step, int) else step for step in curves.steps]
    names = [escape(name) for name in shorten_all(words, _LONGEST_STEP)]
    widest = max(map(len, names), default=0)
    upright = widest <= _SHORT_STEP
    # A character is 0.6 of the font wide; between names there are two.
    room = (0.6 * (widest + 2) if upright else 1.5) * _STEP_FONT
    every = max(1, math.ceil(room * len(names) / (_WIDTH * 72)))
    ax.set_xticks(range(0, len(names), every), names[::every])
    ax.set_xlabel("step (evenly spaced)", fontsize=_LABEL_FONT)
    for text in () if upright else ax.get_xticklabels():
        text.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    if curves.against in curves.steps:
        place = curves.steps.index(curves.against)
        ax.axvline(place, color="#8c8c8c", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)


def _draw_lines(ax: "Axes", curves: Curves, colours: "ListedColormap") -> None:
    """Draw bands first, so that no line is covered."""
    places = np.arange(len(curves.steps))
    few = len(places) <= _MOST_MARKERS
    marked: dict[str, Any] = {"marker": "o", "markersize": 3} if few else {}
    alpha = 0.18 if len(curves.layers) <= _CLOSE_LINES else 0.1
    for layer in range(len(curves.layers)):
        values, errors = curves.numbers[:, layer], curves.errors[:, layer]
        if np.isnan(values).all():
            continue
        ax.fill_between(
            places, values - errors, values + errors, color=colours(layer), alpha=alpha,
            linewidth=0, zorder=1,
        )  # fmt: skip
        ax.plot(places, values, color=colours(layer), linewidth=1.3, zorder=2, **marked)


def _limit(ax: "Axes", curves: Curves) -> None:
    """Show the whole range where the values take much of it, else the part that they take."""
    low, high = curves.scale.low, curves.scale.high
    errors = np.nan_to_num(curves.errors)
    known = ~np.isnan(curves.numbers)
    if not known.any():
        ax.set_ylim(low, high)
        return
    least = float((curves.numbers - errors)[known].min())
    most = float((curves.numbers + errors)[known].max())
    if most - least >= _SHARE * (high - low):
        least, most = min(low, least), max(high, most)
    least, most = _widen(least, most, curves.scale)
    room = 0.04 * (most - least)
    ax.set_ylim(least - room, most + room)
    for end in (low, high):
        ax.axhline(end, color="#d0d0d0", linewidth=0.6, zorder=0)


def _widen(least: float, most: float, scale: Scale) -> tuple[float, float]:
    """Make a span long enough, around its middle but not beyond the range for that."""
    missing = _LEAST_SPAN * (scale.high - scale.low) - (most - least)
    if missing <= 0:
        return least, most
    below, above = max(0.0, least - scale.low), max(0.0, scale.high - most)
    down = min(below, max(missing / 2, missing - above))
    return least - down, most + missing - down


def _draw_depth_bar(
    fig: "Figure", ax: "Axes", layers: Sequence[str], colours: "ListedColormap"
) -> None:
    """Say which colour is which layer, first layer at the bottom."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm

    count = len(layers)
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, count)
    bar = fig.colorbar(
        ScalarMappable(norm, colours), ax=ax, aspect=30, pad=0.02, fraction=0.05,
        spacing="proportional",
    )  # fmt: skip
    pattern, rest = split_names(layers)
    ticks = choose_ticks(count, _HEIGHT * 72 / count)
    names = [escape(name) for name in shorten_all(rest)]
    places = range(0, count, ticks.step)
    bar.set_ticks(list(places), labels=[names[i] for i in places])
    bar.ax.tick_params(labelsize=min(8.0, ticks.font), length=2.5, width=0.6)
    bar.minorticks_off()
    label = f"layer {shorten(pattern, 36)}" if pattern else "layer"
    bar.set_label(wrap(label, _HEIGHT, _LABEL_FONT), fontsize=_LABEL_FONT)
    bar.outline.set_visible(False)


def _marked(curves: Curves) -> str:
    """Say what the dashed line is."""
    if curves.against not in curves.steps:
        return ""
    return f"Dashed line: step {curves.against}, which all are compared with."


def _undefined(curves: Curves) -> str:
    """Count the layers that have no line."""
    count = int(np.isnan(curves.numbers).all(axis=0).sum())
    if not count:
        return ""
    return (
        f"{count:,} of {len(curves.layers):,} layers are left out: no step has an equally named "
        "one, or they are undefined."
    )
