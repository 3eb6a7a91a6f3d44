"""The offline page: plain data in, one HTML file out. It knows nothing of comparisons."""

from hooksim.report.payload import Axis, Curves, Matrix, Model, Payload, Plane, Table
from hooksim.report.render import GENERATOR, render

__all__ = [
    "GENERATOR",
    "Axis",
    "Curves",
    "Matrix",
    "Model",
    "Payload",
    "Plane",
    "Table",
    "render",
]
