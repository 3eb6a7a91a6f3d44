"""Case c: statistics alone, on rows that are there."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scripts.benchmarks.case import Case, Contestant, Limit, Values
from scripts.benchmarks.front_doors import (
    dadapy_rows,
    hooksim_values,
    pytorch_cka_rows,
    tdhook_rows,
)
from scripts.benchmarks.promises import error, faster, ratio
from scripts.benchmarks.references import cka_matrix, imbalance_matrices

__all__ = ["StoredRows", "stored_rows"]

PRODUCTS = "plain products"
BOTH = ("CKA", "imbalance")


class StoredRows(NamedTuple):
    """The rows of the layers of two models."""

    a: Sequence[Tensor]
    b: Sequence[Tensor]


def related_rows(layers: int, n: int, width: int) -> StoredRows:
    """Layers that hold one hidden signal, each turned and bent its own way, and noise."""
    generator = torch.Generator().manual_seed(100)
    signal = torch.randn(n, 24, generator=generator)

    def layer(share: float) -> Tensor:
        mixed = signal @ torch.randn(24, width, generator=generator) / 24**0.5
        noise = torch.randn(n, width, generator=generator)
        return torch.tanh((1 - share) * mixed + share * noise) + 1.0

    shares = [0.2 + 0.4 * index / layers for index in range(layers)]
    return StoredRows([layer(share) for share in shares], [layer(share) for share in shares])


def compared(rows: StoredRows, **options: Any) -> Values:
    """`hooksim.compare` of two recordings."""
    hooksim = import_module("hooksim")
    sides = [
        hooksim.Recording.from_tensors({f"layer {i}": each for i, each in enumerate(side)})
        for side in rows
    ]
    return hooksim_values(hooksim.compare(*sides, block_size="all", progress=False, **options))


def products(rows: StoredRows) -> Values:
    """`x @ x.T` of every layer."""
    for side in rows:
        for layer in side:
            layer @ layer.T
    return {}


def debiased(rows: StoredRows) -> Values:
    """Debiased CKA in float64."""
    return {"cka": cka_matrix(*rows)}


def imbalance(rows: StoredRows) -> Values:
    """Both directions in float64."""
    a_to_b, b_to_a = imbalance_matrices(*rows)
    return {"a_to_b": a_to_b, "b_to_a": b_to_a}


def biased(rows: StoredRows) -> Values:
    """CKA without the correction for the number of samples in float64."""
    exact = [[each.double() - each.double().mean(0) for each in side] for side in rows]
    kernels = [[each @ each.T for each in side] for side in exact]
    own = [[each.norm() for each in side] for side in kernels]
    cka = [
        [(a * b).sum() / (of_a * of_b) for b, of_b in zip(kernels[1], own[1], strict=True)]
        for a, of_a in zip(kernels[0], own[0], strict=True)
    ]
    return {"cka": torch.tensor(cka).double().numpy()}


def contestants(layers: int) -> list[Contestant]:
    """Ways to compare stored rows; some tools take so long that they get three pairs."""
    pairs = [(0, 0), (layers // 2, layers // 2), (layers - 1, 0)]
    return [
        Contestant(
            "hooksim", "compare(block_size='all'), both measures", compared, quantities=BOTH
        ),
        Contestant(
            "hooksim, CKA alone",
            "compare(block_size='all', measures='cka')",
            partial(compared, measures="cka"),
            quantities=BOTH,
        ),
        Contestant(PRODUCTS, "x @ x.T of every layer", products, "torch"),
        Contestant(
            "tdhook",
            "both estimators",
            partial(tdhook_rows, pairs=pairs),
            "tdhook",
            ["biased CKA", "imbalance"],
            pairs,
        ),
        Contestant(
            "dadapy",
            "return_information_imbalace()",
            partial(dadapy_rows, pairs=pairs),
            "dadapy",
            ["imbalance"],
            pairs,
        ),
        Contestant(
            "pytorch-cka", "cka_from_features(), CKA alone", pytorch_cka_rows, "cka", ["CKA"]
        ),
    ]


def stored_rows(small: bool) -> Case:
    """Rows of layers, every pair."""
    layers, n, width = (4, 40, 16) if small else (13, 4096, 768)
    return Case(
        title=f"c. Statistics alone: {layers} + {layers} layers, N = {n}, d = {width}, CKA and "
        "both imbalances with standard errors, block_size='all'",
        prepare=partial(related_rows, layers, n, width),
        contestants=contestants(layers),
        references={"CKA": debiased, "biased CKA": biased, "imbalance": imbalance},
        base=PRODUCTS,
        limits=[
            Limit("times faster than tdhook", 50, faster("hooksim", "tdhook"), at_least=True),
            Limit("times faster than dadapy", 50, faster("hooksim", "dadapy"), at_least=True),
            Limit("hooksim / plain products", 1.9, ratio("hooksim", PRODUCTS)),
            Limit("error of hooksim", 1e-4, error("hooksim")),
        ],
        parts=layers**2,
        fingerprint=lambda rows: [each.double().mean().item() for side in rows for each in side],
        note="Only hooksim gives standard errors; dadapy gives the imbalance alone.",
    )
