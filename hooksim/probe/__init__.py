"""A fixed set of samples on which a model is measured again and again while it is trained."""

from hooksim.probe.probe import Probe

__all__ = ["Probe"]
