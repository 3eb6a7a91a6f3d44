"""What a comparison gives: values, names, provenance; pictures, tables, files."""

from hooksim.results.comparison import Comparison
from hooksim.results.diagnostics import LayerDiagnostics
from hooksim.results.drift import Drift
from hooksim.results.folder import check_target
from hooksim.results.matrix import Match, Meaning, SimilarityMatrix
from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step
from hooksim.results.trajectory import Trajectory

__all__ = [
    "Comparison",
    "Drift",
    "LayerDiagnostics",
    "Match",
    "MatrixStack",
    "Meaning",
    "SimilarityMatrix",
    "Step",
    "Trajectory",
    "check_target",
]
