"""Saved results and recordings with random damage, opened and shown."""

import hashlib
import json
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

import hooksim
from hooksim.errors import HooksimError
from hooksim.recording import Recording
from hooksim.results import Comparison, Trajectory
from hooksim.storage import sealed
from scripts.fuzzing.mutations import JUNK, mutate_bytes, mutate_data

__all__ = ["prepare", "try_one"]

DESCRIPTION, TENSORS = "metadata.json", "matrices.safetensors"
KINDS = ("comparison", "older", "trajectory", "pairs", "rows", "log")
PLAIN = [each for each in JUNK if isinstance(each, str | int | float | list | dict | None)]


def prepare(folder: Path) -> None:
    """Save one good folder of each kind.

    Args:
        folder: The working folder.
    """
    logging.getLogger("hooksim").setLevel(logging.ERROR)
    good = folder / "good"
    torch.manual_seed(0)
    models = [
        torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
        for _ in range(3)
    ]
    data = list(torch.randn(4, 16, 4))
    options: dict[str, Any] = {"progress": False, "block_size": 32}
    result = hooksim.compare(models[0], models[1], data, **options)
    result.save(good / "comparison", pictures=False)
    shutil.copytree(good / "comparison", good / "older")
    _rewrite(good / "older" / DESCRIPTION, older)
    references: dict[str, Literal["first", "all"]] = {"trajectory": "first", "pairs": "all"}
    for name, reference in references.items():
        run = hooksim.compare_checkpoints(
            lambda step: models[step], [0, 1, 2], data, reference=reference, **options
        )
        run.save(good / name)
    hooksim.record(models[0], data, path=good / "rows", progress=False)

    def interrupted() -> Any:
        yield from data
        shutil.copytree(folder / "unfinished", good / "log")

    hooksim.record(models[0], interrupted(), path=folder / "unfinished", progress=False)
    for picture in good.rglob("*.png"):
        picture.unlink()


def older(description: dict[str, Any]) -> dict[str, Any]:
    """The description as the first version wrote it."""
    gone = ("sha256", "matrices_sha256")
    kept = {key: value for key, value in description.items() if key not in gone}
    return {**kept, "schema_version": 1}


def try_one(seed: int) -> str | None:
    """Damage a copy of one folder, open it, and show what opens; in the working folder.

    Args:
        seed: Of all choices.

    Returns:
        None where it is shown or refused as documented; else what happened, in a line.
    """
    chosen = random.Random(seed)
    kind = chosen.choice(KINDS)
    folder = Path("damaged")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path("good") / kind, folder)
    knowing = chosen.random() < 0.5
    if knowing:
        _change_knowingly(folder, kind, chosen)
    else:
        _damage(folder, kind, chosen)
    try:
        _show(folder, kind)
    except HooksimError as error:
        return f"several lines: {error}" if "\n" in str(error) else None
    except Exception as error:
        return f"{type(error).__name__} in {kind}: {error}; {_place_of(error)}"
    if not knowing and kind != "older" and not _same(folder, Path("good") / kind, kind):
        return f"damage of a {kind} was not found"
    return None


def _damage(folder: Path, kind: str, chosen: random.Random) -> None:
    """Change bytes of a file that is read, or take it away."""
    names = ["0.bin", DESCRIPTION] if kind == "rows" else ["0.bin", "batches.jsonl"]
    if kind not in ("rows", "log"):
        names = [DESCRIPTION, TENSORS]
    file = folder / chosen.choice(names)
    if chosen.random() < 0.05:
        file.unlink()
    else:
        file.write_bytes(mutate_bytes(file.read_bytes(), chosen))


def _change_knowingly(folder: Path, kind: str, chosen: random.Random) -> None:
    """Change the description, or the matrices, and make the hashes anew, as somebody else might."""
    if kind == "log":
        lines = (folder / "batches.jsonl").read_text().splitlines()
        place = chosen.randrange(len(lines))
        lines[place] = json.dumps(mutate_data(json.loads(lines[place]), chosen, PLAIN))
        (folder / "batches.jsonl").write_text("\n".join([*lines, ""]), errors="replace")
        return
    description = folder / DESCRIPTION
    if kind != "rows" and chosen.random() < 0.3:
        content = mutate_bytes((folder / TENSORS).read_bytes(), chosen)
        (folder / TENSORS).write_bytes(content)
        fresh = {"matrices_sha256": hashlib.sha256(content).hexdigest()}
        _rewrite(description, lambda held: held if kind == "older" else sealed({**held, **fresh}))
        return

    def change(held: dict[str, Any]) -> Any:
        changed = json.loads(json.dumps(mutate_data(held, chosen, PLAIN)))
        return sealed(changed) if isinstance(changed, dict) and kind != "older" else changed

    _rewrite(description, change)


def _rewrite(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    held = change(json.loads(file.read_text(encoding="utf-8")))
    file.write_text(json.dumps(held), encoding="utf-8", errors="replace")


def _show(folder: Path, kind: str) -> None:
    """Do with a folder whatever reads it."""
    if kind in ("rows", "log"):
        recording = Recording.load(folder)
        repr(recording)
        hooksim.compare(recording, recording, progress=False, measures="cka")
        return
    if kind in ("comparison", "older"):
        result = Comparison.load(folder)
        repr(result)
        result.diagnostics("a")
        for key in result:
            result[key].best_match("b")
        result.report(folder / "x.html")
        return
    run = Trajectory.load(folder)
    repr(run)
    for key in run:
        run.drift(key)
    run.report(folder / "x.html")


def _same(damaged: Path, good: Path, kind: str) -> bool:
    """Whether what was opened is what was written."""
    if kind == "log":  # it holds no hashes yet: whatever fits is as good
        return True
    if kind == "rows":
        one, two = Recording.load(damaged), Recording.load(good)
        return all(torch.equal(one[name], two[name]) for name in two)
    reader = Comparison if kind == "comparison" else Trajectory
    first, second = reader.load(damaged), reader.load(good)
    return first.metadata == second.metadata and all(
        torch.equal(first[key].values.nan_to_num(9), second[key].values.nan_to_num(9))
        for key in second
    )


def _place_of(error: BaseException) -> str:
    """The last place of ours that an error went through."""
    place, trace = "nowhere of ours", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/hooksim/" in file:
            place = f"hooksim/{file.rpartition('/hooksim/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
