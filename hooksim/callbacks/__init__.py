"""Callbacks that measure a model while a trainer trains it; each loads with its trainer only.

`load_run` reads what either has left of a run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooksim.callbacks import huggingface, lightning
    from hooksim.callbacks.saved_run import load_run

__all__ = ["huggingface", "lightning", "load_run"]


def __getattr__(name: str) -> Any:
    if name == "load_run":
        return import_module("hooksim.callbacks.saved_run").load_run
    if name in __all__:
        return import_module(f"hooksim.callbacks.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
