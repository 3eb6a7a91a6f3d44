"""Every tool through its own front door, on two models or on stored rows.

A tool is imported when it is called, because no environment holds all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from scripts.benchmarks.case import Contestant, Values

__all__ = [
    "BARE",
    "BARE_THERE",
    "Models",
    "bare_forward",
    "dadapy_rows",
    "fingerprint",
    "hooksim_models",
    "hooksim_values",
    "others_on_models",
    "pytorch_cka_rows",
    "tdhook_rows",
]

BARE = "bare forward"
BARE_THERE = "bare forward, peers' environment"
TDHOOK = "tdhook.latent.representation_similarity"
Pairs = Sequence[tuple[int, int]]
Rows = tuple[Sequence[Tensor], Sequence[Tensor]]


class Models(NamedTuple):
    """Two models, or more, and what they are run on.

    Attributes:
        models: In eval mode.
        batches: Mappings of tensors.
        names: The layers that are compared.
    """

    models: Sequence[nn.Module]
    batches: Sequence[Mapping[str, Tensor]]
    names: Sequence[str]


def fingerprint(inputs: Models) -> list[float]:
    """A few numbers that tell other weights or other data apart."""
    tensors: list[Tensor] = [next(reversed(list(model.parameters()))) for model in inputs.models]
    tensors += [next(iter(inputs.models[0].parameters())), *inputs.batches[-1].values()]
    return [tensor.detach().double().abs().mean().item() for tensor in tensors]


def bare_forward(inputs: Models) -> Values:
    """Every model on every batch, and nothing else."""
    with torch.no_grad():
        for batch in inputs.batches:
            for model in inputs.models:
                accepted = "use_cache" in signature(model.forward).parameters
                model(**batch, **({"use_cache": False} if accepted else {}))
    return {}


# ---------------------------------------------------------------------------------------- hooksim


def hooksim_models(inputs: Models, **options: Any) -> Values:
    """`hooksim.compare` of two models."""
    a, b = inputs.models
    compare = import_module("hooksim").compare
    return hooksim_values(
        compare(a, b, inputs.batches, layers_a=list(inputs.names), progress=False, **options)
    )


def hooksim_values(result: Any) -> Values:
    """The matrices of a comparison."""
    named = {key.removeprefix("information_imbalance_"): result[key].values for key in result}
    return {key: values.numpy() for key, values in named.items()}


# ---------------------------------------------------------------------------- the tools of others


class Items(Dataset[Any]):
    """The batches as a data set, one an item: the other tools ask a loader for one."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = list(batches)

    def __getitem__(self, index: int) -> Any:
        """A batch."""
        return self.batches[index]

    def __len__(self) -> int:
        """How many batches."""
        return len(self.batches)


def loader_of(batches: Iterable[Any]) -> DataLoader[Any]:
    """A loader that gives the very batches."""
    return DataLoader(Items(batches), batch_size=None)


def pytorch_cka_models(inputs: Models) -> Values:
    """`compute_cka`."""
    a, b = inputs.models
    (matrix,) = import_module("cka").compute_cka(
        a,
        b,
        loader_of(dict(batch) for batch in inputs.batches),
        layers=list(inputs.names),
        device="cpu",
        progress=False,
    )
    return {"cka": matrix.double().numpy()}


def torch_cka_models(inputs: Models, places: Sequence[int]) -> Values:
    """`CKA(...).compare` on some of the layers: it takes every pair by itself."""
    a, b = inputs.models
    names = [inputs.names[place] for place in places]
    loader = loader_of([next(iter(batch.values()))] for batch in inputs.batches)
    try:
        comparison = import_module("torch_cka").CKA(
            a, b, "A", "B", model1_layers=names, model2_layers=names, device="cpu"
        )
        comparison.compare(loader, loader)
        return {"cka": comparison.export()["CKA"].double().numpy().reshape(-1)}
    finally:
        for model in (a, b):  # it leaves its hooks, which would slow the next one down
            for module in model.modules():
                module._forward_hooks.clear()


def others_on_models(places: Sequence[int]) -> list[Contestant]:
    """The bare forward passes in both environments, and the tools that flatten what they see.

    Args:
        places: Positions of the layers that torch_cka is timed on.
    """
    pairs = [(a, b) for a in places for b in places]
    some = partial(torch_cka_models, places=places)
    return [
        Contestant(BARE, "model(**batch) of both", bare_forward, "torch"),
        Contestant(BARE_THERE, "model(**batch) of both", bare_forward, "cka"),
        Contestant("pytorch-cka", "compute_cka()", pytorch_cka_models, "cka", ["flattened"]),
        Contestant(
            "torch_cka", "CKA.compare()", some, "torch_cka", ["flattened"], pairs, BARE_THERE, True
        ),
    ]


def pytorch_cka_rows(rows: Rows) -> Values:
    """`cka_from_features`."""
    return {"cka": import_module("cka").cka_from_features(*rows).double().numpy()}


def tdhook_rows(rows: Rows, pairs: Pairs) -> Values:
    """`CkaEstimator` and `InformationImbalanceEstimator`, pair by pair."""
    module, tensordict = import_module(TDHOOK), import_module("tensordict")
    estimators = (module.CkaEstimator(), module.InformationImbalanceEstimator())
    found = []
    for a, b in pairs:
        data = tensordict.TensorDict({"data_a": rows[0][a], "data_b": rows[1][b]})
        for estimator in estimators:
            data = estimator(data)
        found.append(data)
    prefix = "information_imbalance_"
    keys = {"cka": "cka", "a_to_b": prefix + "a_to_b", "b_to_a": prefix + "b_to_a"}
    return {key: np.array([data[name].item() for data in found]) for key, name in keys.items()}


def dadapy_rows(rows: Rows, pairs: Pairs) -> Values:
    """`return_information_imbalace` (its spelling), all samples at once, float64 as it asks for."""
    found: dict[str, list[float]] = {"a_to_b": [], "b_to_a": []}
    for a, b in pairs:
        x, y = rows[0][a].double().numpy(), rows[1][b].double().numpy()
        data = import_module("dadapy").MetricComparisons(
            coordinates=x, maxk=len(x) - 1, n_jobs=torch.get_num_threads()
        )
        directions = data.return_information_imbalace(y, k=1, subset_size=len(x))
        for key, estimate in zip(found, directions, strict=True):
            found[key].append(float(estimate[0]))
    return {key: np.array(values) for key, values in found.items()}
