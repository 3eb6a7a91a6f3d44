"""The cases by the names that the command line knows."""

from collections.abc import Callable, Mapping

from scripts.benchmarks.case import Case
from scripts.benchmarks.checkpoints import checkpoints
from scripts.benchmarks.convolutions import convolutions
from scripts.benchmarks.firings import firings
from scripts.benchmarks.growth import growth
from scripts.benchmarks.imports import imports
from scripts.benchmarks.language_model import language_model
from scripts.benchmarks.stored_rows import stored_rows

__all__ = ["CASES"]

CASES: Mapping[str, Callable[[bool], Case]] = {
    "a": language_model,
    "b": convolutions,
    "c": stored_rows,
    "d": growth,
    "e": checkpoints,
    "f": firings,
    "g": imports,
}
