"""Heatmaps: layers of A upwards, layers of B to the right, layer 0 in the lower left corner."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from hooksim.errors import ConfigError
from hooksim.plotting.cells import CellText, choose_text, decimals_for
from hooksim.plotting.colours import colour_norm, extension
from hooksim.plotting.figure import add_caption, fit_panels, new_figure
from hooksim.plotting.names import escape
from hooksim.plotting.panel import DrawnPanel, Panel, draw_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["draw_heatmap", "draw_heatmaps"]

_WIDEST_ROW = 12.0  # inches of all panels together
_LARGEST_PANEL = 8.0
_SMALLEST_PANEL = 2.3
_WIDEST_FORCED = 24.0
_BAR = 0.15  # width of a colour bar in inches
_CELL = {False: 0.5, True: 0.58}  # inches of a cell without and with its standard error
_FORCED_CELL = {False: 0.28, True: 0.36}


def draw_heatmap(
    panel: Panel,
    *,
    caption: str = "",
    warning: str = "",
    annotate: bool | Literal["auto"] = "auto",
    show_stderr: bool = False,
    ax: "Axes | None" = None,
) -> "tuple[Figure, Axes]":
    """Draw one matrix.

    Args:
        panel: Values, names and what the colours mean.
        caption: Small text below it; left out where `ax` is given.
        warning: Lines in dark red above the caption; left out likewise.
        annotate: Write values in the cells; `"auto"` where they fit.
        show_stderr: Write standard errors under the values.
        ax: Axes to draw into; None makes a figure of the right size.

    Returns:
        The figure and its axes.

    Raises:
        ConfigError: `ax` belongs to no figure.

    Example:
        >>> import torch
        >>> panel = Panel(torch.eye(2), None, ["0", "1"], ["0", "1"], "CKA")
        >>> fig, ax = draw_heatmap(panel)
        >>> ax.get_title()
        'CKA'
    """
    if ax is None:
        made, axes = draw_heatmaps(
            [panel], caption=caption, warning=warning, annotate=annotate, show_stderr=show_stderr
        )
        return made, axes[0]
    fig = ax.get_figure(root=True)
    if fig is None:
        raise ConfigError("draw_heatmap: ax belongs to no figure. Pass axes of a figure, or None.")
    box = ax.get_window_extent()
    inches = (box.width / fig.dpi, box.height / fig.dpi)
    content = _choose_content([panel], inches, annotate, show_stderr)
    drawn = draw_panel(ax, panel, inches, content[0] if content else None)
    _draw_colour_bar(fig, drawn.image, [ax], [panel], inches)
    return fig, ax


def draw_heatmaps(
    panels: Sequence[Panel],
    *,
    caption: str = "",
    warning: str = "",
    annotate: bool | Literal["auto"] = "auto",
    show_stderr: bool = False,
) -> "tuple[Figure, list[Axes]]":
    """Draw matrices side by side; neighbours of one scale share a colour bar.

    Args:
        panels: At least one matrix.
        caption: Small text below them.
        warning: Lines in dark red above the caption.
        annotate: Write values in the cells; `"auto"` where they fit.
        show_stderr: Write standard errors under the values.

    Returns:
        The figure and the axes of each panel.
    """
    size = _panel_size(panels, annotate, show_stderr)
    content = _choose_content(panels, size, annotate, show_stderr)
    fig = new_figure()
    # Room for any label to begin with; the figure is cut down to what is needed below.
    fig.set_size_inches(len(panels) * (size[0] + 6), size[1] + 8)
    axes = list(fig.subplots(1, len(panels), squeeze=False)[0])
    drawn = [
        draw_panel(axes[i], panel, size, content[i] if content else None)
        for i, panel in enumerate(panels)
    ]
    for group in _groups(panels):
        image = drawn[group[0]].image
        _draw_colour_bar(fig, image, [axes[i] for i in group], [panels[i] for i in group], size)
    for i in range(1, len(panels)):
        if (panels[i].layers_a, panels[i].label_a) == (panels[0].layers_a, panels[0].label_a):
            axes[i].set_ylabel("")
            axes[i].tick_params(axis="y", labelleft=False)
    fit_panels(fig, axes, *size)
    legend = _legend(panels, drawn, show_stderr and not content)
    add_caption(fig, f"{caption} {legend}".strip(), warning)
    fit_panels(fig, axes, *size, corrections=1)
    return fig, axes


def _panel_size(
    panels: Sequence[Panel], annotate: bool | Literal["auto"], errors: bool
) -> tuple[float, float]:
    """Choose the size of every panel, in inches: square cells, unless there are very few."""
    rows = max(panel.numbers.shape[0] for panel in panels)
    columns = max(panel.numbers.shape[1] for panel in panels)
    widest = min(_LARGEST_PANEL, _WIDEST_ROW / len(panels))
    cell = min(_CELL[errors], widest / columns, _LARGEST_PANEL / rows)
    largest = _WIDEST_FORCED / max(rows, columns * len(panels))
    # Asking for numbers enlarges the picture; where even that is too small they are left out.
    if annotate is True or (annotate == "auto" and errors and largest >= _FORCED_CELL[errors]):
        cell = max(cell, min(_FORCED_CELL[errors], largest))
    return max(_SMALLEST_PANEL, columns * cell), max(_SMALLEST_PANEL, rows * cell)


def _choose_content(
    panels: Sequence[Panel],
    size: tuple[float, float],
    annotate: bool | Literal["auto"],
    show_stderr: bool,
) -> list[CellText] | None:
    """Choose what is written in the cells of all panels, if it fits."""
    if annotate is False:
        return None
    matrices = [(panel.numbers, panel.errors if show_stderr else None) for panel in panels]
    rows = max(panel.numbers.shape[0] for panel in panels)
    columns = max(panel.numbers.shape[1] for panel in panels)
    cell = (size[0] * 72 / columns, size[1] * 72 / rows)
    # Both directions of a measure are written alike.
    decimals = [
        max(decimals_for(other.errors) for other in panels if other.scale == panel.scale)
        for panel in panels
    ]
    return choose_text(matrices, decimals, cell, annotate is True)


def _groups(panels: Sequence[Panel]) -> list[list[int]]:
    """Find runs of neighbouring panels with one scale."""
    groups: list[list[int]] = []
    for i, panel in enumerate(panels):
        if groups and panels[groups[-1][-1]].scale == panel.scale:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _draw_colour_bar(
    fig: "Figure",
    image: "AxesImage",
    axes: "list[Axes]",
    panels: list[Panel],
    size: tuple[float, float],  # of one panel, in inches
) -> None:
    """Draw the bar that some panels share, its better end on top."""
    scale = panels[0].scale
    values = np.concatenate([panel.numbers.ravel() for panel in panels])
    bar = fig.colorbar(
        image, ax=axes, extend=extension(values, scale.low, scale.high), pad=0.02,
        fraction=_BAR / (size[0] * len(axes)), aspect=size[1] / _BAR, ticks=colour_norm(scale)[1],
    )  # fmt: skip
    bar.set_label(escape(scale.label), fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2.5, width=0.6)
    bar.outline.set_visible(False)
    if scale.best == "min":
        bar.ax.invert_yaxis()


def _legend(panels: Sequence[Panel], drawn: Sequence[DrawnPanel], errors_left_out: bool) -> str:
    """Say what the signs in the heatmap mean."""
    parts = ["Brighter is closer."]
    marks = " or ".join(sorted({one.mark for one in drawn if one.mark}))
    if marks:
        parts.append(f"{marks}: the closest layer of B for each layer of A.")
    undecided = " or ".join(sorted({one.undecided for one in drawn if one.undecided}))
    if undecided:
        parts.append(f"{undecided}: not told apart from the next best by the standard errors.")
    if any(np.isnan(panel.numbers).any() for panel in panels):
        parts.append("Hatched: undefined.")
    if errors_left_out:
        parts.append("Standard errors are left out, the cells being too small.")
    return " ".join(parts)
