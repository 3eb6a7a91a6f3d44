"""Rings and names of points in the imbalance plane, placed where they cover nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hooksim.plotting.names import escape, shorten_all, split_names
from hooksim.plotting.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["View", "label_points"]

_MOST_LABELS = 12
_LONGEST_NAME = 16
_FONT = 7.0
_SMALLER_FONT = 6.0
# Where a name may stand, seen from its point, in points: the first free place is taken.
_OFFSETS = [
    (right * across, up * high - (8 if up < 0 else 0))
    for across, high in ((7, 5), (14, 14), (7, 24), (24, 5), (22, 30), (36, 18))
    for right, up in ((1, 1), (1, -1), (-1, 1), (-1, -1))
]

_Box = tuple[float, float, float, float]  # left, low, right, high


class View(NamedTuple):
    """A square piece of the plane as it is drawn.

    Attributes:
        ax: The axes.
        left: Smallest value across.
        low: Smallest value upwards.
        side: How much of the plane it shows, both across and upwards.
        inches: Width and height of the axes.
    """

    ax: "Axes"
    left: float
    low: float
    side: float
    inches: float

    @property
    def unit(self) -> float:
        """How much of the plane a typographic point covers."""
        return self.side / (self.inches * 72)


def label_points(view: View, a_to_b: Panel, b_to_a: Panel) -> str:
    """Ring for each layer of A the closest layer of B, and name some where there is room.

    Args:
        view: Where they are drawn.
        a_to_b: The imbalance from A to B, which decides what is closest.
        b_to_a: The other direction.

    Returns:
        What the caption says of it; empty if every pair is undefined.
    """
    x, y = a_to_b.numbers, b_to_a.numbers
    distance = np.where(np.isnan(x + y), np.inf, x)
    best = distance.argmin(axis=1)
    rows = [i for i in range(len(best)) if np.isfinite(distance[i, best[i]])]
    if not rows:
        return ""
    points = [(float(x[i, best[i]]), float(y[i, best[i]])) for i in rows]
    few = len(rows) <= _MOST_LABELS
    view.ax.scatter(
        [point[0] for point in points], [point[1] for point in points], s=42 if few else 16,
        facecolors="none", edgecolors="#222222", linewidths=0.7 if few else 0.4, zorder=4,
    )  # fmt: skip
    names, meaning = _pair_names(a_to_b.layers_a, a_to_b.layers_b)
    texts = [f"{names[0][i]} | {names[1][best[i]]}" for i in rows]
    named = _write_names(view, points, texts, (x, y))
    ringed = "Ringed: for each layer of A the layer of B with the smallest imbalance from A to B"
    return f"One point is one pair of layers. {ringed}{meaning if named else '.'}"


def _write_names(
    view: View,
    points: list[tuple[float, float]],
    texts: list[str],
    pairs: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> bool:
    """Write the names of points spread over the depth of A that find a place; say if any does."""
    font = _FONT if view.inches > 3 else _SMALLER_FONT
    taken: list[_Box] = []
    for i in np.linspace(0, len(texts) - 1, min(_MOST_LABELS, len(texts))).round().astype(int):
        width, height = len(texts[i]) * 0.6 * font, 1.3 * font
        for right, up in _OFFSETS:
            left = points[i][0] + (right - (width if right < 0 else 0)) * view.unit
            low = points[i][1] + up * view.unit
            box = (left, low, left + width * view.unit, low + height * view.unit)
            if _is_free(box, taken, pairs, view):
                taken.append(box)
                _write_name(view.ax, points[i], box, texts[i], font)
                break
    return bool(taken)


def _pair_names(
    layers_a: Sequence[str], layers_b: Sequence[str]
) -> tuple[tuple[list[str], list[str]], str]:
    """Make short names for both sides, or positions where names are long; say which."""
    (pattern_a, rest_a), (pattern_b, rest_b) = split_names(layers_a), split_names(layers_b)
    names = shorten_all(rest_a, _LONGEST_NAME), shorten_all(rest_b, _LONGEST_NAME)
    if max(map(len, names[0] + names[1])) > _LONGEST_NAME:
        numbers = [str(i) for i in range(max(len(layers_a), len(layers_b)))]
        return (numbers, numbers), ", by position (A | B)."
    patterns = f": {pattern_a or '*'} | {pattern_b or '*'}" if pattern_a + pattern_b else ""
    return names, f", by name (A | B{patterns})."


def _write_name(ax: "Axes", point: tuple[float, float], box: _Box, text: str, font: float) -> None:
    """Write a name with a light halo, and a thin line to its point."""
    from matplotlib.patheffects import withStroke

    nearest = [min(max(point[i], box[i]), box[i + 2]) for i in (0, 1)]
    ax.plot(*zip(point, nearest, strict=True), color="#777777", linewidth=0.4, zorder=3.5)
    name = ax.text(box[0], box[1], escape(text), fontsize=font, color="#222222", zorder=5)
    name.set_path_effects([withStroke(linewidth=2.0, foreground="white")])


def _is_free(
    box: _Box,
    taken: list[_Box],
    pairs: tuple[NDArray[np.float64], NDArray[np.float64]],
    view: View,
) -> bool:
    """Say whether a text stays inside the frame and covers neither text nor point."""
    left, low, right, high = box
    if left < view.left or low < view.low:
        return False
    if right > view.left + view.side or high > view.low + view.side:
        return False
    if any(
        left < east and west < right and low < north and south < high
        for west, south, east, north in taken
    ):
        return False
    x, y = pairs
    radius = 3 * view.unit
    covered = (x > left - radius) & (x < right + radius) & (y > low - radius) & (y < high + radius)
    return not covered.any()
