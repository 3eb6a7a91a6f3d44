"""Case g: what an import takes, in fresh processes."""

import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np

from scripts.benchmarks.case import Case, Contestant, Limit, Outcomes, Values
from scripts.benchmarks.promises import ratio

__all__ = ["imports"]

BASE = "torch, tensordict"
TORCH_FREE = "hooksim --help, modules of torch"


def fresh(code: str, _: Any) -> Values:
    """Run code in a process of its own."""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return {}


def help_modules(_: Any) -> Values:
    """How many modules of torch `hooksim --help` imports."""
    code = (
        "import sys\nfrom hooksim.cli.main import main\nsys.argv = ['hooksim', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sum(name.split('.')[0] == 'torch' for name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {"modules": np.array([float(done.stderr.split()[-1])])}


def imports(_: bool) -> Case:
    """What hooksim takes, and what it cannot do without."""

    def help_is_light(outcomes: Outcomes) -> float | None:
        outcome = outcomes.get(TORCH_FREE)
        return None if outcome is None else outcome.error

    return Case(
        title="g. Imports, each in a fresh process",
        prepare=lambda: None,
        contestants=[
            Contestant(
                "hooksim.compare",
                "import hooksim; hooksim.compare",
                partial(fresh, "import hooksim; hooksim.compare"),
            ),
            Contestant(
                BASE,
                "import torch, tensordict",
                partial(fresh, "import torch, tensordict"),
                "torch",
            ),
            Contestant(TORCH_FREE, "hooksim --help", help_modules, quantities=["none"]),
        ],
        references={"none": lambda _: {"modules": np.zeros(1)}},
        base=BASE,
        limits=[
            Limit("hooksim.compare / torch, tensordict", 1.2, ratio("hooksim.compare", BASE)),
            Limit("modules of torch that --help imports", 0, help_is_light),
        ],
        note="The error of `hooksim --help` is the number of modules of torch that it imports.",
    )
