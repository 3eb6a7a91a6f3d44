"""What a comparison gives: values, names, provenance; pictures, tables, files."""

from hooksim.results.comparison import Comparison
from hooksim.results.diagnostics import LayerDiagnostics
from hooksim.results.files import check_target
from hooksim.results.matrix import Match, Meaning, SimilarityMatrix

__all__ = ["Comparison", "LayerDiagnostics", "Match", "Meaning", "SimilarityMatrix", "check_target"]
