"""Tiny models and samples for probes."""

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from hooksim.results import Comparison

SAMPLES = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))


def batches(size: int = 32) -> list[Tensor]:
    return list(SAMPLES.split(size))


def stack(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 5)
    )


def moved(model: nn.Module, by: float = 0.3) -> nn.Module:
    """The model, after something like a training step."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += by * torch.randn_like(parameter)
    return model


def in_bfloat16(model: nn.Module) -> nn.Module:
    """The model as accelerate, and so transformers' Trainer, prepares it for mixed precision."""
    AcceleratorState._reset_state(reset_partial_state=True)  # one precision a process, else
    try:
        return Accelerator(cpu=True, mixed_precision="bf16").prepare_model(model)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


class Counting(nn.Module):
    """Counts the samples that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 4), nn.Linear(4, 3)
        self.passed = [0]  # a list, since attributes are put back

    def forward(self, x):
        self.passed[0] += len(x)
        return self.last(self.first(x))

    @property
    def seen(self) -> int:
        return self.passed[0]


def _values(result: Comparison) -> dict[str, torch.Tensor]:
    return {key: result[key].values for key in result.keys()}  # noqa: SIM118


def assert_same(one: Comparison, two: Comparison) -> None:
    assert one.keys() == two.keys()
    for key, expected in _values(two).items():
        for found, wanted in ((one[key].values, expected), (one[key].stderr, two[key].stderr)):
            assert np.array_equal(found, wanted, equal_nan=True)
