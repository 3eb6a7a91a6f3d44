"""`compare()`: the front door. It checks, runs, names, and says aloud what the parts noted."""

import logging
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain, islice
from typing import Any, Literal

import torch
from torch import nn
from tqdm import tqdm

from hooksim.accumulators.base import SidePair
from hooksim.accumulators.order import OrderAccumulator
from hooksim.blocks.blocker import BlockSize
from hooksim.capture.batches import PairedBatch
from hooksim.capture.calls import Forward
from hooksim.capture.layers import Selectors, layers_for_other, unwrap
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows, as_rows
from hooksim.errors import ConfigError
from hooksim.measures.base import Measure, Reading
from hooksim.measures.choice import choose_measures
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from hooksim.run import Run

__all__ = ["compare"]

_log = logging.getLogger("hooksim")

RowsArgument = str | Rows | tuple[str | Rows, str | Rows]


def compare(
    a: nn.Module,
    b: nn.Module,
    loader: Iterable[Any] | None = None,
    *,
    layers_a: Selectors = None,
    layers_b: Selectors = None,
    measures: str | Measure | Sequence[str | Measure | Mapping[str, Any]] = (
        "cka",
        "information_imbalance",
    ),
    rows: RowsArgument = "auto",
    block_size: BlockSize = "auto",
    pairs: Literal["all", "same_name"] = "all",
    max_samples: int | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    stop_early: bool = True,
    on_nonfinite: Literal["error"] = "error",
    memory_budget: int | None = None,
    progress: bool = True,
) -> Comparison:
    """Compare two models layer by layer in one pass over a loader.

    Args:
        a: Model A, whose layers go down the matrices.
        b: Model B, whose layers go across; may be the same object as `a`.
        loader: Batches: tensors, tuples whose first element is the input, mappings, or
            `PairedBatch` where each model takes its own input. Read once; may be a generator.
        layers_a: Names, patterns (`*` one segment, `**` any number), `re:...`, or a list of them;
            None for the model's repeated blocks.
        layers_b: The same for B; None for those of A where all match, else B's repeated blocks.
        measures: Names, measures, or mappings with a name and options.
        rows: How an activation becomes one row a sample: a policy's name, a `Rows`, or a pair of
            them for A and B.
        block_size: Samples whose pairwise relations are looked at together; `"batch"` for one
            block a batch; `"auto"` for the largest of 2048, 1024, 512, 256 whose rows fit 2 GiB,
            else one block a batch, with a warning.
        pairs: `"same_name"` compares only layers of equal names.
        max_samples: Samples of the loader to read; None for all.
        forward: `(model, batch) -> anything`, for an unusual call; masks are found in mappings.
        device: Where to run; None for where each model's parameters are.
        stop_early: End each forward after the last layer that is read.
        on_nonfinite: `"error"` for activations with NaN or infinity.
        memory_budget: Not available in this version.
        progress: Show a bar where the error stream is a terminal.

    Returns:
        A `Comparison`: for each measure matrices of values and standard errors, shaped
        `(layers of A, layers of B)`, float64 on the CPU, NaN where a layer does not vary.

    Raises:
        HooksimError: Or one of its children, in one line: what is wrong, where, what to do.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> result = compare(model, model, [torch.randn(50, 4) for _ in range(4)], progress=False)
        >>> result["cka"].layers_a, result.n_samples
        (['0', '2'], 200)
        >>> [round(value, 4) for value in result["cka"].values.diagonal().tolist()]
        [1.0, 1.0]

    Source: Kornblith et al. 2019 (CKA); Glielmo et al. 2022 (Information Imbalance).
    """
    chosen = choose_measures(measures)
    _check_arguments(a, b, loader, pairs, max_samples)
    _check_block_size(block_size, chosen)
    _refuse_later(on_nonfinite=(on_nonfinite, "error"), memory_budget=(memory_budget, None))
    if layers_b is None and layers_a is not None:
        layers_b = layers_for_other(layers_a, b)
    views = [
        View(label, layers, each)
        for label, layers, each in zip("AB", (layers_a, layers_b), _both_rows(rows), strict=True)
    ]
    paired, batches = _peek(loader)
    options: dict[str, Any] = {"forward": forward, "device": device, "stop_early": stop_early}
    readers, sides = _readers(a, b, views, paired, options)
    sides = sides._replace(aligned=pairs == "same_name")
    accumulators = [measure.accumulators([sides]) for measure in chosen]
    every = [*chain.from_iterable(accumulators), OrderAccumulator(pairs=[sides])]
    needs = max(chosen, key=_minimum).title
    run = Run(readers, every, block_size, needs, common_layers=pairs == "same_name")
    started = time.perf_counter()
    with _progress(None if max_samples else loader, progress) as on_batch:
        run.execute(batches, max_samples=max_samples, on_batch=on_batch)
    seconds = time.perf_counter() - started
    _say(run)
    names_a, names_b = (list(run.names[side].layers) for side in sides[:2])
    matrices = {
        reading.key: SimilarityMatrix(
            reading.key, *reading.estimate, names_a, names_b, _meaning(reading)
        )
        for measure, own in zip(chosen, accumulators, strict=True)
        for reading in measure.read(own, 0)
    }
    asked = {"pairs": pairs, "block_size": block_size, "max_samples": max_samples}
    metadata = _metadata(run, views, chosen, seconds, models=(a, b), layers=(names_a, names_b))
    return Comparison(matrices, run.n_samples, metadata | asked)


def _check_arguments(a: Any, b: Any, loader: Any, pairs: str, max_samples: Any) -> None:
    for name, model in (("a", a), ("b", b)):
        if not isinstance(model, nn.Module):
            raise ConfigError(f"{name}: expected a torch.nn.Module, got {type(model).__name__}.")
    if loader is None:
        raise ConfigError("loader: expected an iterable of batches, got None.")
    if not isinstance(loader, Iterable) or isinstance(loader, Mapping | str):
        raise ConfigError(f"loader: expected an iterable of batches, got {type(loader).__name__}.")
    if pairs not in ("all", "same_name"):
        raise ConfigError(f"pairs: expected 'all' or 'same_name', got {pairs!r}.")
    if max_samples is not None and (not isinstance(max_samples, int) or max_samples < 1):
        raise ConfigError(f"max_samples: expected a whole number from 1, got {max_samples!r}.")


def _check_block_size(block_size: Any, measures: Sequence[Measure]) -> None:
    if block_size in ("auto", "batch"):
        return
    if block_size == "all":
        raise ConfigError(
            "block_size='all' is not available in this version; use 'auto', 'batch' or an integer."
        )
    if isinstance(block_size, bool) or not isinstance(block_size, int):
        raise ConfigError(
            f"block_size: expected an integer, 'batch' or 'auto', got {block_size!r}."
        )
    for measure in measures:
        least = _minimum(measure)
        if block_size < least:
            raise ConfigError(
                f"block_size: {measure.title} needs at least {least} samples in a block, "
                f"got {block_size}."
            )


def _minimum(measure: Measure) -> int:
    """The fewest samples that a block may have for a measure."""
    return max(accumulator.minimum for accumulator in measure.accumulators(()))


def _refuse_later(**arguments: tuple[Any, Any]) -> None:
    """Refuse what a later version brings: any value but the only one there is."""
    for name, (given, only) in arguments.items():
        if given != only:
            raise ConfigError(f"{name}={given!r} is not available in this version; use {only!r}.")


def _both_rows(rows: RowsArgument) -> tuple[Rows, Rows]:
    """The row policies of A and B."""
    pair = rows if isinstance(rows, tuple | list) else (rows, rows)
    if len(pair) != 2:
        raise ConfigError(f"rows: expected one policy or two, for A and B, got {len(pair)}.")
    return as_rows(pair[0]), as_rows(pair[1])


def _peek(loader: Any) -> tuple[bool, Iterator[Any]]:
    """Whether the batches are pairs, and the batches with the first one put back."""
    batches = iter(loader)
    first = list(islice(batches, 1))

    def all_batches() -> Iterator[Any]:
        while first:
            yield first.pop()
        yield from batches

    return any(isinstance(batch, PairedBatch) for batch in first), all_batches()


def _readers(
    a: nn.Module, b: nn.Module, views: Sequence[View], paired: bool, options: dict[str, Any]
) -> tuple[list[ModelReader], SidePair]:
    """Who is read. A module that is both sides runs once, unless each side has its own input."""
    if paired or unwrap(a) is not unwrap(b):
        readers = [
            ModelReader(model, [view], side=view.label.lower(), **options)
            for model, view in zip((a, b), views, strict=True)
        ]
        return readers, SidePair(0, 1)
    if views[0].layers == views[1].layers and views[0].rows == views[1].rows:
        return [ModelReader(a, views[:1], side="both", **options)], SidePair(0, 0)
    return [ModelReader(a, views, side="both", **options)], SidePair(0, 1)


@contextmanager
def _progress(loader: Any, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar over batches with samples a second, where the error stream is a terminal."""
    try:
        total = len(loader)
    except TypeError:  # a generator, or a loader over one, which has __len__ all the same
        total = None
    started, seen = time.perf_counter(), 0
    with tqdm(total=total, unit="batch", disable=None if shown else True, leave=False) as bar:

        def advance(items: int) -> None:
            nonlocal seen
            seen += items
            rate = seen / max(time.perf_counter() - started, 1e-9)
            bar.set_postfix_str(f"{rate:,.0f} samples/s", refresh=False)
            bar.update()

        yield advance


def _say(run: Run) -> None:
    """Log what the parts noted."""
    for note in run.warnings:
        _log.warning("%s", note.text)
    for note in run.notes:
        _log.info("%s", note.text)


def _meaning(reading: Reading) -> Meaning:
    return Meaning(reading.label, reading.best, reading.range, reading.direction)


def _metadata(
    run: Run,
    views: Sequence[View],
    measures: Sequence[Measure],
    seconds: float,
    *,
    models: tuple[nn.Module, nn.Module],
    layers: tuple[list[str], list[str]],
) -> dict[str, Any]:
    """What a result says of how it came about: plain data."""
    model_a, model_b = (type(unwrap(model)).__name__ for model in models)
    rows_a, rows_b = (asdict(view.rows) for view in views)
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("hooksim", "torch", "tensordict", "numpy")},
            **{name: version(name) for name in ("transformers",) if name in sys.modules},
        },
        "device": [str(next(model.parameters(), torch.empty(0)).device) for model in models],
        "model_a": model_a,
        "model_b": model_b,
        "layers_a": layers[0],
        "layers_b": layers[1],
        "measures": [measure.options() for measure in measures],
        "rows": {"a": rows_a, "b": rows_b},
        "unit": "token" if views[0].rows.policy == "token" else "sample",
        "blocks": run.blocks,
        "n_samples": run.n_samples,
        "n_rows": run.n_rows,
        "seconds": seconds,
        "warnings": [note._asdict() for note in run.warnings],
        "notes": [note._asdict() for note in run.notes],
    }
