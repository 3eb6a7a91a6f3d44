"""Pairs of sides compared in one pass over the data, whoever asks for them."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from hooksim.accumulators.base import SidePair
from hooksim.capture.batches import PairedBatch
from hooksim.capture.progress import batch_progress, known_length, row_progress
from hooksim.comparison.metadata import describe_pair, describe_run
from hooksim.comparison.options import Options
from hooksim.errors import ConfigError, Note
from hooksim.measures.base import Reading
from hooksim.measures.measure_set import MeasureSet
from hooksim.recording import Recording, recorded_batches
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from hooksim.run import Run
from hooksim.sides import Read, Side, read_by, views_of

__all__ = ["Compared", "compare_sides"]

_log = logging.getLogger("hooksim")


class Compared(NamedTuple):
    """One of the sides that are compared.

    Attributes:
        source: A model or a recording.
        label: What messages call it.
        role: Whether the options for A or for B hold for it, and which half of a `PairedBatch`.
    """

    source: Side
    label: str
    role: Literal["a", "b"]


def compare_sides(
    sides: Sequence[Compared],
    pairs: Sequence[tuple[int, int]],
    loader: Iterable[Any] | None,
    options: Options,
    found: Sequence[Note] = (),
) -> list[Comparison]:
    """Compare pairs of sides; each side is read once, whatever pairs it is in.

    Args:
        sides: Models and recordings, all alive together.
        pairs: Positions of A and B of each pair.
        loader: Batches; None where all sides are recordings.
        options: How to compare.
        found: What the caller warns of, such as sides that are missing.

    Returns:
        A comparison for each pair.

    Raises:
        HooksimError: Or one of its children, in one line: what is wrong, where, what to do.
    """
    sources = [side.source for side in sides]
    _check_loader(sources, loader, options)
    layers = [options.layers_a if side.role == "a" else options.layers_b for side in sides]
    rows = [options.rows_of["ab".index(side.role)] for side in sides]
    views = views_of(sources, layers, rows, [(side.label, side.role) for side in sides])
    paired, batches, total = _batches(sources, loader, options)
    read = read_by(
        sources,
        views,
        paired=paired,
        forward=options.forward,
        device=options.device,
        stop_early=options.stop_early,
    )
    places = _side_pairs(read, pairs, options)
    asked = MeasureSet(options.chosen, places)
    run = Run(
        read.readers,
        asked.accumulators,
        options.block_size,
        asked.most_demanding.minimum,
        asked.most_demanding.title,
        speaking=asked.speaking,
        common_layers=options.pairs == "same_name",
        memory_budget=options.memory_budget,
    )
    seconds = _timed(run, batches, total, options)
    warnings = _said([*found, *run.warnings, *_unmatched(run, sources)], run.notes)
    common = {**describe_run(run, asked, options, warnings), "seconds": seconds}
    results = []
    for index, (a, b) in enumerate(pairs):
        own = describe_pair(
            run, asked, places[index], [sources[a], sources[b]], [views[a], views[b]]
        )
        matrices = {
            reading.key: _matrix(reading, own["layers_a"], own["layers_b"])
            for reading in asked.readings(index)
        }
        results.append(Comparison(matrices, run.n_samples, {**common, **own}))
    return results


def _check_loader(sources: Sequence[Side], loader: Any, options: Options) -> None:
    if all(isinstance(source, Recording) for source in sources):
        _check_unused(options)
        if loader is not None:
            number = {2: "two"}.get(len(sources), str(len(sources)))
            raise ConfigError(
                f"loader: expected None for {number} recordings, which hold their samples, got "
                f"{type(loader).__name__}."
            )
    elif not isinstance(loader, Iterable) or isinstance(loader, Mapping | str):
        got = "None" if loader is None else type(loader).__name__
        hint = " Only recordings on both sides need none." if loader is None else ""
        raise ConfigError(f"loader: expected an iterable of batches, got {got}.{hint}")


def _check_unused(options: Options) -> None:
    """Refuse what only a live model could use."""
    for name in ("forward", "device"):
        if getattr(options, name) is not None:
            raise ConfigError(f"{name}: expected None for recordings: no model is run.")


def _batches(
    sources: Sequence[Side], loader: Any, options: Options
) -> tuple[bool, Iterator[Any], int | None]:
    """Whether the batches are pairs, the batches, and how many there are where that is known."""
    if loader is None:
        recordings = [source for source in sources if isinstance(source, Recording)]
        by_batch = options.block_size == "batch"
        loader = recorded_batches(recordings, batch=by_batch, max_samples=options.max_samples)
    total = known_length(loader)
    batches = iter(loader)
    first = list(islice(batches, 1))

    def all_batches() -> Iterator[Any]:
        while first:
            yield first.pop()
        yield from batches

    return any(isinstance(batch, PairedBatch) for batch in first), all_batches(), total


def _side_pairs(read: Read, pairs: Sequence[tuple[int, int]], options: Options) -> list[SidePair]:
    """The pairs by the positions of what is read."""
    aligned = options.pairs == "same_name"
    return [SidePair(read.positions[a], read.positions[b], aligned=aligned) for a, b in pairs]


def _timed(run: Run, batches: Iterator[Any], total: int | None, options: Options) -> float:
    """Execute the run and give the seconds that it took."""
    started = time.perf_counter()
    with (
        batch_progress(None if options.max_samples else total, options.progress) as on_batch,
        row_progress(options.progress) as on_rows,
    ):
        run.execute(batches, max_samples=options.max_samples, on_batch=on_batch, on_rows=on_rows)
    return time.perf_counter() - started


def _unmatched(run: Run, sources: Sequence[Side]) -> list[Note]:
    """A warning where a recording tells its samples apart, but no other side does."""
    telling = [
        source
        for source in sources
        if isinstance(source, Recording) and (source.sample_ids or source.inputs)
    ]
    if not telling or run.matched_by != "counts" or all(each is sources[0] for each in sources):
        return []
    text = (
        "nothing but their number shows that both sides are of the same samples in the same order. "
        "Give both sides sample_ids."
    )
    return [Note("unmatched_samples", text)]


def _said(warnings: list[Note], notes: Sequence[Note]) -> list[Note]:
    """Log what the parts noted, and give the warnings back."""
    for note in warnings:
        _log.warning("%s", note.text)
    for note in notes:
        _log.info("%s", note.text)
    return warnings


def _matrix(reading: Reading, layers_a: list[str], layers_b: list[str]) -> SimilarityMatrix:
    meaning = Meaning(reading.label, reading.best, reading.range, reading.direction)
    return SimilarityMatrix(reading.key, *reading.estimate, layers_a, layers_b, meaning)
