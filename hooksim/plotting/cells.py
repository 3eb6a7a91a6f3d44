"""What is written in the cells of a heatmap, and whether it fits."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CellText", "choose_text", "decimals_for", "format_number"]

# Widths of the characters that numbers are made of, as shares of the font size (DejaVu Sans).
_MINUS = "\N{MINUS SIGN}"
_WIDTH = {".": 0.32, _MINUS: 0.84, "±": 0.84}
_DIGIT = 0.64
_LINE = 1.2
_FILL = 0.78
_LARGEST_FONT = 8.0
# Many decimals only where they are easy to read, two down to the smallest legible print.
_SMALLEST_FONT = 6.5
_SMALLEST_PRINT = 5.5
_FEWEST, _MOST = 3, 5  # decimals of a matrix
_ROUNDED = 2  # decimals where cells are too small for more


class CellText(NamedTuple):
    """The texts of all cells in one font size.

    Attributes:
        texts: A string for each cell, `(la, lb)`, empty where the value is NaN.
        font: Font size in points.
    """

    texts: NDArray[np.str_]
    font: float


def format_number(value: float, decimals: int) -> str:
    """Write a number with a true minus sign and without a negative zero.

    Args:
        value: Any number.
        decimals: Digits after the point.

    Returns:
        The text.

    Example:
        >>> format_number(-0.1234, 2), format_number(-0.001, 2)
        ('−0.12', '0.00')
    """
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def decimals_for(stderr: NDArray[np.float64] | None) -> int:
    """Choose the decimals of a matrix: two digits of a typical error, its median, 3 to 5.

    The rule of the page, for the cell and for what is said of it.

    Args:
        stderr: Standard errors, any shape; None and NaN are unknown ones.

    Returns:
        Digits after the point, of values and errors alike.

    Example:
        >>> decimals_for(np.array([0.02, 0.004, 0.003, np.nan])), decimals_for(None)
        (4, 3)
    """
    known = np.sort(stderr[stderr > 0]) if stderr is not None else np.array([])
    if not known.size:
        return _FEWEST
    wanted = math.ceil(-math.log10(known[known.size // 2])) + 1
    return min(_MOST, max(_FEWEST, wanted))


def choose_text(
    matrices: Sequence[tuple[NDArray[np.float64], NDArray[np.float64] | None]],
    decimals: Sequence[int],
    cell: tuple[float, float],
    force: bool,
) -> list[CellText] | None:
    """Find the most precise texts that fit into the cells of all matrices.

    Args:
        matrices: Values `(la, lb)`, each with the standard errors to be written under them or
            None.
        decimals: Of each matrix, where there is room; all lose digits together.
        cell: Width and height of the smallest cell, in points.
        force: Write two decimals however small the print must be.

    Returns:
        The texts of each matrix, or None where nothing legible fits.
    """
    for most in range(max(decimals), _ROUNDED - 1, -1):
        texts = [
            _texts(values, stderr, min(own, most))
            for (values, stderr), own in zip(matrices, decimals, strict=True)
        ]
        font = min(_fitting_font(one, cell) for one in texts)
        smallest = _SMALLEST_FONT if most > _ROUNDED else _SMALLEST_PRINT
        if font >= smallest or (force and most == _ROUNDED):
            return [CellText(one, font) for one in texts]
    return None


def _texts(
    values: NDArray[np.float64], stderr: NDArray[np.float64] | None, decimals: int
) -> NDArray[np.str_]:
    """Write every cell; an undefined standard error is left out."""
    texts = np.full(values.shape, "", dtype="U32")
    for place, value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        text = format_number(value, decimals)
        error = np.nan if stderr is None else float(stderr[place])
        if not np.isnan(error):
            text += f"\n±{_error_text(error, decimals)}"
        texts[place] = text
    return texts


def _error_text(error: float, decimals: int) -> str:
    """Write an error like its value; one that would be a zero by its size."""
    text = format_number(error, decimals)
    if error == 0 or float(text) > 0:
        return text if error else "0"
    mantissa, power = f"{error:.0e}".split("e")
    return f"{mantissa}e{_MINUS}{abs(int(power))}"


def _fitting_font(texts: NDArray[np.str_], cell: tuple[float, float]) -> float:
    """Compute the largest font in which the widest and the tallest text fit, in points."""
    lines = [str(text).split("\n") for text in texts.flat]
    width = max(sum(_WIDTH.get(c, _DIGIT) for c in line) for parts in lines for line in parts)
    height = max(map(len, lines)) * _LINE
    return min(_LARGEST_FONT, _FILL * cell[0] / max(width, _DIGIT), _FILL * cell[1] / height)
