"""The checkpoints of a run compared with a reference, or with each other."""

from hooksim.trajectory.checkpoints import Load, Skipped, load_each, refuse_failed
from hooksim.trajectory.compare import Reference, compare_checkpoints
from hooksim.trajectory.steps import in_order, step_of, steps_of

__all__ = [
    "Load",
    "Reference",
    "Skipped",
    "compare_checkpoints",
    "in_order",
    "load_each",
    "refuse_failed",
    "step_of",
    "steps_of",
]
