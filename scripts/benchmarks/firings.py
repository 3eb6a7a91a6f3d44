"""Case f: what one firing of a hook costs in Python, on models too small to cost anything else."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import nn

from scripts.benchmarks.case import Case, Contestant, Outcomes, Values
from scripts.benchmarks.front_doors import Models
from scripts.benchmarks.references import layer_outputs

__all__ = ["firings"]

KINDS = ("Llama-like", "ResNet-like")
WAYS = ("bare", "plain hook", "capture_activations", "record")


class Tiny(NamedTuple):
    """Models by kind, each once in a list."""

    models: dict[str, Models]


def tiny_models(forwards: int) -> Tiny:
    """A language model and a residual network of a few numbers each."""
    transformers = import_module("transformers")
    torch.manual_seed(0)
    llama = transformers.LlamaModel(
        transformers.LlamaConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=8,
            num_attention_heads=2,
            num_key_value_heads=2,
            vocab_size=50,
        )
    ).eval()
    resnet = transformers.ResNetModel(
        transformers.ResNetConfig(
            embedding_size=4, hidden_sizes=[4, 4, 4, 4], depths=[2, 2, 2, 2], layer_type="basic"
        )
    ).eval()
    ids = torch.randint(50, (forwards, 4, 4))
    pixels = torch.randn(forwards, 4, 3, 8, 8)
    masked = [{"input_ids": part, "attention_mask": torch.ones_like(part)} for part in ids]
    layers = [f"layers.{layer}" for layer in range(8)]
    blocks = [f"encoder.stages.{a}.layers.{b}" for a in range(4) for b in range(2)]
    return Tiny(
        {
            KINDS[0]: Models([llama], masked, layers),
            KINDS[1]: Models([resnet], [{"pixel_values": part} for part in pixels], blocks),
        }
    )


def run_all(model: nn.Module, batches: Sequence[Any]) -> None:
    """Call the model on every batch."""
    accepted = {"use_cache": False} if hasattr(model.config, "use_cache") else {}
    with torch.no_grad():
        for batch in batches:
            model(**batch, **accepted)


def bare(inputs: Models) -> None:
    """No hooks."""
    run_all(inputs.models[0], inputs.batches)


def plain_hook(inputs: Models) -> None:
    """The least that a hook can do: keep the output."""
    with layer_outputs(inputs.models[0], inputs.names, lambda output: output):
        run_all(inputs.models[0], inputs.batches)


def captured(inputs: Models) -> None:
    """`hooksim.capture_activations`, with rows."""
    [model] = inputs.models
    with import_module("hooksim").capture_activations(model, list(inputs.names), rows="auto"):
        run_all(model, inputs.batches)


def recorded(inputs: Models) -> None:
    """`hooksim.record`: the hooks of a comparison, and keeping the rows."""
    import_module("hooksim").record(
        inputs.models[0], inputs.batches, list(inputs.names), progress=False
    )


def firings(small: bool) -> Case:
    """Ways to look at layers, on two kinds of models."""
    forwards = 3 if small else 300
    count = 8 * forwards
    ways = dict(zip(WAYS, (bare, plain_hook, captured, recorded), strict=True))

    def run(kind: str, way: str, inputs: Tiny) -> Values:
        ways[way](inputs.models[kind])
        return {}

    def extra(outcomes: Outcomes) -> dict[str, str]:
        cells = {}
        for kind in KINDS:
            base = outcomes[f"{kind}, bare"].best
            for way in WAYS[1:]:
                name = f"{kind}, {way}"
                cells[name] = f"{1e6 * (outcomes[name].best - base) / count:.1f}"
        return cells

    called = {
        "bare": "model(**batch)",
        "plain hook": "a hook that keeps the output",
        "capture_activations": "capture_activations(rows='auto')",
        "record": "record()",
    }
    return Case(
        title=f"f. A hook's own time: 8 layers, {forwards} forwards of 4 samples",
        prepare=partial(tiny_models, forwards),
        contestants=[
            Contestant(
                f"{kind}, {way}",
                called[way],
                partial(run, kind, way),
                "hooksim" if way in WAYS[2:] else "torch",
            )
            for kind in KINDS
            for way in WAYS
        ],
        extra_column="us a firing",
        extra=extra,
    )
