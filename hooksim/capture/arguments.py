"""Arguments that several public functions have in common, checked in the same words."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

from hooksim.errors import ConfigError

__all__ = ["check_loader", "check_on_nonfinite", "check_whole"]


def check_loader(loader: Any, hint: str = "") -> None:
    """Refuse what gives no batches, such as a single one.

    Args:
        loader: What was given.
        hint: What else could be done without a loader, for the end of the message.

    Raises:
        ConfigError: It is no iterable, or a mapping or a text.

    Example:
        >>> check_loader(None)
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: loader: expected an iterable of batches, got None.
    """
    if not isinstance(loader, Iterable) or isinstance(loader, Mapping | str):
        got = "None" if loader is None else type(loader).__name__
        if isinstance(loader, Mapping):
            hint = " Put a batch in a list."
        elif loader is not None:
            is_dataset = hasattr(loader, "__getitem__") and not isinstance(loader, str)
            hint = " Wrap it in torch.utils.data.DataLoader." * is_dataset
        raise ConfigError(f"loader: expected an iterable of batches, got {got}.{hint}")


def check_whole(name: str, value: Any, expected: str, least: int) -> None:
    """Refuse what is neither None nor a whole number from `least`.

    Args:
        name: The argument.
        value: What was given.
        expected: What may be given, in words.
        least: The smallest number that may be.

    Raises:
        ConfigError: It is something else.

    Example:
        >>> check_whole("max_samples", 0, "a whole number from 1", 1)
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: max_samples: expected a whole number from 1, got 0.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if value is not None and (not whole or value < least):
        raise ConfigError(f"{name}: expected {expected}, got {value!r}.")


def check_on_nonfinite(value: Any) -> None:
    """Refuse every answer to NaN and infinity but `"error"`.

    Args:
        value: What was given.

    Raises:
        ConfigError: It is something else.

    Example:
        >>> check_on_nonfinite("error")
    """
    if value != "error":
        raise ConfigError(f"on_nonfinite={value!r} is not available in this version; use 'error'.")
