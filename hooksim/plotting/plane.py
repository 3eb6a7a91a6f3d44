"""The imbalance plane: A to B against B to A, one point for each pair of layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hooksim.plotting.figure import add_caption, fit_panels, new_figure, wrap
from hooksim.plotting.names import escape, shorten_all, split_names
from hooksim.plotting.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

__all__ = ["draw_plane"]

_INCHES = 4.6
# Corner labels stand in a margin outside 0 to 1, where no point can hide them.
_MARGIN = 0.09
_MOST_LABELS = 8
_LONGEST_NAME = 16
_FONT = 7.0
# Where a name may stand, seen from its point, in points: the nearest free place is taken.
_OFFSETS = [(7, 5), (7, -13), (-7, 5), (-7, -13), (14, 14), (14, -22), (-14, 14), (-14, -22)]
_MOST_ERROR_BARS = 200

_Box = tuple[float, float, float, float]  # left, low, right, high


def draw_plane(
    a_to_b: Panel, b_to_a: Panel, *, title: str = "Information Imbalance", caption: str = ""
) -> "tuple[Figure, Axes]":
    """Draw the imbalance in both directions, a point for each pair of layers.

    Near (0, 0) either layer predicts the other, near (1, 1) neither; in the other two corners one
    layer holds what the other knows, and more. Standard errors are drawn where pairs are few.

    Args:
        a_to_b: The imbalance from A to B, `(la, lb)`.
        b_to_a: The same pairs in the other direction, `(la, lb)` too.
        title: Text above the picture.
        caption: Small text below it.

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
    _draw_error_bars(ax, a_to_b, b_to_a)
    points = _draw_points(ax, x, y)
    if x.shape[0] > 1:
        _draw_depth_bar(fig, ax, points, x.shape[0], a_to_b.label_a)
    meaning = _label_points(ax, a_to_b, b_to_a, top)
    fit_panels(fig, [ax], _INCHES, _INCHES)
    add_caption(fig, " ".join(filter(None, [caption, meaning, _undefined(x, y)])))
    fit_panels(fig, [ax], _INCHES, _INCHES, corrections=1)
    return fig, ax


def _draw_frame(ax: "Axes", a_to_b: Panel, b_to_a: Panel) -> float:
    """Draw axes, diagonal and corner labels; return the largest value that has a place."""
    top = float(np.nanmax(np.concatenate([a_to_b.numbers, b_to_a.numbers, [[1.0]]], axis=None)))
    label_a, label_b = a_to_b.label_a, a_to_b.label_b
    ax.set_xlabel(wrap(f"{label_a} to {label_b}", _INCHES, 9.0), fontsize=9)
    ax.set_ylabel(wrap(f"{label_b} to {label_a}", _INCHES, 9.0), fontsize=9)
    low, high = -_MARGIN * top, top * (1 + _MARGIN)
    ax.set(xlim=(low, high), ylim=(low, high))
    ax.tick_params(labelsize=8, length=2.5, width=0.6)
    for line in (ax.axhline, ax.axvline):
        for place in (0.0, 1.0):
            line(place, color="#d0d0d0", linewidth=0.6, zorder=0)
    ax.plot([0, top], [0, top], color="#8c8c8c", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    left, right, inset = 0.015, 0.985, 0.5 * _MARGIN / (1 + 2 * _MARGIN)
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


def _draw_points(ax: "Axes", x: NDArray[np.float64], y: NDArray[np.float64]) -> "PathCollection":
    """Draw the pairs, coloured by the depth of the layer of A."""
    depth = np.broadcast_to(np.arange(x.shape[0])[:, None], x.shape)
    return ax.scatter(
        x, y, c=depth, cmap="cividis", s=26 if x.size <= 400 else 8, alpha=0.85, linewidths=0,
        vmin=0, vmax=max(1, x.shape[0] - 1), zorder=3,
    )  # fmt: skip


def _draw_error_bars(ax: "Axes", a_to_b: Panel, b_to_a: Panel) -> None:
    """Draw standard errors where they do not hide the points."""
    x, y = a_to_b.numbers, b_to_a.numbers
    if x.size > _MOST_ERROR_BARS or a_to_b.errors is None or b_to_a.errors is None:
        return
    across, up = np.nan_to_num(a_to_b.errors).ravel(), np.nan_to_num(b_to_a.errors).ravel()
    ax.errorbar(
        x.ravel(), y.ravel(), xerr=across, yerr=up, fmt="none", ecolor="#9a9a9a", elinewidth=0.6,
        zorder=2,
    )  # fmt: skip


def _draw_depth_bar(
    fig: "Figure", ax: "Axes", points: "PathCollection", count: int, label_a: str
) -> None:
    """Say which colour is which layer of A."""
    bar = fig.colorbar(points, ax=ax, aspect=30, pad=0.02, fraction=0.05)
    step = max(1, -(-(count - 1) // 8))
    bar.set_ticks(list(range(0, count, step)))
    bar.ax.tick_params(labelsize=8, length=2.5, width=0.6)
    bar.set_label(escape(f"layer of {label_a}, counted from 0"), fontsize=9)
    bar.outline.set_visible(False)


def _label_points(ax: "Axes", a_to_b: Panel, b_to_a: Panel, top: float) -> str:
    """Name the closest pairs of some layers of A where there is room; say how they are named."""
    x, y = a_to_b.numbers, b_to_a.numbers
    names, meaning = _pair_names(a_to_b.layers_a, a_to_b.layers_b)
    distance = np.where(np.isnan(x + y), np.inf, np.hypot(x, y))
    units = top * (1 + 2 * _MARGIN) / (_INCHES * 72)  # data units of one point
    taken: list[_Box] = []
    rows = x.shape[0]
    for i in np.linspace(0, rows - 1, min(_MOST_LABELS, rows)).round().astype(int):
        j = int(distance[i].argmin())
        text = f"{names[0][i]} | {names[1][j]}"
        width = len(text) * 0.6 * _FONT * units
        for right, up in _OFFSETS:
            left = x[i, j] + right * units - (width if right < 0 else 0)
            low = y[i, j] + up * units
            box = (left, low, left + width, low + 1.3 * _FONT * units)
            if np.isfinite(distance[i, j]) and _is_free(box, taken, x, y, top, 3 * units):
                taken.append(box)
                _write_name(ax, (x[i, j], y[i, j]), (left, low), text)
                break
    return f"One point is one pair of layers. {meaning}" if taken else ""


def _pair_names(
    layers_a: Sequence[str], layers_b: Sequence[str]
) -> tuple[tuple[list[str], list[str]], str]:
    """Make short names for both sides, or positions where names are long; say which."""
    (pattern_a, rest_a), (pattern_b, rest_b) = split_names(layers_a), split_names(layers_b)
    names = shorten_all(rest_a, _LONGEST_NAME), shorten_all(rest_b, _LONGEST_NAME)
    start = "Ringed: a layer of A and the layer of B closest to it, by"
    if max(map(len, names[0] + names[1])) > _LONGEST_NAME:
        numbers = [str(i) for i in range(max(len(layers_a), len(layers_b)))]
        return (numbers, numbers), f"{start} position (A | B)."
    patterns = f": {pattern_a or '*'} | {pattern_b or '*'}" if pattern_a + pattern_b else ""
    return names, f"{start} name (A | B{patterns})."


def _write_name(
    ax: "Axes", point: tuple[float, float], place: tuple[float, float], text: str
) -> None:
    """Write a name with a light halo, and put a ring around its point."""
    from matplotlib.patheffects import withStroke

    name = ax.text(*place, escape(text), fontsize=_FONT, color="#222222", zorder=5)
    name.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
    ax.scatter(*point, s=42, facecolors="none", edgecolors="#222222", linewidths=0.7, zorder=4)


def _is_free(
    box: _Box,
    taken: list[_Box],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    top: float,
    radius: float,  # of a point
) -> bool:
    """Say whether a text stays inside the frame and covers neither text nor point."""
    left, low, right, high = box
    if left < 0 or low < 0 or right > top or high > top:
        return False
    if any(
        left < east and west < right and low < north and south < high
        for west, south, east, north in taken
    ):
        return False
    covered = (x > left - radius) & (x < right + radius) & (y > low - radius) & (y < high + radius)
    return not covered.any()


def _undefined(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Count the pairs that have no point."""
    count = int(np.isnan(x + y).sum())
    return f"{count:,} of {x.size:,} pairs are undefined and left out." if count else ""
