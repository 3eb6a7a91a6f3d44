"""Every way into hooksim that gives one value for two row matrices, by name."""

from collections.abc import Callable

import torch
from tensordict import TensorDict
from torch import Tensor
from torch.utils.data import DataLoader

import hooksim
from hooksim import functional
from tests.conformance.columns import StoredRows

__all__ = ["CKA_DOORS", "IMBALANCE_DOORS"]

BOTH = ("information_imbalance_a_to_b", "information_imbalance_b_to_a")


def data(x: Tensor, y: Tensor) -> TensorDict:
    return TensorDict({"data_a": x, "data_b": y})


def compared(x: Tensor, y: Tensor, measure) -> hooksim.Comparison:
    """The whole way: models, hooks, loader, one block; batches that divide nothing evenly."""
    loader = DataLoader(torch.arange(len(x)), batch_size=7)
    models = StoredRows(x), StoredRows(y)
    return hooksim.compare(*models, loader, layers_a="layer", measures=measure, progress=False)


def compared_imbalance(x: Tensor, y: Tensor, k: int) -> list[float]:
    result = compared(x, y, hooksim.InformationImbalance(k=k))
    return [result[key].values.item() for key in BOTH]


def estimated_imbalance(x: Tensor, y: Tensor, k: int) -> list[float]:
    result = hooksim.InformationImbalanceEstimator(k=k)(data(x, y))
    return [result[key].item() for key in BOTH]


def accumulated_imbalance(x: Tensor, y: Tensor, k: int) -> list[float]:
    return [
        estimate.values.item() for estimate in hooksim.RankAccumulator(k).update([x], [y]).compute()
    ]


CKA_DOORS: dict[str, Callable[[Tensor, Tensor, bool], float]] = {
    "function": lambda x, y, debiased: functional.cka(x, y, debiased=debiased).item(),
    "estimator": lambda x, y, debiased: hooksim.CkaEstimator(debiased=debiased)(data(x, y))[
        "cka"
    ].item(),
    "accumulator": lambda x, y, debiased: (
        hooksim.GramAccumulator(debiased).update([x], [y]).compute().values.item()
    ),
    "moments": lambda x, y, debiased: (
        hooksim.CovarianceAccumulator(debiased).update([x], [y]).compute().values.item()
    ),
    "compare": lambda x, y, debiased: compared(x, y, hooksim.CKA(debiased=debiased))[
        "cka"
    ].values.item(),
}

IMBALANCE_DOORS: dict[str, Callable[[Tensor, Tensor, int], list[float]]] = {
    "function": lambda x, y, k: [
        value.item() for value in functional.information_imbalance(x, y, k=k)
    ],
    "estimator": estimated_imbalance,
    "accumulator": accumulated_imbalance,
    "compare": compared_imbalance,
}
