"""Pairs of sides compared in one pass over the data, whoever asks for them."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal, NamedTuple

from torch import nn

from hooksim.accumulators.base import SidePair
from hooksim.capture.arguments import check_loader
from hooksim.capture.batches import PairedBatch
from hooksim.capture.layers import unwrap
from hooksim.capture.loader_errors import dead_workers, with_places
from hooksim.capture.out_of_memory import memory_advice
from hooksim.capture.progress import batch_progress, known_length, row_progress
from hooksim.capture.slices import BatchPosition
from hooksim.comparison.keeper import Keeper
from hooksim.comparison.metadata import describe_pair, describe_run
from hooksim.comparison.options import Options
from hooksim.comparison.out_of_memory import held_by
from hooksim.comparison.processes import check_same_sides, needs_all, shared_options
from hooksim.comparison.shared_layers import shared_layers
from hooksim.comparison.side_rows import side_rows
from hooksim.distributed import Processes, is_dealt_out, number_of_shares
from hooksim.errors import ConfigError, Note
from hooksim.measures.base import Reading
from hooksim.measures.measure_set import MeasureSet
from hooksim.recording import Recording, recorded_batches
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from hooksim.run import Run
from hooksim.sides import Inputs, Read, Side, read_by, views_of

__all__ = ["Compared", "compare_sides"]

_log = logging.getLogger("hooksim")

_RUNS_ONCE = (
    "those before it have one for both, and a model that is both A and B runs once on it. Pass "
    "copy.deepcopy(model) as b."
)


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
    one_input: str = "",
    processes: Processes | None = None,
    keeper: Keeper | None = None,
) -> list[Comparison]:
    """Compare pairs of sides; each side is read once, whatever pairs it is in.

    Args:
        sides: Models and recordings, all alive together.
        pairs: Positions of A and B of each pair.
        loader: Batches; None where all sides are recordings.
        options: How to compare.
        found: What the caller warns of, such as sides that are missing.
        one_input: Why no batch may have one input for A and another for B; empty if it may.
        processes: Those that make the comparison together, each some of the batches.
        keeper: Saves the run while it goes on; None for a run that is not saved.

    Returns:
        A comparison for each pair.

    Raises:
        HooksimError: Or one of its children, in one line: what is wrong, where, what to do.
    """
    sources = [side.source for side in sides]
    _check_loader(sources, loader, options)
    named = {f"model {side.label}": side.source for side in sides}
    if processes is not None:
        options = shared_options(processes, options, loader, sources)
        check_same_sides(processes, named)
    layers = [options.layers_a if side.role == "a" else options.layers_b for side in sides]
    chosen = side_rows(sources, [side.role for side in sides], options)
    views = views_of(sources, layers, chosen.rows, [(side.label, side.role) for side in sides])
    inputs, batches, total = _batches(sides, loader, options, one_input)
    ways = {name: getattr(options, name) for name in ("forward", "device", "stop_early")}
    read = read_by(sources, views, inputs=inputs, **ways)
    places = _side_pairs(read, pairs, options)
    asked = MeasureSet(options.chosen, places)
    kept = {"dealt_out": is_dealt_out(loader), "keeps_samples": keeper is not None}
    run = _planned(read, asked, sources, options, processes, **kept)
    if keeper is not None:
        keeper.begin(run, named)
    seconds = _timed(run, batches, total, options, keeper)
    doubts = [
        *chosen.warnings,
        *shared_layers(sources, views, pairs),
        *_unmatched(run, sources),
        *_one_share(loader, processes),
        *_ended_early(run, total, options),
        *([] if keeper is None else keeper.warnings),
    ]
    notes = [*chosen.notes, *run.notes, *([] if keeper is None else keeper.notes)]
    warnings = _said([*found, *run.warnings, *doubts], notes, processes)
    common = {**describe_run(run, asked, options, warnings, notes), "seconds": seconds}
    results = []
    for index, (a, b) in enumerate(pairs):
        both = [sources[a], sources[b]], [views[a], views[b]]
        own = describe_pair(run, asked, places[index], *both)
        layers_ab = own["layers_a"], own["layers_b"]
        matrices = {each.key: _matrix(each, *layers_ab) for each in asked.readings(index)}
        results.append(Comparison(matrices, run.position.n_counted, {**common, **own}))
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
    else:
        check_loader(loader, " Only recordings on both sides need none.")


def _check_unused(options: Options) -> None:
    """Refuse what only a live model could use."""
    for name in ("forward", "device"):
        if getattr(options, name) is not None:
            raise ConfigError(f"{name}: expected None for recordings: no model is run.")


def _batches(
    sides: Sequence[Compared], loader: Any, options: Options, one_input: str
) -> tuple[Inputs, Iterator[Any], int | None]:
    """Whose inputs are in the batches, the batches, and how many where that is known."""
    if loader is None:
        recordings = [side.source for side in sides if isinstance(side.source, Recording)]
        by_batch = options.block_size == "batch"
        loader = recorded_batches(recordings, batch=by_batch, max_samples=options.max_samples)
    total = known_length(loader)
    batches = with_places(loader)
    with dead_workers(lambda: BatchPosition(0, 0)):
        first = list(islice(batches, 1))
    inputs = _inputs(first[0]) if first else "plain"
    if inputs == "one pair" and _stands_for_both(sides):
        one_input = one_input or _RUNS_ONCE

    def all_batches() -> Iterator[Any]:
        while first:
            yield first.pop()
        yield from batches

    found = _of_one_input(all_batches(), one_input) if one_input else all_batches()
    return inputs, found, total


def _of_one_input(batches: Iterator[Any], reason: str) -> Iterator[Any]:
    """Refuse a batch with two inputs."""
    for batch in batches:
        if _inputs(batch) == "own":
            raise ConfigError(
                f"loader: a PairedBatch has one input for A and another for B, but {reason}"
            )
        yield batch


def _inputs(batch: Any) -> Inputs:
    """Whose inputs are in a batch."""
    if not isinstance(batch, PairedBatch):
        return "plain"
    return "one pair" if batch.a is batch.b else "own"


def _stands_for_both(sides: Sequence[Compared]) -> bool:
    """Whether one model is read as A and as B."""
    of_a, of_b = (
        {
            id(unwrap(each.source))
            for each in sides
            if each.role == role and isinstance(each.source, nn.Module)
        }
        for role in ("a", "b")
    )
    return bool(of_a & of_b)


def _side_pairs(read: Read, pairs: Sequence[tuple[int, int]], options: Options) -> list[SidePair]:
    """The pairs by the positions of what is read."""
    aligned = options.pairs == "same_name"
    return [SidePair(read.positions[a], read.positions[b], aligned=aligned) for a, b in pairs]


def _planned(
    read: Read,
    asked: MeasureSet,
    sources: Sequence[Side],
    options: Options,
    processes: Processes | None,
    *,
    dealt_out: bool,
    keeps_samples: bool,
) -> Run:
    """The run over what is read, by all processes."""
    return Run(
        read.readers,
        asked.accumulators,
        options.block_size,
        asked.most_demanding.minimum,
        asked.most_demanding.title,
        speaking=asked.speaking,
        common_layers=options.pairs == "same_name",
        memory_budget=options.memory_budget,
        drops=options.on_nonfinite == "drop",
        processes=processes,
        dealt_out=dealt_out,
        keeps_samples=keeps_samples,
        in_step=any(map(needs_all, sources)),
    )


def _timed(
    run: Run, batches: Iterator[Any], total: int | None, options: Options, keeper: Keeper | None
) -> float:
    """Execute the run and give the seconds that it took, in all its parts."""
    started = time.perf_counter()
    with (
        batch_progress(None if options.max_samples else total, options.progress) as on_batch,
        row_progress(options.progress) as on_rows,
        dead_workers(lambda: BatchPosition(run.position.batches, run.position.n_samples)),
        memory_advice(partial(held_by, run)),
    ):
        execute = partial(run.execute, batches, max_samples=options.max_samples, on_rows=on_rows)
        if keeper is None:
            execute(on_batch=on_batch)
        else:
            _execute_kept(execute, keeper, on_batch)
    return time.perf_counter() - started + (0.0 if keeper is None else keeper.seconds)


def _execute_kept(
    execute: Callable[..., None], keeper: Keeper, on_batch: Callable[[int], None]
) -> None:
    """Execute a run that is saved while it goes on."""

    def seen(items: int) -> None:
        on_batch(items)
        keeper.look()

    with keeper.keeping():
        execute(on_batch=seen, on_end=keeper.prepare_end, whole=keeper.whole)


def _unmatched(run: Run, sources: Sequence[Side]) -> list[Note]:
    """A warning where a recording tells its samples apart, but no other side does."""
    telling = [
        source
        for source in sources
        if isinstance(source, Recording) and (source.sample_ids or source.inputs)
    ]
    if (
        not telling
        or run.position.matched_by != "counts"
        or all(each is sources[0] for each in sources)
    ):
        return []
    text = (
        "nothing but their number shows that both sides are of the same samples in the same order. "
        "Give both sides sample_ids."
    )
    return [Note("unmatched_samples", text)]


def _one_share(loader: Any, processes: Processes | None) -> list[Note]:
    """A warning where a loader deals its samples out, but nobody else compares."""
    shares = number_of_shares(loader) if processes is None and is_dealt_out(loader) else None
    if shares is None or shares == 1:
        return []
    text = (
        f"loader: {type(loader).__name__} deals its samples out to {shares} processes, and this "
        "one compares alone: the result is of its share. Give a loader without a "
        "DistributedSampler, or compare in all processes of an initialised group."
    )
    return [Note("one_share", text)]


def _ended_early(run: Run, total: int | None, options: Options) -> list[Note]:
    """A warning where a loader gave fewer batches than it said, as where a sample ended it."""
    came = run.position.batches
    if total is None or options.max_samples is not None or came >= total:
        return []
    text = (
        f"loader: it has {total:,} batches by its length, but {came:,} with samples came: the "
        "result is of these. A data set whose __getitem__ raises StopIteration ends it so."
    )
    return [Note("fewer_batches", text)]


def _said(warnings: list[Note], notes: Sequence[Note], processes: Processes | None) -> list[Note]:
    """Log what the parts noted, once however many processes there are; give the warnings back."""
    if processes is not None and processes.rank:
        return warnings
    for note in warnings:
        _log.warning("%s", note.text)
    for note in notes:
        _log.info("%s", note.text)
    return warnings


def _matrix(reading: Reading, layers_a: list[str], layers_b: list[str]) -> SimilarityMatrix:
    meaning = Meaning(reading.label, reading.best, reading.range, reading.direction)
    return SimilarityMatrix(reading.key, *reading.estimate, layers_a, layers_b, meaning)
