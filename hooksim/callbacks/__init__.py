"""Callbacks that measure a model while a trainer trains it; each loads with its trainer only."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooksim.callbacks import huggingface, lightning

__all__ = ["huggingface", "lightning"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"hooksim.callbacks.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
