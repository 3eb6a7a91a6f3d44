"""Colours of a heatmap: the better end is always the bright one, whatever the measure.

Values beyond the range, chance alone, have the colour of its end: 0.99 and 1.003 look alike. What
is the better the smaller has a square-root norm: related layers have imbalances of a few per cent,
which a linear one draws in one yellow. The range is fixed either way.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, ListedColormap, Normalize

__all__ = [
    "Scale",
    "clip_rounding",
    "colour_map",
    "colour_norm",
    "depth_colours",
    "depth_map",
    "extension",
    "text_colours",
]

# Values this near to the range are on its end: a self-comparison gives 1.0000000002.
_ROUNDING = 1e-6
# Shares of the range; denser where the square root gives them more room.
_ROOT_TICKS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
# Black on this luminance contrasts by 4.5; white does up to 0.183.
_BLACK_FROM = 0.175
# Brighter colours of layers contrast with white by less than 3 to 1.
_DEEPEST = 0.64


class Scale(NamedTuple):
    """What decides a colour; panels of one scale share a colour bar.

    Attributes:
        best: Which end of the range means "closest".
        low: Value at the lower end of the range.
        high: Value at the upper end of the range.
        label: What the colour bar says.
    """

    best: Literal["max", "min"] = "max"
    low: float = 0.0
    high: float = 1.0
    label: str = ""


def colour_map(best: Literal["max", "min"]) -> "Colormap":
    """Viridis, perceptually uniform and safe for colour-blind readers.

    Args:
        best: `"max"` where large values are the better ones, which are drawn bright.

    Returns:
        A colour map. Values beyond the range get the colour of its end; NaN is transparent, so
        that the hatched background shows.
    """
    import matplotlib as mpl

    colours = mpl.colormaps["viridis" if best == "max" else "viridis_r"]
    return colours.with_extremes(bad=(0.0, 0.0, 0.0, 0.0))


def depth_map() -> "Colormap":
    """Colours of layers from the first to the last: plasma, which no heatmap is drawn with.

    Perceptually uniform, safe for colour-blind readers, and colourful at both ends: each ground,
    light or dark, takes the part that it contrasts with.

    Returns:
        A colour map from dark to bright.
    """
    import matplotlib as mpl

    return mpl.colormaps["plasma"]


def depth_colours(count: int) -> "ListedColormap":
    """One colour a layer, each of which contrasts with white by 3 to 1 or more.

    Args:
        count: Number of layers.

    Returns:
        A colour map of so many colours, one at least, from the first layer to the last.
    """
    from matplotlib.colors import ListedColormap

    return ListedColormap(depth_map()(np.linspace(0, _DEEPEST, max(count, 1))))


def colour_norm(scale: Scale) -> "tuple[Normalize, list[float] | None]":
    """Say how values become colours over the whole range of a measure.

    Args:
        scale: Its range and its better end.

    Returns:
        A linear norm where large values are the better ones, else a square root from the lower
        end. And where the colour bar's ticks stand, None for matplotlib's own choice.
    """
    from matplotlib.colors import Normalize, PowerNorm

    low, high = scale.low, scale.high
    if scale.best == "max":
        return Normalize(low, high), None
    return PowerNorm(0.5, low, high), [low + part * (high - low) for part in _ROOT_TICKS]


def clip_rounding(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Move values that miss the range by rounding alone onto its end.

    Args:
        values: Any shape.
        low: Lower end.
        high: Upper end.

    Returns:
        The same shape, for drawing only; NaN stays NaN.
    """
    near_low = (values < low) & (values >= low - _ROUNDING)
    near_high = (values > high) & (values <= high + _ROUNDING)
    return np.where(near_low, low, np.where(near_high, high, values))


def extension(
    values: NDArray[np.float64], low: float, high: float
) -> Literal["neither", "both", "min", "max"]:
    """Say which ends of a colour bar need an arrow for values beyond the range.

    Args:
        values: The values drawn, already clipped by `clip_rounding`; NaN is passed over.
        low: Lower end.
        high: Upper end.

    Returns:
        The word that matplotlib's colour bar takes as `extend`.
    """
    below, above = bool((values < low).any()), bool((values > high).any())
    if below:
        return "both" if above else "min"
    return "max" if above else "neither"


def text_colours(rgba: NDArray[np.float64]) -> NDArray[np.str_]:
    """Choose black wherever it is legible, else white.

    Either contrasts by 4.5 to 1 or more. Where both do, it is always black: of two cells of nearly
    the same colour not one is written black and one white without need.

    Args:
        rgba: Colours `(..., 4)`; a transparent cell shows the light background.

    Returns:
        `"black"` or `"white"` for each colour, shape `(...)`.

    Source:
        Relative luminance and contrast of the Web Content Accessibility Guidelines 2.
    """
    rgb = rgba[..., :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    dark = (luminance < _BLACK_FROM) & (rgba[..., 3] > 0)
    return np.where(dark, "white", "black")
