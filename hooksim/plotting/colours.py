"""Colours of a heatmap: the better end is always the bright one, whatever the measure."""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = ["Scale", "clip_rounding", "colour_map", "extension", "text_colours"]

# Values this near to the range are on its end: a self-comparison gives 1.0000000002.
_ROUNDING = 1e-6
_BEYOND_WORSE = "#1c0a2a"
_BEYOND_BETTER = "#fffde4"
# The darkest tenth is left out so that what lies beyond the range, nearly black, stands apart.
_DARKEST = 0.1


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
    """Viridis, perceptually uniform and safe for colour-blind readers, with ends beyond the range.

    Args:
        best: `"max"` where large values are the better ones, which are drawn bright.

    Returns:
        A colour map; NaN is transparent, so that the hatched background shows.
    """
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    stops = mpl.colormaps["viridis"](np.linspace(_DARKEST, 1.0, 256))
    under, over = _BEYOND_WORSE, _BEYOND_BETTER
    if best == "min":
        stops, under, over = stops[::-1], over, under
    colours = LinearSegmentedColormap.from_list(f"hooksim_{best}", list(stops))
    return colours.with_extremes(under=under, over=over, bad=(0.0, 0.0, 0.0, 0.0))


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
    """Choose black or white, whichever contrasts more with each cell.

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
    dark = (luminance < 0.179) & (rgba[..., 3] > 0)
    return np.where(dark, "white", "black")
