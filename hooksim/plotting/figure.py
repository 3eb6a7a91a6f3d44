"""Figures outside pyplot: made, sized to their panels, captioned, turned into PNG."""

import textwrap
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from hooksim.plotting.names import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation, Text

__all__ = ["add_caption", "fit_panels", "new_figure", "png_bytes", "wrap"]

# Mean width of a character as a share of the font size, a little wide to be safe.
_CHARACTER = 0.56
_CAPTION_FONT = 7.0
_DARK_RED = "#8b1a1a"


@cache
def _figure_class() -> "type[Figure]":
    """Make the class once, when matplotlib is first needed."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        """A figure that notebooks display and `show()` opens though pyplot does not know it."""

        def _repr_png_(self) -> bytes:
            return png_bytes(self)

        def show(self, warn: bool = True) -> None:
            """Open a window, by handing the figure to pyplot.

            Args:
                warn: As in matplotlib; unused.
            """
            from matplotlib import pyplot as plt

            plt.figure(self)
            plt.show()

    return ShownFigure


def new_figure() -> "Figure":
    """Make a figure that pyplot does not hold on to.

    Returns:
        A figure with constrained layout, which a notebook displays and `fig.show()` opens.
    """
    fig = _figure_class()()
    fig.set_layout_engine("constrained", w_pad=0.07)
    return fig


def png_bytes(fig: "Figure", dpi: int = 150) -> bytes:
    """Render a figure.

    Args:
        fig: Any matplotlib figure.
        dpi: Pixels per inch.

    Returns:
        The content of a PNG file.
    """
    buffer = BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def wrap(text: str, inches: float, font: float) -> str:
    r"""Break text into lines that fit.

    Args:
        text: Text; its own line ends are kept.
        inches: Width of a line.
        font: Font size in points.

    Returns:
        Lines, safe for matplotlib.

    Example:
        >>> wrap("Information Imbalance (k = 1)", 1.5, 10.0)
        'Information\nImbalance (k\xa0=\xa01)'
    """
    width = max(12, int(inches * 72 / (font * _CHARACTER)))
    # "k = 1" and "A | B" must not be torn apart.
    lines = [
        escape(line).replace(" = ", "\xa0=\xa0").replace(" | ", "\xa0|\xa0")
        for line in text.split("\n")
    ]
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in lines)


def add_caption(fig: "Figure", text: str, warning: str = "") -> None:
    """Write small text under everything else, warnings in dark red above it.

    Args:
        fig: The figure; its width decides where lines break.
        text: One paragraph; nothing is written if empty.
        warning: Lines, each broken where it is too long; nothing is written if empty.
    """
    inches = fig.get_figwidth() - 0.3
    lines = wrap(text, inches, _CAPTION_FONT) if text else ""
    warned = wrap(warning, inches, _CAPTION_FONT) if warning else ""
    if not lines and not warned:
        return
    # The layout knows one text only: it keeps empty lines free for the warnings.
    room = "\n" * (warned.count("\n") + 2) if warned else ""
    small = fig.supxlabel(
        room + (lines or "\xa0"), x=0.15 / fig.get_figwidth(), ha="left", fontsize=_CAPTION_FONT,
        color="#444444",
    )  # fmt: skip
    if warned:
        fig.add_artist(_over(warned, small))


def _over(text: str, below: "Text") -> "Annotation":
    """Write on the first lines of another text, wherever the layout moves that."""
    from matplotlib.text import Annotation

    return Annotation(
        text, (0.0, 1.0), xycoords=below, va="top", ha="left", fontsize=_CAPTION_FONT,
        color=_DARK_RED, annotation_clip=False, in_layout=False,
    )  # fmt: skip


def fit_panels(
    fig: "Figure", axes: "Sequence[Axes]", width: float, height: float, corrections: int = 2
) -> None:
    """Resize a figure until its panels have the wanted size, however long the labels are.

    Args:
        fig: The figure, with constrained layout.
        axes: Panels of equal size that stand in one row.
        width: Wanted width of a panel, in inches.
        height: Wanted height of a panel, in inches.
        corrections: How often sizes are measured and corrected. The margins hardly depend on the
            panels' size: two are enough for a fresh figure, one where only a caption was added.
    """
    for _ in range(corrections):
        fig.draw_without_rendering()
        boxes = [ax.get_position() for ax in axes]
        missing_width = sum(width - box.width * fig.get_figwidth() for box in boxes)
        missing_height = height - boxes[0].height * fig.get_figheight()
        fig.set_size_inches(
            max(1.0, fig.get_figwidth() + missing_width),
            max(1.0, fig.get_figheight() + missing_height),
        )
