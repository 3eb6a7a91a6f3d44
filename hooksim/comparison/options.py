"""The options of a comparison, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal, TypeAlias

import torch

from hooksim.blocks.sizes import BlockSize
from hooksim.capture.arguments import check_whole
from hooksim.capture.calls import Forward
from hooksim.capture.layers import Selectors
from hooksim.capture.rows import Rows, as_rows
from hooksim.errors import ConfigError
from hooksim.measures.base import Measure
from hooksim.measures.choice import choose_measures

__all__ = ["BlockSizeArgument", "MeasuresArgument", "Options", "RowsArgument"]

RowsArgument: TypeAlias = str | Rows | tuple[str | Rows, str | Rows]
BlockSizeArgument: TypeAlias = BlockSize | Literal["all"]
MeasuresArgument: TypeAlias = (
    str | Measure | Mapping[str, Any] | Sequence[str | Measure | Mapping[str, Any]]
)


@dataclass(frozen=True)
class Options:
    """How sides are compared; the fields are those of `hooksim.compare`.

    State:
        chosen: The measures that were asked for.
        rows_of: The row policies of A and of B.

    Raises:
        ConfigError: One that cannot be, in one line.

    Example:
        >>> Options(rows="cls").rows_of[1].policy
        'cls'
        >>> Options(block_size=1)
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: block_size: CKA (linear, debiased) needs at least 4 samples ...
    """

    layers_a: Selectors = None
    layers_b: Selectors = None
    measures: MeasuresArgument = ("cka", "information_imbalance")
    rows: RowsArgument = "auto"
    block_size: BlockSizeArgument = "auto"
    pairs: Literal["all", "same_name"] = "all"
    max_samples: int | None = None
    forward: Forward | None = None
    device: torch.device | str | None = None
    stop_early: bool = True
    on_nonfinite: Literal["error", "drop"] = "error"
    memory_budget: int | None = None
    progress: bool = True
    chosen: list[Measure] = field(init=False)
    rows_of: tuple[Rows, Rows] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("block_size", "max_samples"):  # numpy's would not go into metadata
            value = getattr(self, name)
            if not isinstance(value, bool) and isinstance(value, Integral):
                object.__setattr__(self, name, int(value))
        object.__setattr__(self, "chosen", choose_measures(self.measures))
        object.__setattr__(self, "rows_of", _both_rows(self.rows))
        _check_block_size(self.block_size, self.chosen)
        check_whole("max_samples", self.max_samples, "a whole number from 1", 1)
        check_whole("memory_budget", self.memory_budget, "bytes, from 0, or None", 0)
        if self.pairs not in ("all", "same_name"):
            raise ConfigError(f"pairs: expected 'all' or 'same_name', got {self.pairs!r}.")
        if self.on_nonfinite not in ("error", "drop"):
            raise ConfigError(
                f"on_nonfinite: expected 'error' or 'drop', got {self.on_nonfinite!r}."
            )


def _check_block_size(block_size: Any, measures: Sequence[Measure]) -> None:
    if block_size in ("auto", "batch", "all"):
        return
    if isinstance(block_size, bool) or not isinstance(block_size, int):
        raise ConfigError(
            f"block_size: expected an integer, 'batch', 'all' or 'auto', got {block_size!r}."
        )
    for measure in measures:
        if block_size < measure.minimum:
            raise ConfigError(
                f"block_size: {measure.title} needs at least {measure.minimum} samples in a block, "
                f"got {block_size}."
            )


def _both_rows(rows: RowsArgument) -> tuple[Rows, Rows]:
    """The row policies of A and B."""
    pair = rows if isinstance(rows, tuple | list) else (rows, rows)
    if len(pair) != 2:
        raise ConfigError(f"rows: expected one policy or two, for A and B, got {len(pair)}.")
    return as_rows(pair[0]), as_rows(pair[1])
