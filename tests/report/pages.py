"""Comparisons and payloads of trajectories whose pages the tests look at."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hooksim.report import Axis, Curves, Matrix, Model, Payload, Plane
from hooksim.results import Comparison, Meaning, SimilarityMatrix

__all__ = ["HARD_NUMBERS", "INJECTED", "STEPS", "comparison", "trajectory"]

INJECTED = "</script><script>window.ran = true</script><img src=x onerror='window.ran = true'>"
STEPS = (10, 30, 100, 300)
HARD_NUMBERS = [
    1e-7, 1.5e-7, 1e-4, 9.999e-5, 0.1 + 0.2, 1.0, 100.0, -0.0, 0.0, -1e-300, 5e-324, 1e15, 1e16,
    123456789012345680.0, 1.7976931348623157e308, 1e21, 1e22, math.nan, math.inf, -math.inf, 2 / 3,
]  # fmt: skip
_MEANINGS = {
    "cka": Meaning("CKA (linear, debiased)", "max"),
    "imbalance_a_to_b": Meaning("Information Imbalance (k = 1)", "min", (0, 1), "A to B"),
    "imbalance_b_to_a": Meaning("Information Imbalance (k = 1)", "min", (0, 1), "B to A"),
}


def comparison(
    size: tuple[int, int] = (4, 3),
    name: Callable[[int], str] = "encoder.layer.{}.output".format,
    **metadata: object,
) -> Comparison:
    """Three matrices of random numbers, two of them the directions of one measure."""
    generator = torch.Generator().manual_seed(3)
    layers_a, layers_b = ([name(i) for i in range(count)] for count in size)
    matrices = {}
    for key, meaning in _MEANINGS.items():
        values = torch.rand(size, generator=generator, dtype=torch.float64)
        stderr = 0.06 * torch.rand(size, generator=generator, dtype=torch.float64)
        matrices[key] = SimilarityMatrix(key, values, stderr, layers_a, layers_b, meaning)
    described = {"model_a": "BertModel", "name_a": "runs/a", "name_b": "runs/b", "blocks": [450]}
    return Comparison(matrices, 450, {**described, **metadata})


def trajectory(pairs: bool = False, layers: int = 3, **changes: Any) -> Payload:
    """The same matrices at every step, or at every pair of steps, and a curve for each layer."""
    generator = np.random.default_rng(4)
    short = tuple(map(str, range(layers)))
    axis = Axis("runs/b", tuple(f"x.{name}" for name in short), short, "x.*")
    lead = (len(STEPS),) * (2 if pairs else 1)
    matrices, curves = [], []
    for key, meaning in _MEANINGS.items():
        matrices.append(
            Matrix(
                key=key,
                group=key.partition("_")[0],
                label=meaning.label,
                direction=meaning.direction,
                best=meaning.best,
                range=meaning.range,
                a=axis,
                b=axis,
                values=generator.random((*lead, layers, layers)),
                stderr=0.1 * generator.random((*lead, layers, layers)),
                file=key,
            )
        )
        values, stderr = generator.random((2, len(STEPS), layers))
        curves.append(
            Curves(
                key, meaning.title, axis.layers, axis.short, values, 0.1 * stderr, f"{key}.drift"
            )
        )
    shown = Payload(
        models=(Model("step 300", "ViTModel"), Model("4 checkpoints")),
        facts="n = 450",
        matrices=tuple(matrices),
        colours="".join(f"{i:02x}{i:02x}ff" for i in range(256)),
        depth_colours="000000ffffff",
        steps=STEPS,
        planes=(Plane("Imbalance", "imbalance_a_to_b", "imbalance_b_to_a"),),
        curves=tuple(curves),
    )
    return replace(shown, **changes)
