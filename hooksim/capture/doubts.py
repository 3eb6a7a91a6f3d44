"""The codes of notes on a live model that should make a user doubt the values: its warnings."""

__all__ = ["DOUBTS", "NARROW_OUTPUT", "PADDING", "TIME_FIRST"]

PADDING = "unmasked_padding"
"""Padding went into the model and into the rows: no mask came that tells them of it."""

TIME_FIRST = "time_first"
"""A module took the samples of the batch for time steps."""

NARROW_OUTPUT = "narrow_output"
"""Of several outputs of a layer one number a sample was taken, and another is wider."""

DOUBTS = frozenset({PADDING, TIME_FIRST, NARROW_OUTPUT})
"""All of these; what else is noted of a live model is no reason to doubt."""
