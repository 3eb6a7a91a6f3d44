"""The hard activations of design section 8, by name: pairs of rows of two layers.

`CASES[name]()` gives `(x, y)`, torch tensors `(n, d_x)` and `(n, d_y)`; the same at every call.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["CASES", "Pair", "related"]

Pair = tuple[Tensor, Tensor]

OFFSETS = (0, 1, 10, 100, 1000)
WIDTHS = {1: 200, 2: 200, 64: 200, 768: 160, 4096: 96, 65536: 24}  # width: samples


def related(n: int, width: int, seed: int) -> Pair:
    """Two views of one hidden signal, float32, standard deviation about one."""
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(n, 12, generator=generator)
    mix_x = torch.randn(12, width, generator=generator) / 12**0.5
    mix_y = torch.randn(12, 48, generator=generator) / 12**0.5
    x = signal @ mix_x + 0.5 * torch.randn(n, width, generator=generator)
    y = torch.tanh(signal @ mix_y) + 0.3 * torch.randn(n, 48, generator=generator)
    return x, y


def with_offset(offset: float) -> Pair:
    """Every dimension of both sides moved by the same offset."""
    x, y = related(200, 64, seed=1)
    return x + offset, y - offset


def constant_dimension() -> Pair:
    """One massive dimension that carries nothing."""
    x, y = related(200, 64, seed=2)
    x[:, 5] = 3000.0
    return x, y


def bimodal_dimension() -> Pair:
    """One massive dimension of two signs, noisy as activations are."""
    x, y = related(200, 64, seed=3)
    x[:, 5] += torch.where(y[:, 0] > 0, 3000.0, -3000.0)
    return x, y


def far_rows(random_directions: bool) -> Pair:
    """Two per cent of the rows of norm 3000, in one direction or in random ones."""
    x, y = related(200, 64, seed=4)
    generator = torch.Generator().manual_seed(40)
    directions = torch.randn(4, 64, generator=generator)
    if not random_directions:
        directions = directions[:1].expand(4, 64)
    x[::50] += 3000.0 * directions / directions.norm(dim=1, keepdim=True)
    return x, y


def two_clusters() -> Pair:
    """Two tight clusters 200 apart with spread 0.01."""
    x, y = related(200, 64, seed=5)
    x *= 0.01
    x[::2, 0] += 200.0
    return x, y


def near_duplicates() -> Pair:
    """Clusters of five samples that differ in the fourth digit."""
    x, y = related(200, 64, seed=6)
    return x[::5].repeat_interleave(5, 0) + 1e-4 * x, y


def duplicated_rows() -> Pair:
    """Every row of x three times, every row of y twice, at other places."""
    x, y = related(201, 64, seed=7)
    return x[:67].repeat(3, 1), y[:101].repeat_interleave(2, 0)[:201]


def three_valued() -> Pair:
    """Entries of -1, 0 and 1 only: ties everywhere."""
    x, y = related(200, 6, seed=8)
    return x.clamp(-1, 1).round(), y[:, :5].clamp(-1, 1).round()


def half_precision(dtype: torch.dtype, scale: float, offset: float) -> Pair:
    """Rows as a half-precision model gives them; squares overflow float16 when they are large."""
    x, y = related(200, 64, seed=9)
    return (scale * x + offset).to(dtype), (scale * y + offset).to(dtype)


def scaled(scale: float) -> Pair:
    """Both sides very small or very large, or one of each."""
    x, y = related(200, 64, seed=10)
    return x * scale, y * scale


def opposite_scales() -> Pair:
    """One side 24 orders of magnitude above the other."""
    x, y = related(200, 64, seed=11)
    return x * 1e-12, y * 1e12


def wide(width: int) -> Pair:
    """Rows of the given width, moved off the origin."""
    x, y = related(WIDTHS[width], width, seed=12)
    return x + 1.0, y


CASES: dict[str, Callable[[], Pair]] = {
    **{f"offset {offset}": lambda offset=offset: with_offset(offset) for offset in OFFSETS},
    "constant dimension of 3000": constant_dimension,
    "bimodal dimension of 3000": bimodal_dimension,
    "far rows, one direction": lambda: far_rows(False),
    "far rows, random directions": lambda: far_rows(True),
    "two tight clusters": two_clusters,
    "near-duplicate clusters": near_duplicates,
    "duplicated rows": duplicated_rows,
    "three-valued": three_valued,
    "float16": lambda: half_precision(torch.float16, 1.0, 0.0),
    "float16, large": lambda: half_precision(torch.float16, 300.0, 500.0),
    "bfloat16": lambda: half_precision(torch.bfloat16, 1.0, 0.0),
    "bfloat16, offset": lambda: half_precision(torch.bfloat16, 1.0, 4.0),
    "scale 1e-12": lambda: scaled(1e-12),
    "scale 1e12": lambda: scaled(1e12),
    "scales 1e-12 and 1e12": opposite_scales,
    **{f"width {width}": lambda width=width: wide(width) for width in WIDTHS},
}
