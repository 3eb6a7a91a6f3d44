"""Every error that hooksim raises on purpose, and the notes that its parts hand upwards."""

from typing import NamedTuple

__all__ = [
    "AlignmentError",
    "ConfigError",
    "HooksimError",
    "LayerNotFoundError",
    "MissingWeightsError",
    "NonFiniteError",
    "NotEnoughSamplesError",
    "Note",
    "ShapeError",
]


class HooksimError(Exception):
    """Base of all errors of this package."""


class LayerNotFoundError(HooksimError):
    """A layer that was named does not exist, did not fire, or gives no rows."""


class ShapeError(HooksimError, ValueError):
    """Tensors whose shapes do not fit each other or the row policy."""


class NotEnoughSamplesError(HooksimError, ValueError):
    """Fewer samples than the measure needs."""


class MissingWeightsError(HooksimError):
    """A checkpoint lacks parameters of the model, or has them in another shape."""


class AlignmentError(HooksimError):
    """The two sides do not see the same samples in the same order."""


class NonFiniteError(HooksimError):
    """An activation holds NaN or infinity."""


class ConfigError(HooksimError, ValueError):
    """An argument or a configuration key with a value that cannot be used."""


class Note(NamedTuple):
    """Something that a user should read, found while running.

    Attributes:
        code: A short stable word for programs, such as `order`.
        text: One sentence for people.
    """

    code: str
    text: str
