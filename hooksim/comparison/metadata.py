"""What a result says of how it came about: plain data."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from hooksim.accumulators.base import SidePair
from hooksim.capture.reader import View
from hooksim.comparison.options import Options
from hooksim.errors import Note
from hooksim.measures.measure_set import MeasureSet
from hooksim.recording import Recording
from hooksim.run import Run
from hooksim.sides import Side, describe_side

__all__ = ["describe_pair", "describe_run"]


def describe_run(
    run: Run,
    asked: MeasureSet,
    options: Options,
    warnings: Sequence[Note],
    notes: Sequence[Note],
) -> dict[str, Any]:
    """Describe what is the same for all pairs of a run.

    Args:
        run: The run, at its end.
        asked: What was measured.
        options: How.
        warnings: What should make a user doubt the values.
        notes: What else was left out or chosen.

    Returns:
        Versions, measures, blocks, counts, warnings, notes and options.
    """
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("hooksim", "torch", "tensordict", "numpy")},
            **{name: version(name) for name in ("transformers",) if name in sys.modules},
        },
        "measures": [measure.options() for measure in asked.measures],
        "blocks": run.position.blocks,
        "n_samples": run.position.n_counted,
        **_left_out(run, options),
        "n_rows": run.position.n_rows,
        "warnings": [note._asdict() for note in warnings],
        "notes": [note._asdict() for note in notes],
        "pairs": options.pairs,
        "block_size": options.block_size,
        "max_samples": options.max_samples,
    }


def _left_out(run: Run, options: Options) -> dict[str, int]:
    """How many samples are no part of the result, where some could have been left out."""
    found = {}
    if options.on_nonfinite == "drop":
        found["dropped_samples"] = run.position.dropped
    if run.position.repeated:
        found["repeated_samples"] = run.position.repeated
    return found


def describe_pair(
    run: Run, asked: MeasureSet, pair: SidePair, sources: Sequence[Side], views: Sequence[View]
) -> dict[str, Any]:
    """Describe the two sides of one pair.

    Args:
        run: The run, at its end.
        asked: What was measured.
        pair: Positions of the sides in the run.
        sources: What A and B are.
        views: What was wanted of each.

    Returns:
        Models, devices, layers, rows, diagnostics, and how the samples were matched.
    """
    side_a, side_b = map(describe_side, sources)
    rows_a, rows_b = (asdict(view.rows) for view in views)
    layers_a, layers_b = (list(run.names[side].layers) for side in pair[:2])
    return {
        "device": [side_a["device"], side_b["device"]],
        "model_a": side_a["model"],
        "model_b": side_b["model"],
        "recordings": {"a": side_a["recording"], "b": side_b["recording"]},
        "layers_a": layers_a,
        "layers_b": layers_b,
        "rows": {"a": rows_a, "b": rows_b},
        "unit": "token" if views[0].rows.policy == "token" else "sample",
        "matched_by": _matched_by(run, sources, pair),
        "diagnostics": {
            "a": asked.diagnostics(pair.a, layers_a),
            "b": asked.diagnostics(pair.b, layers_b),
        },
    }


def _matched_by(run: Run, sources: Sequence[Side], pair: SidePair) -> str:
    """How it is known that both sides are of the same samples."""
    if pair.a == pair.b or sources[0] is sources[1]:
        return "one source"
    return (
        run.position.matched_by
        if any(isinstance(each, Recording) for each in sources)
        else "one loader"
    )
