"""`hooksim demo`: real checkpoints, trained in seconds, compared and drawn."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.cli.places import check_creatable
from hooksim.errors import ConfigError
from hooksim.loading.local import local_path

if TYPE_CHECKING:
    from torch import nn

    from hooksim.callbacks.huggingface import SimilarityCallback
    from hooksim.results import Comparison

__all__ = ["add_arguments", "demonstrate", "match_table", "run"]

_MARKER = "demo.json"
_log = logging.getLogger("hooksim.cli")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument(
        "--out",
        default="runs/demo",
        metavar="DIR",
        help="folder for checkpoints and results; those of an earlier demo are replaced "
        "(default: %(default)s)",
    )


def run(options: argparse.Namespace) -> None:
    """Train two small models on handwritten digits, compare them, draw the results.

    Args:
        options: The parsed arguments.

    Raises:
        HooksimError: In one line, what is wrong.
    """
    for folder in demonstrate(options.out):
        sys.stdout.write(f"{folder}\n")


def demonstrate(out: str | Path, checkpoints: Sequence[int] | None = None) -> list[Path]:
    """Train from two seeds, the first one watched; compare the last models, and early with late.

    Args:
        out: Folder of the demo: `seed-0/checkpoint-10` and so on, `seed-0/hooksim` with what the
            callback has left of the training, and the results.
        checkpoints: Steps to keep checkpoints at; None for the usual ones.

    Returns:
        Folders of the results: of the two comparisons, and of the first training's course.

    Raises:
        ConfigError: The folder holds something that no demo wrote.
        HooksimError: scikit-learn or accelerate is not installed.
    """
    from hooksim.callbacks import load_run
    from hooksim.cli.training import CHECKPOINTS, train_digits
    from hooksim.results.page import PAGE

    started, folder = time.perf_counter(), local_path(str(out), "--out")
    steps = tuple(checkpoints or CHECKPOINTS)
    _claim(folder)
    accuracies = {}
    for seed in (0, 1):
        _log.info("training a vision transformer on digits, seed %d, %d steps", seed, steps[-1])
        accuracies[f"seed-{seed}"] = train_digits(
            folder / f"seed-{seed}",
            seed=seed,
            checkpoints=steps,
            watch=None if seed else _watch,
        )
        _log.info("  accuracy on unseen digits: %.3f", accuracies[f"seed-{seed}"])
    early, late = f"checkpoint-{steps[0]}", f"checkpoint-{steps[-1]}"
    comparisons = {
        "seed-0-vs-seed-1": (folder / "seed-0" / late, folder / "seed-1" / late),
        "early-vs-late": (folder / "seed-0" / early, folder / "seed-0" / late),
    }
    results = [_compare(folder / name, *pair) for name, pair in comparisons.items()]
    course = load_run(folder / "seed-0" / "hooksim")
    results.append(course.save(folder / "training", overwrite=True))
    record = {
        "checkpoints": steps,
        "accuracy": accuracies,
        "results": [each.name for each in results],
    }
    (folder / _MARKER).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    _log.info("done in %.0f s", time.perf_counter() - started)
    for result in results:
        _log.info("page: %s", result / PAGE)
    _log.info("heatmaps are the .png files in")
    return results


def _watch(model: "nn.Module") -> "SimilarityCallback":
    """Compare a model at each checkpoint with what it is now, before its training."""
    from hooksim.callbacks.huggingface import SimilarityCallback
    from hooksim.cli.digits import digits_batches
    from hooksim.probe import Probe

    digits = digits_batches(({}, {}), split="test")
    return SimilarityCallback(Probe(digits, reference={"initial": model}), every="save")


def match_table(result: "Comparison") -> str:
    """Lay the best matches of every layer of A out as text, a table for each matrix.

    Args:
        result: Any comparison.

    Returns:
        Lines; `~` marks a match that does not stand out from the next best by its error.
    """
    tables = []
    for key in result.keys():  # noqa: SIM118 (a Comparison is no dict)
        matches = result[key].best_match("a")
        wide_a = max(len(match.layer) for match in matches)
        wide_b = max(len(match.best or "-") for match in matches)
        lines = [
            f"  {match.layer:{wide_a}}  {match.best or '-':{wide_b}}  "
            f"{match.value:6.3f} +- {match.stderr:.3f}{'' if match.decided else ' ~'}"
            for match in matches
        ]
        tables.append("\n".join([f"{key}: layer of A, closest layer of B, value", *lines]))
    return "\n".join([*tables, "~ not told apart from the next best, by their standard errors"])


def _claim(folder: Path) -> None:
    """Mark a folder as the demo's, unless what stands there is somebody else's."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out: {str(folder)!r} is a file; a folder is needed")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARKER).is_file():
        raise ConfigError(f"--out: {str(folder)!r} holds files that no demo wrote; name another")
    check_creatable(folder, "--out")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).write_text("{}\n", encoding="utf-8")


def _compare(out: Path, path_a: Path, path_b: Path) -> Path:
    from hooksim.cli.digits import digits_batches
    from hooksim.cli.naming import named
    from hooksim.comparison import compare
    from hooksim.loading import load_model

    model_a, model_b = load_model(path_a).model, load_model(path_b).model
    result = compare(model_a, model_b, digits_batches(({}, {}), split="test"))
    _log.info("A: %s, B: %s, %d digits", path_a, path_b, result.n_samples)
    _log.info("%s", match_table(result))
    specs = ({"kind": "transformers", "path": str(path)} for path in (path_a, path_b))
    return named(result, *specs).save(out, overwrite=True)
