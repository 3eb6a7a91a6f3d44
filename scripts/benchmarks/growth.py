"""Case d: time and memory as samples, layers and widths grow."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from scripts.benchmarks.case import Case, Contestant, Limit, Outcomes, Values
from scripts.benchmarks.front_doors import hooksim_values

__all__ = ["Point", "growth"]

BATCH = 256
WIDTH_IN = 32


class Point(NamedTuple):
    """One comparison.

    Attributes:
        samples: How many samples.
        layers: How many layers of each model.
        width: Of each layer.
    """

    samples: int
    layers: int
    width: int

    def __str__(self) -> str:
        """Its row of the table."""
        return f"N {self.samples}, {self.layers} + {self.layers} layers, d {self.width}"


class Wide(nn.Module):
    """A model whose layers all read the input, so that its forward costs next to nothing."""

    def __init__(self, layers: int, width: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.ModuleList(nn.Linear(WIDTH_IN, width) for _ in range(layers))

    def forward(self, x: Tensor) -> None:
        """Run every layer."""
        for layer in self.layers:
            layer(x)


def samples_of(count: int) -> Iterator[Tensor]:
    """Batches that are made when they are asked for: the data takes no memory."""
    generator = torch.Generator().manual_seed(100)
    for start in range(0, count, BATCH):
        yield torch.randn(min(BATCH, count - start), WIDTH_IN, generator=generator)


def compared(point: Point, block: int, _: None) -> Values:
    """`hooksim.compare` of two models made for it."""
    models = [Wide(point.layers, point.width, seed) for seed in range(2)]
    result = import_module("hooksim").compare(
        *models, samples_of(point.samples), block_size=block, progress=False
    )
    return hooksim_values(result)


class Axis(NamedTuple):
    """A curve.

    Attributes:
        label: Of the horizontal axis.
        points: What is measured.
        places: Where on the axis.
        per: What the time is divided by, in words.
    """

    label: str
    points: Sequence[Point]
    places: Sequence[int]
    per: str


def axes_of(small: bool) -> list[Axis]:
    """The three curves."""
    if small:
        samples, layers, widths = [64, 128, 256], [1, 2], [4, 8]
        fixed = Point(64, 1, 4)
    else:
        samples, layers, widths = (
            [4096 << i for i in range(5)],
            [4, 8, 16, 32, 64],
            [64, 256, 1024, 4096],
        )
        fixed = Point(4096, 4, 64)
    wide = fixed if small else fixed._replace(width=256)
    return [
        Axis("samples", [wide._replace(samples=each) for each in samples], samples, "sample"),
        Axis(
            "layers of each model",
            [fixed._replace(layers=each) for each in layers],
            layers,
            "sample",
        ),
        Axis("width of a layer", [fixed._replace(width=each) for each in widths], widths, "sample"),
    ]


def per_sample(outcomes: Outcomes, point: Point) -> float | None:
    """Seconds for each sample."""
    outcome = outcomes.get(str(point))
    return None if outcome is None or not outcome.seconds else outcome.best / point.samples


def spread(axis: Axis, outcomes: Outcomes) -> float | None:
    """The largest time per sample over the smallest."""
    found = [per_sample(outcomes, point) for point in axis.points]
    there = [each for each in found if each is not None]
    return max(there) / min(there) if len(there) == len(found) else None


def memory_spread(axis: Axis, outcomes: Outcomes) -> float | None:
    """The peak with the most samples over that with the fewest."""
    ends = [outcomes.get(str(point)) for point in (axis.points[0], axis.points[-1])]
    peaks = [None if each is None else each.peak for each in ends]
    first, last = peaks
    return None if not first or last is None else last / first


def exponent(axis: Axis, outcomes: Outcomes) -> float | None:
    """The power of the place with which the time grows: 1 for la + lb, 2 for la * lb."""
    ends = [per_sample(outcomes, point) for point in (axis.points[0], axis.points[-1])]
    first, last = ends
    if not first or not last:
        return None
    return log(last / first) / log(axis.places[-1] / axis.places[0])


def draw(axes: Sequence[Axis], outcomes: Outcomes, folder: Path) -> list[str]:
    """Draw time per sample and memory over each axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    panels: Any = figure.subplots(2, len(axes), squeeze=False)
    for column, axis in enumerate(axes):
        times = [1e6 * (per_sample(outcomes, point) or float("nan")) for point in axis.points]
        peaks = [(outcomes[str(point)].peak or float("nan")) / 2**20 for point in axis.points]
        rows = ((times, "microseconds a sample"), (peaks, "peak memory, MiB"))
        for row, (values, label) in enumerate(rows):
            panel = panels[row, column]
            panel.plot(axis.places, values, marker="o")
            if column == 0:
                panel.set_xscale("log", base=2)  # flat on any scale; the others are straight lines
            else:
                panel.set_xlim(left=0)
            panel.update_datalim([(axis.places[0], 0.0)])  # for a margin above, of the whole height
            panel.autoscale_view(scalex=False)
            panel.set_ylim(bottom=0)
            panel.set_xlabel(axis.label)
            if column == 0:
                panel.set_ylabel(label)
            panel.spines[["top", "right"]].set_visible(False)
        fixed = axis.points[0]._asdict()
        varied = ("samples", "layers", "width")[column]
        panels[0, column].set_title(", ".join(f"{k} {v}" for k, v in fixed.items() if k != varied))
    figure.savefig(folder / "growth.png", dpi=120)
    return ["growth.png"]


def growth(small: bool) -> Case:
    """Both measures, in blocks, on models that cost nothing."""
    axes = axes_of(small)
    block = 32 if small else 2048
    points = list(dict.fromkeys(point for axis in axes for point in axis.points))

    def extra(outcomes: Outcomes) -> dict[str, str]:
        times = {str(point): per_sample(outcomes, point) for point in points}
        return {name: f"{1e6 * each:.3g}" for name, each in times.items() if each is not None}

    return Case(
        title=f"d. Growth, in blocks of {block}, both measures",
        prepare=lambda: None,
        contestants=[
            Contestant(str(point), "compare()", partial(compared, point, block)) for point in points
        ],
        limits=[
            Limit("time per sample over N, largest / smallest", 1.2, partial(spread, axes[0])),
            Limit("memory over N, largest N / smallest N", 1.2, partial(memory_spread, axes[0])),
            Limit(
                "power of the number of layers with which time grows (sum 1, product 2)",
                1.2,
                partial(exponent, axes[1]),
            ),
        ],
        apart=True,
        extra_column="us a sample",
        extra=extra,
        curves=partial(draw, axes),
    )
