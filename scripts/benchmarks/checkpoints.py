"""Case e: every pair of the checkpoints of a run."""

from functools import partial
from importlib import import_module
from itertools import combinations
from typing import Any

import numpy as np

from scripts.benchmarks.case import Case, Contestant, Limit, Values
from scripts.benchmarks.front_doors import BARE, Models, bare_forward, fingerprint
from scripts.benchmarks.language_model import language_models, pooled_rows
from scripts.benchmarks.promises import error, ratio
from scripts.benchmarks.references import cka_matrix, imbalance_matrices

__all__ = ["checkpoints"]


def compared(inputs: Models, **options: Any) -> Values:
    """`hooksim.compare_checkpoints`, each with each; the pairs of two that differ."""
    trajectory = import_module("hooksim").compare_checkpoints(
        lambda step: inputs.models[step],
        range(len(inputs.models)),
        inputs.batches,
        reference="all",
        layers_a=list(inputs.names),
        progress=False,
        **options,
    )
    pairs = list(combinations(range(len(inputs.models)), 2))
    return {
        key.removeprefix("information_imbalance_"): np.stack(
            [trajectory[key].values[a, b].numpy() for a, b in pairs]
        )
        for key in trajectory
    }


def reference(inputs: Models) -> Values:
    """Both measures in float64."""
    pairs = list(combinations(pooled_rows(inputs), 2))
    directions = [imbalance_matrices(a, b) for a, b in pairs]
    return {
        "cka": np.stack([cka_matrix(a, b) for a, b in pairs]),
        "a_to_b": np.stack([each[0] for each in directions]),
        "b_to_a": np.stack([each[1] for each in directions]),
    }


def checkpoints(small: bool) -> Case:
    """The checkpoints of a language model."""
    count = 3 if small else 8
    return Case(
        title=f"e. Trajectory: {count} checkpoints of case a's model, all pairs, both measures",
        prepare=partial(language_models, small, count, True),
        contestants=[
            Contestant(
                "hooksim", "compare_checkpoints(reference='all')", compared, quantities=["pooled"]
            ),
            Contestant(
                "hooksim, whole forwards",
                "compare_checkpoints(reference='all', stop_early=False)",
                partial(compared, stop_early=False),
                quantities=["pooled"],
            ),
            Contestant(BARE, f"model(**batch) of all {count}", bare_forward, "torch"),
        ],
        references={"pooled": reference},
        base=BARE,
        limits=[
            Limit("hooksim / bare forward", 1.3, ratio("hooksim", BARE)),
            Limit("error of hooksim", 1e-4, error("hooksim")),
        ],
        fingerprint=fingerprint,
    )
