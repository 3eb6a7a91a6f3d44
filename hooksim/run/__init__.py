"""One run over sides and pairs of sides."""

from hooksim.run.run import Run

__all__ = ["Run"]
