"""A small run: a model that moves away from its beginning, data, and a short way to compare."""

import torch
from torch import nn

from hooksim.results import Trajectory
from hooksim.trajectory import compare_checkpoints

STEPS = [0, 10, 30]
N_SAMPLES = 230
KEYS = ["cka", "information_imbalance_a_to_b", "information_imbalance_b_to_a"]


def batches(size: int = 32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return list(torch.randn(N_SAMPLES, 6, generator=generator).split(size))


def at_step(step: int) -> nn.Sequential:
    """A model that moves away from its beginning, its last layer the most."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 5))
    torch.manual_seed(1)
    with torch.no_grad():
        for depth, layer in enumerate((model[0], model[2], model[4]), start=1):
            layer.weight += 0.01 * depth * step * torch.randn_like(layer.weight)
    return model


def other_model() -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 4))


def trajectory(load=at_step, steps=STEPS, loader=None, **options) -> Trajectory:
    loader = batches() if loader is None else loader
    return compare_checkpoints(load, steps, loader, progress=False, **options)


class Counting(nn.Module):
    """Counts the samples that pass it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return self.inner(x)
