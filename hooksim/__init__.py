"""Compare two PyTorch models layer by layer: CKA and Information Imbalance with standard errors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hooksim import callbacks, functional
    from hooksim.accumulators.covariance import CovarianceAccumulator
    from hooksim.accumulators.gram import GramAccumulator
    from hooksim.accumulators.ranks import RankAccumulator
    from hooksim.capture.batches import PairedBatch
    from hooksim.capture.hooks import capture_activations
    from hooksim.capture.layers import list_layers
    from hooksim.capture.rows import Rows
    from hooksim.comparison import compare
    from hooksim.errors import (
        AlignmentError,
        ConfigError,
        HooksimError,
        LayerNotFoundError,
        MissingWeightsError,
        NonFiniteError,
        NotEnoughSamplesError,
        ShapeError,
    )
    from hooksim.estimators import CkaEstimator, InformationImbalanceEstimator
    from hooksim.measures.cka import CKA
    from hooksim.measures.information_imbalance import InformationImbalance
    from hooksim.probe import Probe
    from hooksim.recording import Recording, record
    from hooksim.results import Comparison, SimilarityMatrix, Trajectory
    from hooksim.trajectory import compare_checkpoints

_HOME = {
    "AlignmentError": "errors",
    "CKA": "measures.cka",
    "CkaEstimator": "estimators",
    "Comparison": "results",
    "ConfigError": "errors",
    "CovarianceAccumulator": "accumulators.covariance",
    "GramAccumulator": "accumulators.gram",
    "HooksimError": "errors",
    "InformationImbalance": "measures.information_imbalance",
    "InformationImbalanceEstimator": "estimators",
    "LayerNotFoundError": "errors",
    "MissingWeightsError": "errors",
    "NonFiniteError": "errors",
    "NotEnoughSamplesError": "errors",
    "PairedBatch": "capture.batches",
    "Probe": "probe",
    "RankAccumulator": "accumulators.ranks",
    "Recording": "recording",
    "Rows": "capture.rows",
    "ShapeError": "errors",
    "SimilarityMatrix": "results",
    "Trajectory": "results",
    "capture_activations": "capture.hooks",
    "compare": "comparison",
    "compare_checkpoints": "trajectory",
    "list_layers": "capture.layers",
    "record": "recording",
}

__all__ = [
    "CKA",
    "AlignmentError",
    "CkaEstimator",
    "Comparison",
    "ConfigError",
    "CovarianceAccumulator",
    "GramAccumulator",
    "HooksimError",
    "InformationImbalance",
    "InformationImbalanceEstimator",
    "LayerNotFoundError",
    "MissingWeightsError",
    "NonFiniteError",
    "NotEnoughSamplesError",
    "PairedBatch",
    "Probe",
    "RankAccumulator",
    "Recording",
    "Rows",
    "ShapeError",
    "SimilarityMatrix",
    "Trajectory",
    "callbacks",
    "capture_activations",
    "compare",
    "compare_checkpoints",
    "functional",
    "list_layers",
    "record",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name in ("callbacks", "functional"):
        return import_module(f"hooksim.{name}")
    if name in _HOME:
        return getattr(import_module(f"hooksim.{_HOME[name]}"), name)
    raise AttributeError(f"module 'hooksim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
