"""Every error that hooksim raises on purpose, and the notes that its parts hand upwards."""

from typing import NamedTuple

__all__ = [
    "AlignmentError",
    "ConfigError",
    "HooksimError",
    "LayerNotFoundError",
    "MissingWeightsError",
    "NoRowsError",
    "NonFiniteError",
    "NotEnoughSamplesError",
    "Note",
    "ShapeError",
    "UnknownKeyError",
]


class HooksimError(Exception):
    """Base of all errors of this package."""


class LayerNotFoundError(HooksimError):
    """A layer that was named does not exist, did not fire, or gives no rows."""


class ShapeError(HooksimError, ValueError):
    """Tensors whose shapes do not fit each other or the row policy."""


class NoRowsError(ShapeError):
    """An output from which the policy takes no rows: no tensor, no batch, or no such shape."""


class NotEnoughSamplesError(HooksimError, ValueError):
    """Fewer samples than the measure needs."""


class MissingWeightsError(HooksimError):
    """A checkpoint lacks parameters of the model, or has them in another shape."""


class AlignmentError(HooksimError):
    """The two sides do not see the same samples in the same order."""


class NonFiniteError(HooksimError):
    """An activation holds NaN or infinity.

    Attributes:
        at: The batch, and the row in it, where that is known.
    """

    def __init__(self, message: str, at: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.at = at


class ConfigError(HooksimError, ValueError):
    """An argument or a configuration key with a value that cannot be used."""


class UnknownKeyError(HooksimError, KeyError):
    """A result has no matrix of this name."""

    def __str__(self) -> str:
        # KeyError would show the message in quotation marks.
        return str(self.args[0])


class Note(NamedTuple):
    """Something that a user should read, found while running.

    Attributes:
        code: A short stable word for programs, such as `order`.
        text: One sentence for people.
    """

    code: str
    text: str
