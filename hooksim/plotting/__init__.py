"""Pictures of plain tensors and names, drawn with matplotlib's object interface.

No pyplot and no global state: nothing leaks in a server or switches the backend of a notebook.
"""

from hooksim.plotting.colours import Scale
from hooksim.plotting.curves import Curves, draw_curves
from hooksim.plotting.figure import png_bytes
from hooksim.plotting.heatmap import draw_heatmap, draw_heatmaps
from hooksim.plotting.panel import Panel
from hooksim.plotting.plane import draw_plane

__all__ = [
    "Curves",
    "Panel",
    "Scale",
    "draw_curves",
    "draw_heatmap",
    "draw_heatmaps",
    "draw_plane",
    "png_bytes",
]
