"""Compare, record, save and load over and over in one process, and watch what it holds.

    python scripts/soak.py --minutes 30

Every minute a line: rounds so far, resident memory (what the allocator only keeps is given back
first), open file descriptors, hooks left on the models and temporary files left. Ends with 1 where
memory has grown by more than 2 % since the first reading, or anything else is left. Needs glibc's
malloc_trim and /proc, so Linux.
"""

import argparse
import ctypes
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for scripts/benchmarks, wherever this is started

import hooksim  # noqa: E402
from scripts.benchmarks.bench import status_bytes  # noqa: E402

__all__ = ["Reading", "faults", "main", "soak"]

GROWTH = 0.02  # of memory, more than which is a fault
PICTURES_EVERY = 25  # rounds; drawing takes longer than all the rest
WARM = 200  # rounds before the first reading: libraries fill their caches


class Reading(NamedTuple):
    """What the process holds at one moment.

    Attributes:
        minutes: Since the beginning.
        rounds: Done so far.
        memory: Resident bytes.
        descriptors: Open file descriptors.
        hooks: On the models, and for all modules.
        files: Temporary files and folders left beside the results.
    """

    minutes: float
    rounds: int
    memory: int
    descriptors: int
    hooks: int
    files: int

    def __str__(self) -> str:
        return (
            f"{self.minutes:5.1f} min  {self.rounds:6,} rounds  {self.memory / 2**20:7.1f} MiB  "
            f"{self.descriptors} descriptors  {self.hooks} hooks  {self.files} temporary files"
        )


class Broken(nn.Module):
    """A model that raises at its third batch, so that a comparison ends by an error."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(16, 16)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> Any:
        """Raise at the third call."""
        self.calls += 1
        if self.calls % 3 == 0:
            raise RuntimeError("the third batch")
        return self.inner(x)


def models() -> list[nn.Module]:
    """Two perceptrons, a transformer and a model that fails."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    return [
        nn.Sequential(nn.Linear(16, 32), nn.ReLU(inplace=True), nn.Linear(32, 8)).eval(),
        nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 8)).eval(),
        nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(),
        Broken().eval(),
    ]


def one_round(number: int, used: Sequence[nn.Module], folder: Path) -> None:
    """Go through everything that opens a file, holds memory or sets a hook."""
    a, b, encoder, broken = used
    generator = torch.Generator().manual_seed(number)
    flat = list(torch.randn(3, 32, 16, generator=generator))
    tokens = list(torch.randn(2, 16, 5, 16, generator=generator))
    result = hooksim.compare(a, b, flat, progress=False)
    hooksim.compare(a, a, flat, layers_a="**", block_size="batch", progress=False)
    hooksim.compare(encoder, encoder, tokens, block_size="all", memory_budget=0, progress=False)
    recorded = hooksim.record(a, flat, path=folder / "rows", overwrite=True, progress=False)
    hooksim.compare(recorded, b, flat, measures="cka", progress=False)
    hooksim.Recording.load(folder / "rows")
    result.save(folder / "result", overwrite=True, pictures=number % PICTURES_EVERY == 1)
    hooksim.Comparison.load(folder / "result")
    trajectory = hooksim.compare_checkpoints(lambda step: used[step], [0, 1], flat, progress=False)
    trajectory.drift("cka")
    try:
        hooksim.compare(broken, a, flat, progress=False)
    except RuntimeError:
        return
    raise AssertionError("the model that fails did not")


def read(started: float, rounds: int, used: Sequence[nn.Module], folder: Path) -> Reading:
    """Look at what the process holds, garbage collected and what is free given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    own = [module for model in used for module in model.modules()]
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = sum(len(getattr(module, kind)) for module in own for kind in kinds)
    hooks += len(nn.modules.module._global_forward_hooks)
    hooks += len(nn.modules.module._global_forward_pre_hooks)
    left = chain(folder.rglob(".hooksim-*"), folder.rglob("*.tmp"))
    return Reading(
        (time.monotonic() - started) / 60,
        rounds,
        status_bytes("VmRSS") or 0,
        len(list(Path("/proc/self/fd").iterdir())) - 1,  # the listing itself holds one
        hooks,
        len(list(left)),
    )


def soak(minutes: float, every: float = 1.0, warm: int = WARM) -> Iterator[Reading]:
    """Run rounds for a while, and look every so often.

    Args:
        minutes: How long.
        every: Minutes between two readings.
        warm: Rounds before the first of them.

    Yields:
        The readings.
    """
    started = time.monotonic()
    used = models()
    with TemporaryDirectory() as name:
        folder = Path(name)
        due = started + 60 * every
        for number in count():
            one_round(number, used, folder)
            if number + 1 < warm:
                continue
            if time.monotonic() >= due:
                yield read(started, number + 1, used, folder)
                due = time.monotonic() + 60 * every
                if time.monotonic() >= started + 60 * minutes:
                    return


def faults(readings: Sequence[Reading]) -> list[str]:
    """Say what was not given back.

    Args:
        readings: In their order.

    Returns:
        A line for each kind; none where all is well.
    """
    first, last = readings[0], readings[-1]
    growth = last.memory / first.memory - 1
    found = [] if growth <= GROWTH else [f"memory has grown by {growth:.1%}"]
    for kind in ("descriptors", "hooks", "files"):
        before = getattr(first, kind) if kind == "descriptors" else 0
        most = max(getattr(each, kind) for each in readings)
        if most > before:
            found.append(f"{kind}: {most}, expected {before}")
    return found


def main() -> int:
    """Read the arguments, run, say how it went.

    Returns:
        0 where nothing was left, else 1.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--every", type=float, default=1.0, help="minutes between two lines (1)")
    options = parser.parse_args()
    readings = []
    for reading in soak(options.minutes, options.every):
        readings.append(reading)
        print(reading, flush=True)
    found = faults(readings)
    memory = [each.memory for each in readings]
    print(
        f"memory from {memory[0] / 2**20:.1f} to {memory[-1] / 2**20:.1f} MiB "
        f"({memory[-1] / memory[0] - 1:+.2%}), at most {max(memory) / 2**20:.1f}"
    )
    print("\n".join(found) or "nothing left")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
