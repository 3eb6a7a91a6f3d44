"""The imbalance plane: A to B against B to A, one point for each pair of layers."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hooksim.plotting.colours import depth_colours
from hooksim.plotting.figure import add_caption, fit_panels, new_figure, wrap
from hooksim.plotting.names import escape
from hooksim.plotting.panel import Panel
from hooksim.plotting.point_labels import View, label_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

__all__ = ["draw_plane"]

_INCHES = 4.6
_LABEL_FONT = 9.0
# Corner labels stand in a margin outside 0 to 1, where no point can hide them.
_MARGIN = 0.09
_MOST_ERROR_BARS = 200
_WHOLE = 1 + 2 * _MARGIN
# Points that take less than this share of each axis are drawn a second time, enlarged.
_CROWDED = 0.25
_LARGEST_INSET = 0.62
_ENLARGED = 1.4  # times at least, or an inset is of no use
# Share of the square kept free between the inset and the points, for its ticks.
_FRAME = 0.06


def draw_plane(
    a_to_b: Panel,
    b_to_a: Panel,
    *,
    title: str = "Information Imbalance",
    caption: str = "",
    warning: str = "",
) -> "tuple[Figure, Axes]":
    """Draw the imbalance in both directions, a point for each pair of layers.

    Near (0, 0) either layer predicts the other, near (1, 1) neither; in the other two corners one
    layer holds what the other knows, and more. Standard errors are drawn where pairs are few.
    Points that lie close together, as those of related models do, are enlarged in an inset.

    Args:
        a_to_b: The imbalance from A to B, `(la, lb)`.
        b_to_a: The same pairs in the other direction, `(la, lb)` too.
        title: Text above the picture.
        caption: Small text below it.
        warning: Lines in dark red above the caption.

    Returns:
        The figure and its axes. Pairs with NaN are left out and counted in the caption.

    Example:
        >>> import torch
        >>> forth = Panel(torch.tensor([[0.1, 0.8]]), None, ["0"], ["0", "1"])
        >>> back = Panel(torch.tensor([[0.2, 0.3]]), None, ["0"], ["0", "1"])
        >>> fig, ax = draw_plane(forth, back)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('model A to model B', 'model B to model A')

    Source:
        Glielmo et al., Ranking the information content of distance measures, PNAS Nexus 2022.
    """
    x, y = a_to_b.numbers, b_to_a.numbers
    fig = new_figure()
    fig.set_size_inches(_INCHES + 2, _INCHES + 2)
    ax = fig.subplots()
    top = _draw_frame(ax, a_to_b, b_to_a)
    ax.set_title(escape(title), fontsize=10)
    points = _draw_points(ax, a_to_b, b_to_a)
    if x.shape[0] > 1:
        _draw_depth_bar(fig, ax, points, x.shape[0])
    view = _enlarge(ax, a_to_b, b_to_a, top) or View(ax, 0.0, 0.0, top, _INCHES / _WHOLE)
    meaning = label_points(view, a_to_b, b_to_a)
    fit_panels(fig, [ax], _INCHES, _INCHES)
    add_caption(fig, " ".join(filter(None, [caption, meaning, _undefined(x, y)])), warning)
    fit_panels(fig, [ax], _INCHES, _INCHES, corrections=1)
    return fig, ax


def _draw_frame(ax: "Axes", a_to_b: Panel, b_to_a: Panel) -> float:
    """Draw axes, diagonal and corner labels; return the largest value that has a place."""
    top = float(np.nanmax(np.concatenate([a_to_b.numbers, b_to_a.numbers, [[1.0]]], axis=None)))
    ax.set_xlabel(_direction(a_to_b.label_a, a_to_b.label_b), fontsize=_LABEL_FONT)
    ax.set_ylabel(_direction(a_to_b.label_b, a_to_b.label_a), fontsize=_LABEL_FONT)
    low, high = -_MARGIN * top, top * (1 + _MARGIN)
    ax.set(xlim=(low, high), ylim=(low, high))
    ax.tick_params(labelsize=8, length=2.5, width=0.6)
    for line in (ax.axhline, ax.axvline):
        for place in (0.0, 1.0):
            line(place, color="#d0d0d0", linewidth=0.6, zorder=0)
    ax.plot([0, top], [0, top], color="#8c8c8c", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    left, right, inset = 0.015, 0.985, 0.5 * _MARGIN / _WHOLE
    for text, across, up in (
        ("equivalent", left, inset),
        ("B informs A", right, inset),
        ("A informs B", left, 1 - inset),
        ("independent", right, 1 - inset),
    ):
        ax.text(
            across, up, text, transform=ax.transAxes, fontsize=8, style="italic", color="#555555",
            ha="left" if across == left else "right", va="center",
        )  # fmt: skip
    return top


def _direction(source: str, target: str) -> str:
    """Name a direction on one line, or on one for each model."""
    text = wrap(f"{source} to {target}", _INCHES, _LABEL_FONT)
    return text if "\n" not in text else wrap(f"{source}\nto {target}", _INCHES, _LABEL_FONT)


def _draw_points(ax: "Axes", a_to_b: Panel, b_to_a: Panel) -> "PathCollection":
    """Draw the pairs, coloured by the depth of the layer of A, with errors where these fit."""
    x, y = a_to_b.numbers, b_to_a.numbers
    if x.size <= _MOST_ERROR_BARS:
        _draw_error_bars(ax, a_to_b, b_to_a)
    depth = np.broadcast_to(np.arange(x.shape[0])[:, None], x.shape)
    return ax.scatter(  # flat: a row of three depths would be taken for a colour
        x.ravel(), y.ravel(), c=depth.ravel(), s=_point_size(x.size), cmap=depth_colours(len(x)),
        edgecolors="white", linewidths=0.3, vmin=-0.5, vmax=len(x) - 0.5, zorder=3,
    )  # fmt: skip


def _point_size(count: int) -> float:
    """Choose the area of a point, smaller where there are many."""
    return next((size for most, size in ((60, 24.0), (400, 13.0)) if count <= most), 8.0)


def _draw_error_bars(ax: "Axes", a_to_b: Panel, b_to_a: Panel) -> None:
    """Draw standard errors."""
    if a_to_b.errors is None or b_to_a.errors is None:
        return
    across, up = np.nan_to_num(a_to_b.errors).ravel(), np.nan_to_num(b_to_a.errors).ravel()
    ax.errorbar(
        a_to_b.numbers.ravel(), b_to_a.numbers.ravel(), xerr=across, yerr=up, fmt="none",
        ecolor="#9a9a9a", elinewidth=0.6, zorder=2,
    )  # fmt: skip


def _enlarge(ax: "Axes", a_to_b: Panel, b_to_a: Panel, top: float) -> View | None:
    """Draw the points a second time in the emptiest corner of the square, if they are crowded."""
    x, y = a_to_b.numbers, b_to_a.numbers
    defined = ~np.isnan(x + y)
    if defined.sum() < 2:
        return None
    low, high = (np.array([end(v[defined]) for v in (x, y)]) for end in (np.min, np.max))
    extent = float((high - low).max())
    if extent >= _CROWDED * top:
        return None
    # Room for names around the points; identical points get a square of one per cent.
    side = max(1.5 * extent, 0.01 * top)
    left, bottom = (low + high - side) / 2
    corner, size = _free_corner(low - 0.25 * extent, high + 0.25 * extent, top)
    if size < _ENLARGED * side:
        return None
    inset = ax.inset_axes((*corner, size, size), transform=ax.transData)
    inset.set(xlim=(left, left + side), ylim=(bottom, bottom + side))
    inset.tick_params(labelsize=6, length=2, width=0.5, pad=1.5)
    inset.locator_params(nbins=4)
    inset.axline((0, 0), slope=1, color="#8c8c8c", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    _draw_points(inset, a_to_b, b_to_a)
    ax.indicate_inset_zoom(inset, edgecolor="#8c8c8c", linewidth=0.6, alpha=0.8)
    return View(inset, left, bottom, side, size / top * _INCHES / _WHOLE)


def _free_corner(
    low: NDArray[np.float64], high: NDArray[np.float64], top: float
) -> tuple[tuple[float, float], float]:
    """Find the largest square in a corner of the plane that leaves the points uncovered.

    The gap to the points is wide enough for the ticks of the inset.
    """
    gap = _FRAME * top
    choices = []
    for right in (True, False):
        for upper in (True, False):
            room = max(
                top - high[0] if right else low[0], top - high[1] if upper else low[1]
            )  # fmt: skip
            choices.append((room, right, upper))
    room, right, upper = max(choices)
    size = min(_LARGEST_INSET * top, room - 2 * gap)
    across = top - gap / 2 - size if right else 1.5 * gap
    up = top - gap / 2 - size if upper else 1.5 * gap
    return (across, up), size


def _draw_depth_bar(fig: "Figure", ax: "Axes", points: "PathCollection", count: int) -> None:
    """Say which colour is which layer of A."""
    bar = fig.colorbar(points, ax=ax, aspect=30, pad=0.02, fraction=0.05)
    step = max(1, -(-(count - 1) // 8))
    bar.set_ticks(list(range(0, count, step)))
    bar.ax.tick_params(labelsize=8, length=2.5, width=0.6)
    bar.set_label("layer of A, counted from 0", fontsize=9)
    bar.outline.set_visible(False)


def _undefined(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Count the pairs that have no point."""
    count = int(np.isnan(x + y).sum())
    return f"{count:,} of {x.size:,} pairs are undefined and left out." if count else ""
