"""Measure hooksim beside the bare forward passes and other tools, on the same inputs.

Everything takes turns, A B C A B C, so that a busy machine slows all of them; times are the best
of the runs, memory is the largest peak above what the process held before, errors are distances
from float64. Every case has processes of its own; of case d every point has one. Cases: a language
models, b convolutions, c statistics alone, d growth, e checkpoints, f hooks, g imports.

The other tools want packages that hooksim cannot live with (numpy 1), so they have an environment
of their own, made from the root of the repository with Python 3.11 or 3.12 and hooksim's Python for
the versions:

    python3 -m venv .bench
    .bench/bin/pip install $(.venv/bin/python scripts/benchmark.py --requirements)

With it, and without it:

    .venv/bin/python scripts/benchmark.py --peers .bench/bin/python --out runs/benchmark
    .venv/bin/python scripts/benchmark.py --case a --case b
    .venv/bin/python scripts/benchmark.py --device cuda
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the package beside this file, wherever this is started

from scripts.benchmarks.readme import keep  # noqa: E402
from scripts.benchmarks.registry import CASES  # noqa: E402
from scripts.benchmarks.table import as_json, machine, markdown, versions  # noqa: E402
from scripts.benchmarks.turns import Asked, joined, measure  # noqa: E402
from scripts.benchmarks.worker import Worker  # noqa: E402

__all__ = ["main"]


def requirements() -> None:
    """Print what the other tools' environment needs: the extra `bench`, and the same models."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    same = [f"{name}=={version(name).split('+')[0]}" for name in ("torch", "transformers")]
    print(*project["optional-dependencies"]["bench"], *same, sep="\n")


@contextmanager
def working(pythons: Sequence[str], threads: int) -> Iterator[Sequence[Asked]]:
    """A worker for each Python, which end afterwards."""
    with ExitStack() as stack:
        yield [stack.enter_context(Worker(each, threads)) for each in pythons]


def run(
    names: Sequence[str],
    open_workers: Callable[[], AbstractContextManager[Sequence[Asked]]],
    *,
    small: bool,
    repeats: int,
    device: str,
    out: Path | None,
) -> str:
    """Measure cases, write after each what there is so far, and give the whole as Markdown.

    Every case has processes of its own: memory that an earlier one leaves makes forwards faster.
    Where one says so, each contestant has.
    """
    with open_workers() as workers:
        environments = [worker.ask({"do": "surroundings"}) for worker in workers[:2]]
    tables, numbers = [], {}
    head = [f"Best of {repeats}. {date.today()}: {machine(environments[0], device)}.", ""]
    head += [
        f"- {where}: {versions(each)}."
        for where, each in zip(("hooksim", "other tools"), environments, strict=False)
    ]
    text = ""
    for name in names:
        case = CASES[name](small)
        parts = []
        for group in [[each] for each in case.contestants] if case.apart else [case.contestants]:
            with open_workers() as workers:
                part = replace(case, contestants=group)
                parts.append(
                    measure(name, part, workers, small=small, repeats=repeats, device=device)
                )
        measured = joined(parts)
        tables.append(markdown(case, measured))
        numbers[name] = as_json(case, measured)
        text = "\n\n".join(["\n".join(head), *tables]) + "\n"
        if out is not None:
            found = {
                "repeats": repeats,
                "small": small,
                "device": device,
                "environments": environments,
            }
            write(out, text, {**found, "cases": numbers})
            if case.curves is not None:
                case.curves(measured.outcomes, out)
    return text


def write(out: Path, text: str, numbers: Mapping[str, Any]) -> None:
    """Write both forms."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "benchmark.md").write_text(text, encoding="utf-8")
    dumped = json.dumps(numbers, indent=1, allow_nan=False)
    (out / "benchmark.json").write_text(dumped + "\n", encoding="utf-8")


def arguments() -> argparse.ArgumentParser:
    """What the command line may say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--requirements", action="store_true", help="print what the other tools' environment needs"
    )
    parser.add_argument(
        "--case", action="append", choices=list(CASES), help="this case only; may be repeated"
    )
    parser.add_argument(
        "--peers", metavar="PYTHON", help="the Python of the other tools' environment"
    )
    parser.add_argument(
        "--out", type=Path, help="folder for benchmark.md, benchmark.json and pictures"
    )
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="JSON",
        help="measure nothing; put the numbers of a run's benchmark.json into README.md",
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every library (2)")
    parser.add_argument(
        "--device", default="cpu", help="where models and rows are (cpu); cases a to c on others"
    )
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it runs")
    return parser


def main() -> None:
    """Read the arguments and do what they say."""
    parser = arguments()
    options = parser.parse_args()
    if options.requirements:
        return requirements()
    if options.readme is not None:
        return keep(options.readme, ROOT / "README.md")
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads: expected at least 1.")
    names = options.case or [case for case in CASES if options.device == "cpu" or case in "abc"]
    if options.device != "cpu" and (options.peers or set(names) - set("abc")):
        parser.error("--device: cases a to c without --peers are measured there.")
    pythons = [sys.executable, *([options.peers] * 2 if options.peers else [])]
    text = run(
        names,
        partial(working, pythons, options.threads),
        small=options.small,
        repeats=options.repeats,
        device=options.device,
        out=options.out,
    )
    print(text)
    return None


if __name__ == "__main__":
    main()
