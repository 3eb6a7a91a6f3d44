"""Measure hooksim and other tools against float64, on the hard activations of tests/datasets.py.

The other tools want packages that hooksim cannot live with (numpy 1), so they have an environment
of their own, made from the root of the repository with Python 3.11 or 3.12:

    python3 -m venv .bench
    .bench/bin/pip install $(.bench/bin/python scripts/conformance.py requirements)

There they are measured once, and their values kept for the tests; hooksim, in its environment, is
measured whenever the table is made:

    .bench/bin/python scripts/conformance.py peers
    .venv/bin/python scripts/conformance.py table --into README.md

One cell of the table anew, with the Python that has the tool:

    .bench/bin/python scripts/conformance.py cell --case "offset 100" --tool pytorch-cka
    .venv/bin/python scripts/conformance.py cell --case "offset 100" --tool hooksim-cka
"""

import argparse
import json
import math
import platform
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the repository's tests, wherever this is started

from scripts.marked import replaced  # noqa: E402

__all__ = ["Cell", "main", "own_cells", "peer_cells", "render"]

PEERS = ROOT / "tests" / "conformance" / "peers.json"
NEIGHBOURS = (1, 2, 5, 10)
SEVERAL_K = ("offset 0", "width 64", "width 768")  # cases without ties
RIGHT = 1e-4
SHOWN = 1e-6  # smaller errors are the rounding of float32 results, another on each machine
BEGIN, END = "<!-- made by scripts/conformance.py table -->", "<!-- end of the table -->"

Cells = Mapping[str, Mapping[str, "Cell"]]  # by tool and case
Outcome = list[float] | str  # a value for each direction, or the first line of an exception


class Cell(NamedTuple):
    """What came of a tool on a case.

    Attributes:
        error: Largest distance from float64 over the directions; NaN or infinite as the value was.
        failure: First line of the exception instead, or nothing.
    """

    error: float
    failure: str = ""

    @property
    def has_value(self) -> bool:
        """Whether there is a number at all."""
        return not self.failure and math.isfinite(self.error)

    @property
    def right(self) -> bool:
        """Whether the value is that of float64."""
        return self.has_value and self.error <= RIGHT

    def __str__(self) -> str:
        """As the table writes it: what is not right stands out."""
        if self.failure:
            short = "out of memory" if "can't allocate memory" in self.failure else self.failure
            return f"**{short.split(':')[0]}**"
        if not self.has_value:
            return "**NaN**" if math.isnan(self.error) else "**inf**"
        if self.error < SHOWN:
            return f"<{SHOWN:.0e}".replace("e-0", "e-")
        text = f"{self.error:.2g}" if self.error >= 1e-3 else f"{self.error:.0e}"
        text = text.replace("e-0", "e-")
        return text if self.right else f"**{text}**"

    @classmethod
    def of(cls, outcome: Outcome, reference: Sequence[float]) -> "Cell":
        """The error of an outcome."""
        if isinstance(outcome, str):
            return cls(math.nan, outcome)
        gaps = [abs(value - truth) for value, truth in zip(outcome, reference, strict=True)]
        return cls(next((gap for gap in gaps if math.isnan(gap)), max(gaps)))


# --------------------------------------------------------------------------- measuring and storing


def columns() -> Any:
    """What needs torch, imported late: `requirements` is asked for where nothing is installed."""
    return import_module("tests.conformance.columns")


def plain(outcome: Outcome) -> Any:
    """An outcome for strict JSON, which has no NaN and no infinity."""
    if isinstance(outcome, str):
        return {"failure": outcome}
    return [value if math.isfinite(value) else str(value) for value in outcome]


def from_plain(entry: Any) -> Outcome:
    """An outcome as `plain` wrote it."""
    return str(entry["failure"]) if isinstance(entry, dict) else [float(each) for each in entry]


def surroundings(packages: Iterable[str]) -> str:
    """The machine and the versions, in a line."""
    import torch

    machine = (
        f"{platform.system()} {platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"
    )
    versions = [f"{name} {version(name).split('+')[0]}" for name in packages]
    return ", ".join([machine, f"Python {platform.python_version()}", *versions])


def measure_peers(names: Sequence[str]) -> dict[str, Any]:
    """Every other tool on the named cases, with what it was given and what was right."""
    peers = [tool for tool in columns().TOOLS.values() if not tool.ours]
    packages = dict.fromkeys(["torch", "numpy", *(tool.distribution for tool in peers)])
    stored: dict[str, Any] = {"surroundings": surroundings(packages)}
    stored |= {part: {} for part in ("inputs", "references", "values", "neighbours")}
    for case in names:
        print(case, file=sys.stderr)
        x, y = columns().CASES[case]()
        stored["inputs"][case] = [columns().fingerprint(side) for side in (x, y)]
        quantities = dict.fromkeys(tool.quantity for tool in peers)
        stored["references"][case] = {
            name: [*columns().REFERENCES[name](x, y)] for name in quantities
        }
        stored["values"][case] = {tool.name: plain(columns().outcome(tool, x, y)) for tool in peers}
        if case in SEVERAL_K:
            stored["neighbours"][case] = {
                k: columns().dadapy_imbalance(x, y, k) for k in NEIGHBOURS
            }
    return stored


def peer_cells(stored: Mapping[str, Any], names: Iterable[str]) -> Cells:
    """The errors of the stored values."""
    return {
        tool.name: {
            case: Cell.of(
                from_plain(stored["values"][case][tool.name]),
                stored["references"][case][tool.quantity],
            )
            for case in names
        }
        for tool in columns().TOOLS.values()
        if not tool.ours
    }


def own_cells(names: Iterable[str]) -> Cells:
    """The errors of hooksim, measured now."""
    own = [tool for tool in columns().TOOLS.values() if tool.ours]
    cells: dict[str, dict[str, Cell]] = {tool.name: {} for tool in own}
    for case in names:
        x, y = columns().CASES[case]()
        for tool in own:
            truth = columns().REFERENCES[tool.quantity](x, y)
            cells[tool.name][case] = Cell.of(columns().outcome(tool, x, y), truth)
    return cells


def check_inputs(stored: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse to put values beside each other that belong to different rows."""
    for case in names:
        sides = stored["inputs"].get(case)
        if sides is None:
            sys.exit(f"case {case!r}: no values of the other tools; run 'peers' again.")
        if not all(map(columns().same_inputs, columns().CASES[case](), sides)):
            sys.exit(
                f"case {case!r}: the rows made here are not those that the other tools were given "
                f"({stored['surroundings']}). Use the same torch, or run 'peers' again."
            )


# ------------------------------------------------------------------------------------- the table


def line(cells: Iterable[object]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def summary(tools: Iterable[Any], cells: Cells) -> list[str]:
    """A row for each tool."""
    head = ["tool", "what is called", "for", f"right to {RIGHT:.0e}", "worst error", "no value"]
    rows = [line(head).replace("e-0", "e-"), "|---|---|---|---|---|---|"]
    for tool in tools:
        column = list(cells[tool.name].values())
        valued = [cell for cell in column if cell.has_value]
        right = f"{sum(cell.right for cell in column)} of {len(column)}"
        worst = max(valued) if valued else "none"
        call = f"`{tool.call}` of {tool.distribution}"
        missing = len(column) - len(valued)
        rows.append(line([f"`{tool.name}`", call, tool.quantity, right, worst, missing or ""]))
    return rows


def every_case(title: str, tools: Sequence[Any], cells: Cells) -> list[str]:
    """A row for each case, a column for each tool."""
    names = list(cells[tools[0].name])
    rows = [line([title, *(f"`{tool.name}`" for tool in tools)]), "|---" * (len(tools) + 1) + "|"]
    return rows + [line([case, *(cells[tool.name][case] for tool in tools)]) for case in names]


def render(stored: Mapping[str, Any], cells: Cells) -> str:
    """The README's table: a summary, every cell, the command that makes it, the machine.

    Args:
        stored: What `peers` wrote.
        cells: By tool and case, all tools and the same cases for each.

    Returns:
        Markdown; the last line alone depends on the machine.
    """
    tools = list(columns().TOOLS.values())
    imbalance = [tool for tool in tools if "imbalance" in tool.quantity]
    cka = [tool for tool in tools if tool not in imbalance]
    return "\n".join(
        [
            *summary(tools, cells),
            "",
            "<details><summary>Every case and the command for each cell</summary>",
            "",
            "`python scripts/conformance.py cell --case CASE --tool TOOL` makes a cell anew, with",
            'the names of its row and column (`--case "offset 100" --tool hooksim-cka`); for the',
            "other tools with the Python of their own environment, which",
            "`python scripts/conformance.py --help` tells how to make. All samples are one batch,",
            "but two for the blocks.",
            "",
            *every_case("case (CKA)", cka, cells),
            "",
            *every_case("case (imbalance, k = 1, the worse direction)", imbalance, cells),
            "",
            "`duplicated rows` and `three-valued` have neighbours at equal distance: dadapy and",
            "tdhook take them in some order (dadapy also a sample for the neighbour of itself),",
            "hooksim and the float64 value on average over every order. pytorch-cka cuts values",
            "below 0 off. ckatorch fails on layers of `(n, d)` and is given `(1, n, d)`.",
            "Out of memory: above 16 GiB.",
            "",
            "</details>",
            "",
            f"Other tools: {stored['surroundings']}.",
            f"hooksim: {surroundings(['torch', 'numpy', 'hooksim'])}.",
        ]
    )


# ------------------------------------------------------------------------------- the command line


def known(kind: str, name: str, names: Iterable[str]) -> str:
    """A name that is there; else the program ends with the close ones."""
    names = list(names)
    if name not in names:
        close = get_close_matches(name, names) or names
        sys.exit(f"no {kind} {name!r}; did you mean {', '.join(map(repr, close))}?")
    return name


def requirements() -> None:
    """Print what the other tools' environment needs: the extra `bench`, and the tested torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    torch_pin = [pin for pin in pins if pin.startswith("torch==")]
    print(*project["optional-dependencies"]["bench"], *torch_pin, sep="\n")


def peers(out: Path) -> None:
    """Measure the other tools and write what came of them."""
    missing = [tool.name for tool in columns().TOOLS.values() if not (tool.ours or tool.installed)]
    if missing:
        sys.exit(f"not installed here: {', '.join(missing)}; --help says how to install them.")
    text = json.dumps(measure_peers(list(columns().CASES)), indent=1, allow_nan=False)
    out.write_text(text + "\n", encoding="utf-8")
    print(out.name)


def table(cases: Sequence[str], into: Path | None) -> None:
    """Measure hooksim, join the stored values, print the table."""
    names = [known("case", case, columns().CASES) for case in cases] or list(columns().CASES)
    stored = json.loads(PEERS.read_text(encoding="utf-8"))
    check_inputs(stored, names)
    text = render(stored, {**peer_cells(stored, names), **own_cells(names)})
    print(text)
    if into is not None:
        document = replaced(into.read_text(encoding="utf-8"), text, BEGIN, END)
        into.write_text(document, encoding="utf-8")


def cell(case: str, name: str) -> None:
    """Measure one cell: the value, float64, and the error, for each direction."""
    x, y = columns().CASES[known("case", case, columns().CASES)]()
    tool = columns().TOOLS[known("tool", name, columns().TOOLS)]
    if not tool.installed:
        sys.exit(f"{tool.distribution} is not installed here; --help says how to install it.")
    truth = list(columns().REFERENCES[tool.quantity](x, y))
    found = columns().outcome(tool, x, y)
    print(f"{tool.quantity}, {case}: {len(x)} samples, {x.shape[1]} and {y.shape[1]} wide")
    print(f"{tool.name}:", found if isinstance(found, str) else ", ".join(map(repr, found)))
    print("float64:", ", ".join(map(repr, truth)))
    error = Cell.of(found, truth)
    print("error:", error.failure.split(":")[0] or f"{error.error:.2g}")


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("requirements", help="print what the other tools' environment needs")
    store = commands.add_parser("peers", help="measure the other tools")
    store.add_argument("--out", type=Path, default=PEERS, help="file to write")
    show = commands.add_parser("table", help="measure hooksim, print the table")
    show.add_argument("--case", action="append", default=[], help="this case only; may be repeated")
    show.add_argument("--into", type=Path, help="a document whose table is replaced")
    one = commands.add_parser("cell", help="measure one cell anew")
    one.add_argument("--case", required=True, help="its row")
    one.add_argument("--tool", required=True, help="its column")
    options = parser.parse_args()
    if options.command == "requirements":
        return requirements()
    import torch

    torch.set_num_threads(1)
    if options.command == "peers":
        return peers(options.out)
    if options.command == "table":
        return table(options.case, options.into)
    return cell(options.case, options.tool)


if __name__ == "__main__":
    main()
