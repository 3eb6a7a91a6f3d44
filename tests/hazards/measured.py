"""Models with one odd layer, and the three public doors through which its rows are checked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import hooksim
from hooksim.errors import LayerNotFoundError
from tests import reference
from tests.capture.tiny_models import hook_count

BATCHES = list(torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(0)))


class Odd(nn.Module):
    """Two linear layers; between them `odd`, whose output nobody uses."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.odd = Made(make)
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        self.odd(hidden)
        return self.last(hidden)


class Made(nn.Module):
    """A layer that returns what a function makes of its input."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, hidden: Tensor) -> Any:
        return self.make(hidden)


def call(model: nn.Module, batch: Any) -> Any:
    return model(**batch) if isinstance(batch, Mapping) else model(batch)


def by_hand(model: nn.Module, loader: Sequence[Any], layers: Sequence[str]) -> dict[str, Tensor]:
    """What layers give in eval mode, copied inside a plain hook; of a tuple the first element."""
    found: dict[str, list[Tensor]] = {name: [] for name in layers}
    modes = {module: module.training for module in model.modules()}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: found[name].append(_first(output).clone())
        )
        for name in layers
    ]
    with torch.no_grad():
        model.eval()
        for batch in loader:
            call(model, batch)
    for handle in handles:
        handle.remove()
    for module, mode in modes.items():
        module.training = mode
    return {name: torch.cat(parts) for name, parts in found.items()}


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def assert_measured(
    model: nn.Module,
    expected: Mapping[str, Tensor],
    loader: Sequence[Any] = BATCHES,
    rows: str | hooksim.Rows = "auto",
    layers: Any = None,
    tolerance: float = 1e-6,
) -> None:
    """Check the rows that `record`, `compare` and `capture_activations` take of layers.

    Args:
        model: The model.
        expected: The rows of each layer, all batches together, in the order of the layers.
        loader: Batches.
        rows: The row policy.
        layers: What to select; None for the names that are expected.
        tolerance: Largest difference of rows, relative or absolute.
    """
    names = list(expected)
    before = hook_count(model)
    options: dict[str, Any] = {"rows": rows, "progress": False}
    near = {"rtol": tolerance, "atol": tolerance, "check_dtype": False}
    recording = hooksim.record(model, loader, layers or names, **options)
    assert list(recording) == names
    for name in names:
        torch.testing.assert_close(recording[name], expected[name], **near)
    result = hooksim.compare(
        model, model, loader, layers_a=layers or names, measures="cka", **options
    )
    assert result["cka"].layers_a == names
    for i, one in enumerate(names):
        for j, two in enumerate(names):
            right = reference.cka(expected[one], expected[two])
            assert result["cka"].values[i, j].item() == pytest.approx(right, abs=1e-4)
    was_training = model.training
    with hooksim.capture_activations(model.eval(), layers or names, rows) as found, torch.no_grad():
        call(model, loader[0])
    model.train(was_training)
    assert sorted(found) == sorted(names)
    for name in names:
        first = expected[name][: len(found[name])]
        torch.testing.assert_close(found[name], first, **near)
    assert hook_count(model) == before


def assert_refused(
    model: nn.Module,
    layer: str,
    reason: str,
    loader: Sequence[Any] = BATCHES,
    rows: str | hooksim.Rows = "auto",
) -> None:
    """Check that a named layer is refused at every door, with its name and in one line."""
    kind, before = type(model).__name__, hook_count(model)
    options: dict[str, Any] = {"rows": rows, "progress": False}
    with pytest.raises(LayerNotFoundError) as error:
        hooksim.compare(model, model, loader, layers_a=layer, **options)
    at = "batch 0 (first sample 0)"
    assert str(error.value) == f"layer {layer!r} of model A ({kind}), {at}: {reason}"
    with pytest.raises(LayerNotFoundError) as error:
        hooksim.record(model, loader, layer, **options)
    assert str(error.value) == f"layer {layer!r} of model ({kind}), {at}: {reason}"
    with (
        pytest.raises(LayerNotFoundError) as error,
        hooksim.capture_activations(model, layer, rows),
        torch.no_grad(),
    ):
        call(model, loader[0])
    assert str(error.value) == f"layer {layer!r}: {reason}"
    assert hook_count(model) == before
