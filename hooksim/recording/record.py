"""Records one model over a loader: one pass, no second model needed."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from hooksim.capture.arguments import check_loader, check_on_nonfinite, check_whole
from hooksim.capture.batches import PairedBatch
from hooksim.capture.calls import Forward
from hooksim.capture.layers import Selectors, model_title, unwrap
from hooksim.capture.loader_errors import dead_workers, with_places
from hooksim.capture.out_of_memory import in_mebibytes, memory_advice
from hooksim.capture.placement import check_values
from hooksim.capture.progress import batch_progress, known_length
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows, as_rows
from hooksim.capture.stream import stream
from hooksim.errors import ConfigError
from hooksim.recording.recorder import Recorder
from hooksim.recording.recording import Recording

__all__ = ["record"]


def record(
    model: nn.Module,
    loader: Iterable[Any],
    layers: Selectors = None,
    rows: str | Rows = "auto",
    path: str | os.PathLike[str] | None = None,
    *,
    forward: Forward | None = None,
    max_samples: int | None = None,
    device: torch.device | str | None = None,
    stop_early: bool = True,
    on_nonfinite: Literal["error"] = "error",
    progress: bool = True,
    overwrite: bool = False,
) -> Recording:
    """Keep the rows of a model's layers, to be compared later.

    Two models recorded one after the other give bit for bit what the live comparison gives, on one
    kind of device. Beside the rows are kept the ids of the samples, where the data have some, and
    a hash of what went into the model, so that other samples, or another order, are noticed. If
    each model has its own preprocessing or tokenizer, the same samples go in with other values:
    then give both sides `sample_ids`, as a key of each batch.

    On disk a recording grows batch by batch. Where it is interrupted, `Recording.load` opens what
    there is, which says how far it came.

    Args:
        model: Any module.
        loader: Batches: tensors, tuples whose first element is the input, or mappings. Read once;
            may be a generator.
        layers: Names, patterns (`*` one segment, `**` any number), `re:...`, or a list of them;
            None for the model's repeated blocks.
        rows: How an activation becomes one row a sample: a policy's name or a `Rows`.
        path: A folder for the rows; None keeps them in memory, on the CPU.
        forward: `(model, batch) -> anything`, for an unusual call.
        max_samples: Samples of the loader to read; None for all.
        device: Where to run; None for where the model's parameters are.
        stop_early: End each forward after the last layer that is recorded, as `compare` does.
        on_nonfinite: `"error"` for activations with NaN or infinity.
        progress: Show a bar where the error stream is a terminal.
        overwrite: Replace a recording that stands at `path`, once the first batch has come.

    Returns:
        The recording.

    Raises:
        HooksimError: Or one of its children, in one line: what is wrong, where, what to do.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> record(model, [torch.randn(50, 4) for _ in range(4)], progress=False)
        Recording of Sequential: 2 layers, 200 samples, 8.8 kB, in memory
    """
    _check_arguments(model, loader, max_samples, on_nonfinite)
    policy = as_rows(rows)
    name = type(unwrap(model)).__name__
    reader = ModelReader(
        model,
        [View("", layers, policy)],
        forward=forward,
        device=device,
        stop_early=stop_early,
        fingerprint=True,
    )
    total = None if max_samples else known_length(loader)
    with (
        Recorder(reader, rows=policy, model=name, path=path, overwrite=overwrite) as recorder,
        reader,
        batch_progress(total, progress) as on_batch,
        dead_workers(lambda: recorder.at),
        memory_advice(partial(_held_by, recorder, path)),
    ):
        batches = stream(
            [reader],
            _single(with_places(loader)),
            lambda _: None,
            max_samples=max_samples,
            ahead=False,
        )
        for [part] in batches:
            recorder.put(part)
            on_batch(part.items)
        return recorder.finish()


def _check_arguments(model: Any, loader: Any, max_samples: Any, on_nonfinite: Any) -> None:
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model: expected a torch.nn.Module, got {type(model).__name__}.")
    check_loader(loader)
    check_whole("max_samples", max_samples, "a whole number from 1", 1)
    check_on_nonfinite(on_nonfinite)
    check_values(model, model_title(unwrap(model), ""))


def _held_by(recorder: Recorder, path: str | os.PathLike[str] | None) -> str:
    """Say what a recorder holds, and what to do."""
    if path is not None:
        return "while rows were written. Select fewer layers, or use smaller batches."
    return (
        f"with the rows of {recorder.n_samples:,} samples held, {in_mebibytes(recorder.n_bytes)}. "
        "Give a path to record to, or select fewer layers."
    )


def _single(loader: Iterable[Any]) -> Iterator[Any]:
    """The batches, none of which is made for two models."""
    for item in loader:
        if isinstance(item, PairedBatch):
            raise ConfigError(
                "loader: a PairedBatch holds the inputs of two models, and one is recorded. Give "
                "the model its own loader."
            )
        yield item
