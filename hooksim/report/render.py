"""From a payload to the text of one page that needs nothing beside itself."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hooksim.report.payload import Axis, Curves, Floats, Matrix, Payload

__all__ = ["GENERATOR", "render"]

# What the head of every page says, so that a page of ours is told from somebody else's file.
GENERATOR = '<meta name="generator" content="hooksim">'

_FOLDER = Path(__file__).parent
# One script in one scope: a file uses what the files before it declare.
_SCRIPTS = (
    "numbers", "matches", "names", "colours", "pen", "data", "tables", "heatmap", "explorer",
    "plane", "ends", "curves", "course", "paper", "page",
)  # fmt: skip


def render(payload: Payload) -> str:
    """Write a page.

    Args:
        payload: What it shows.

    Returns:
        One HTML document with style, script and numbers inside. Every text is escaped, a policy in
        its head keeps the browser from loading anything and from running any other script.

    Example:
        >>> from hooksim.report.payload import Model
        >>> page = render(Payload((Model("<a>"), Model("b")), "n = 3", (), "000000", "000000"))
        >>> "&lt;a&gt;" in page, "<a>" in page
        (True, False)
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    # Beyond Jinja's own escapes, no NaN, which is not JSON.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(_parts(name))
    style, script = _read("page.css"), _script()
    return environment.get_template("page.html.j2").render(
        payload=payload, data=_data(payload), style=Markup(style), script=Markup(script),
        policy=_policy(style, script), generator=Markup(GENERATOR),
    )  # fmt: skip


def _parts(name: str) -> list[str]:
    """Cut a name where a line may end: after dots, underscores and slashes."""
    return re.split(r"(?<=[._/])", name)


def _read(name: str) -> str:
    """Read a file of the package, without the empty line at its end."""
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


def _script() -> str:
    """Join the parts of the script inside one function, so that nothing becomes global."""
    parts = [_read(f"script/{name}.js") for name in _SCRIPTS]
    return "\n\n".join(['"use strict";\n(() => {', *parts, "})();"])


def _policy(style: str, script: str) -> str:
    """Permit this style and this script, by their hashes, and the icon; nothing else."""

    def hashed(text: str) -> str:
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

    return (
        f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _data(payload: Payload) -> dict[str, Any]:
    """Gather what the script needs; axes that several matrices share are written once."""
    axes: dict[Axis, int] = {}
    for matrix in payload.matrices:
        for axis in (matrix.a, matrix.b):
            axes.setdefault(axis, len(axes))
    return {
        "axes": [asdict(axis) for axis in axes],
        "matrices": _matrices(payload.matrices, axes),
        "curves": [_curves(curves) for curves in payload.curves],
        "planes": [
            {
                "label": plane.label,
                "forth": plane.a_to_b,
                "back": plane.b_to_a,
                "floor": plane.floor,
            }
            for plane in payload.planes
        ],
        "steps": [str(step) for step in payload.steps],
        "stepName": payload.step_name,
        "referenceStep": payload.reference_step,
        "colours": payload.colours,
        "depthColours": payload.depth_colours,
    }


def _matrices(matrices: Sequence[Matrix], axes: dict[Axis, int]) -> list[dict[str, Any]]:
    """Gather the matrices; one that is another with A and B exchanged is not written again."""
    written: list[Matrix] = []
    found = []
    for matrix in matrices:
        mirror = next((one.key for one in written if _are_mirrored(one, matrix)), None)
        numbers = {"mirrors": mirror} if mirror else _numbers(matrix.values, matrix.stderr)
        found.append({**_words(matrix, axes), **numbers})
        if mirror is None:
            written.append(matrix)
    return found


def _are_mirrored(one: Matrix, other: Matrix) -> bool:
    """Say whether one has at (s, t, i, j) what the other has at (t, s, j, i), bit for bit."""
    return one.values.ndim == other.values.ndim == 4 and all(
        mine.transpose(1, 0, 3, 2).shape == its.shape
        and mine.transpose(1, 0, 3, 2).tobytes() == its.tobytes()
        for mine, its in ((one.values, other.values), (one.stderr, other.stderr))
    )


def _words(matrix: Matrix, axes: dict[Axis, int]) -> dict[str, Any]:
    low, high = matrix.range
    return {
        "key": matrix.key, "group": matrix.group, "label": matrix.label,
        "direction": matrix.direction, "best": matrix.best, "low": float(low), "high": float(high),
        "a": axes[matrix.a], "b": axes[matrix.b], "file": matrix.file, "caption": matrix.caption,
        "depth": matrix.values.ndim - 2,
    }  # fmt: skip


def _curves(curves: Curves) -> dict[str, Any]:
    return {
        "key": curves.key, "label": curves.label, "layers": curves.layers, "short": curves.short,
        "file": curves.file, **_numbers(curves.values, curves.stderr),
    }  # fmt: skip


def _numbers(values: Floats, stderr: Floats) -> dict[str, str]:
    """Write every bit of the numbers: base64 of little-endian float64, the last axis fastest."""

    def encoded(array: Floats) -> str:
        return base64.b64encode(np.ascontiguousarray(array, dtype="<f8").tobytes()).decode("ascii")

    return {"values": encoded(values), "stderr": encoded(stderr)}
