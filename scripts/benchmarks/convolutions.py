"""Case b: two residual networks, every module that returns a tensor, flattened, CKA."""

from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from scripts.benchmarks.case import Case, Contestant, Limit, Values
from scripts.benchmarks.front_doors import (
    BARE,
    BARE_THERE,
    Models,
    fingerprint,
    hooksim_models,
    others_on_models,
)
from scripts.benchmarks.promises import error, extra_memory, ratio
from scripts.benchmarks.references import CkaSums, float64_gram, layer_outputs

__all__ = ["convolutions", "residual_networks"]

NAMES = 105


def residual_networks(small: bool) -> Models:
    """Two random residual networks and images for them."""
    transformers = import_module("transformers")
    widths, depths = ([8, 16], [1, 1]) if small else ([64, 128, 256, 512], [2, 2, 2, 2])
    samples, edge, batch = (16, 16, 8) if small else (512, 64, 256)
    config = transformers.ResNetConfig(
        embedding_size=widths[0], hidden_sizes=widths, depths=depths, layer_type="basic"
    )
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        models.append(transformers.ResNetModel(config).eval())
    batches = [{"pixel_values": part} for part in torch.split(images(samples, edge), batch)]
    return Models(models, batches, tensor_modules(models[0], batches[0]))


def images(samples: int, edge: int) -> Tensor:
    """Smooth random images with a little noise."""
    generator = torch.Generator().manual_seed(100)
    coarse = torch.randn(samples, 3, 8, 8, generator=generator)
    smooth = nn.functional.interpolate(coarse, (edge, edge), mode="bilinear")
    return smooth + 0.1 * torch.randn(smooth.shape, generator=generator)


def tensor_modules(model: nn.Module, batch: Any) -> list[str]:
    """The modules that return a tensor, in the model's own order, but activations that do nothing.

    Those are not in every version of the library.
    """
    named = [
        name
        for name, module in model.named_modules()
        if name and not (name.endswith(".activation") and isinstance(module, nn.Identity))
    ]
    is_tensor = lambda output: isinstance(output, Tensor)  # noqa: E731
    with torch.no_grad(), layer_outputs(model, named, is_tensor) as found:
        model(**batch)
    return [name for name in named if found.get(name)]


def reference(inputs: Models) -> Values:
    """Debiased CKA of flattened rows, a block a batch."""
    sums = CkaSums()
    for batch in inputs.batches:
        kernels = []
        for model in inputs.models:
            with torch.no_grad(), layer_outputs(model, inputs.names, float64_gram) as outputs:
                model(**batch)
            kernels.append([outputs[name] for name in inputs.names])
        sums.add(*kernels)
    return {"cka": sums.values()}


def convolutions(small: bool) -> Case:
    """Two residual networks on images."""
    names = 33 if small else NAMES
    ours: Any = {"rows": "flatten", "block_size": "batch", "measures": "cka"}
    contestants = [
        Contestant(
            "hooksim",
            "compare(rows='flatten', block_size='batch', measures='cka')",
            partial(hooksim_models, **ours),
            quantities=["flattened"],
        ),
        *others_on_models((0, names // 2, names - 1)),
    ]
    return Case(
        title="b. Convolutions: "
        + (
            "tiny ResNetModel"
            if small
            else "two ResNetModel of basic layers [2, 2, 2, 2], widths 64 to "
            f"512, 512 images 3 x 64 x 64, batch 256, every module that returns a tensor ({NAMES})"
        ),
        prepare=partial(residual_networks, small),
        contestants=contestants,
        references={"flattened": reference},
        base=BARE,
        limits=[
            Limit("hooksim / bare forward", 1.9, ratio("hooksim", BARE)),
            Limit("hooksim / pytorch-cka", 0.7, ratio("hooksim", "pytorch-cka")),
            Limit(
                "memory above the bare forward, hooksim / pytorch-cka",
                0.15,
                extra_memory("hooksim", BARE, "pytorch-cka", BARE_THERE),
            ),
            Limit("error of hooksim", 1e-4, error("hooksim")),
        ],
        parts=names**2,
        fingerprint=fingerprint,
    )
