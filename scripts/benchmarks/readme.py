"""The README's table of times: what was measured, in short."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks.table import MEBIBYTE, line, machine, versions
from scripts.marked import replaced

__all__ = ["MEASURED", "keep", "summary"]

MEASURED = Path(__file__).with_name("measured.json")
BEGIN, END = "<!-- made by scripts/benchmark.py --readme -->", "<!-- end of the times -->"

OURS = ("hooksim",)
BASES = ("bare forward", "plain products")
OTHERS = ("pytorch-cka", "torch_cka", "tdhook", "dadapy")
ROWS = {
    "a": "two GPT-2 (6 blocks, width 384), 256 sentences of 64 tokens, both measures",
    "b": "two ResNets (105 layers), 512 images of 64 x 64, flattened, CKA",
    "c": "13 + 13 layers of 768, 4,096 samples in one block, both measures, rows given",
    "e": "8 checkpoints of a model as in a, all pairs, both measures",
}


def summary(measured: Mapping[str, Any]) -> str:
    """Time and memory of every tool as ratios to the bare work, and what was promised and missed.

    Args:
        measured: The content of `benchmark.json`.
    """
    heads = ["", "bare", *OURS, *OTHERS]
    lines = [line(heads), "|---|" + "---:|" * (len(heads) - 1)]
    cases = measured["cases"]
    lines += [line(cells(key, cases[key])) for key in ROWS if key in cases]
    missed = [
        f"case {key}, {each['text']}: {each['value']:.3g} (aimed at {each['bound']:g})"
        for key, case in cases.items()
        for each in case["promises"]
        if each["kept"] is False
    ]
    lines += ["", "Missed so far: " + "; ".join(missed) + "." if missed else ""]
    ours, *others = measured["environments"]
    lines += ["", f"{machine(ours, measured.get('device', 'cpu'))}. hooksim: {versions(ours)}."]
    lines += [f"Other tools: {versions(each)}." for each in others[:1]]
    return "\n".join(lines)


def cells(key: str, case: Mapping[str, Any]) -> list[str]:
    """The row of a case."""
    outcomes = case["outcomes"]
    base = next(outcomes[name] for name in BASES if name in outcomes)
    found = [cell(outcomes.get(name), base) for name in (*OURS, *OTHERS)]
    return [f"{key}. {ROWS[key]}", f"{base['best']:.3g} s", *found]


def cell(outcome: Mapping[str, Any] | None, base: Mapping[str, Any]) -> str:
    """Time as a ratio, and memory."""
    if outcome is None:
        return ""
    if outcome["failure"]:
        return str(outcome["failure"]).split(":")[0]
    peaks: Sequence[int] = [peak for peak in outcome["peaks"] if peak is not None]
    memory = f" ({max(peaks) / MEBIBYTE:,.0f} MiB)" if peaks else ""
    return f"{outcome['best'] / base['best']:.3g}{memory}"


def keep(measured: Path, document: Path) -> None:
    """Keep the numbers of a run, and put them into a document.

    Args:
        measured: Its `benchmark.json`.
        document: The README.
    """
    found = json.loads(measured.read_text(encoding="utf-8"))
    text = replaced(document.read_text(encoding="utf-8"), summary(found), BEGIN, END)
    MEASURED.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    document.write_text(text, encoding="utf-8")
