"""Case a: two language models, pooled rows, both measures."""

from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from scripts.benchmarks.case import Case, Contestant, Limit, Values
from scripts.benchmarks.front_doors import (
    BARE,
    Models,
    fingerprint,
    hooksim_models,
    others_on_models,
)
from scripts.benchmarks.promises import error, ratio
from scripts.benchmarks.references import (
    CkaSums,
    cka_matrix,
    float64_gram,
    imbalance_matrices,
    layer_outputs,
)

__all__ = ["language_model", "language_models", "pooled_rows"]


def language_models(small: bool, count: int = 2, checkpoints: bool = False) -> Models:
    """Random GPT-2 models and sequences for them.

    Args:
        small: Whether they are tiny.
        count: How many models.
        checkpoints: Whether they are those of one run: each is the first one, moved on.
    """
    transformers = import_module("transformers")
    layers, width, vocabulary = (2, 32, 200) if small else (6, 384, 50257)
    samples, tokens, batch = (24, 8, 8) if small else (256, 64, 32)
    config = transformers.GPT2Config(
        n_layer=layers,
        n_embd=width,
        n_head=width // 16 if small else width // 64,
        vocab_size=vocabulary,
        bos_token_id=0,
        eos_token_id=0,
    )
    models = []
    for seed in range(count):
        torch.manual_seed(0 if checkpoints else seed)
        model = transformers.GPT2LMHeadModel(config).eval()
        if checkpoints:
            moved_on(model, seed)
        models.append(model)
    generator = torch.Generator().manual_seed(100)
    ids = torch.randint(vocabulary, (samples, tokens), generator=generator)
    batches = [
        {"input_ids": part, "attention_mask": torch.ones_like(part)}
        for part in torch.split(ids, batch)
    ]
    return Models(models, batches, [f"transformer.h.{layer}" for layer in range(layers)])


def moved_on(model: torch.nn.Module, step: int) -> None:
    """Move the weights of a model as far as a step of training would."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.01 * step)


def pooled_rows(inputs: Models) -> list[list[Tensor]]:
    """For each model the mean over tokens of each layer, all samples."""
    sides = []
    for model in inputs.models:
        take = lambda output: output.double().mean(1)  # noqa: E731
        parts: list[list[Tensor]] = []
        with torch.no_grad(), layer_outputs(model, inputs.names, take) as outputs:
            for batch in inputs.batches:
                model(**batch, use_cache=False)
                parts.append([outputs[name] for name in inputs.names])
        sides.append([torch.cat(part) for part in zip(*parts, strict=True)])
    return sides


def pooled_reference(inputs: Models) -> Values:
    """Both measures on pooled rows, all samples in one block."""
    a, b = pooled_rows(inputs)
    a_to_b, b_to_a = imbalance_matrices(a, b)
    return {"cka": cka_matrix(a, b), "a_to_b": a_to_b, "b_to_a": b_to_a}


def flattened_reference(inputs: Models) -> Values:
    """Debiased CKA of flattened rows, a block a batch."""
    a, b = inputs.models
    sums = CkaSums()
    with (
        torch.no_grad(),
        layer_outputs(a, inputs.names, float64_gram) as of_a,
        layer_outputs(b, inputs.names, float64_gram) as of_b,
    ):
        for batch in inputs.batches:
            a(**batch)
            b(**batch)
            sums.add([of_a[name] for name in inputs.names], [of_b[name] for name in inputs.names])
    return {"cka": sums.values()}


def contestants(layers: int) -> list[Contestant]:
    """Ways to compare the models of case a."""
    both: Any = {"measures": ("cka", "information_imbalance")}
    return [
        Contestant(
            "hooksim",
            "compare(), both measures",
            partial(hooksim_models, **both),
            quantities=["pooled"],
        ),
        Contestant(
            "hooksim, CKA alone",
            "compare(measures='cka')",
            partial(hooksim_models, measures="cka"),
            quantities=["pooled"],
        ),
        Contestant(
            "hooksim, whole forwards",
            "compare(stop_early=False), both measures",
            partial(hooksim_models, stop_early=False, **both),
            quantities=["pooled"],
        ),
        Contestant(
            "hooksim, flattened",
            "compare(rows='flatten', block_size='batch', measures='cka')",
            partial(hooksim_models, rows="flatten", block_size="batch", measures="cka"),
            quantities=["flattened"],
        ),
        *others_on_models((0, layers - 1)),
    ]


def language_model(small: bool) -> Case:
    """Two GPT-2 models on sequences."""
    layers = 2 if small else 6
    return Case(
        title="a. Language model: "
        + (
            "tiny GPT-2"
            if small
            else "two GPT2LMHeadModel (6 layers, width 384, vocabulary 50257), "
            "256 sequences of 64 tokens, batch 32, the blocks"
        ),
        prepare=partial(language_models, small),
        contestants=contestants(layers),
        references={"pooled": pooled_reference, "flattened": flattened_reference},
        base=BARE,
        limits=[
            Limit("hooksim / bare forward", 0.55, ratio("hooksim", BARE)),
            Limit("error of hooksim", 1e-4, error("hooksim")),
        ],
        parts=layers**2,
        fingerprint=fingerprint,
        note="pytorch-cka and torch_cka flatten the tokens and give CKA alone; float64 is of what "
        "each claims to compute.",
    )
