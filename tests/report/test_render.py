"""The text of a page: whole, small, escaped, with every bit of the numbers."""

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

import hooksim
from hooksim.report import GENERATOR, Model, Payload, Table, render
from hooksim.report.render import _SCRIPTS, _numbers
from hooksim.results.payload import comparison_payload
from tests.report.pages import INJECTED, comparison, trajectory

FOLDER = Path(hooksim.__file__).parent / "report"


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f8")


def test_every_bit_of_the_numbers_is_in_the_page():
    shown = trajectory(pairs=True)
    written = data_of(render(shown))
    for matrix, item in zip(shown.matrices, written["matrices"], strict=True):
        assert floats(item["values"]).tobytes() == matrix.values.tobytes()
        assert floats(item["stderr"]).tobytes() == matrix.stderr.tobytes()
        assert (item["depth"], item["low"], item["high"]) == (2, 0.0, 1.0)
    for curves, item in zip(shown.curves, written["curves"], strict=True):
        assert floats(item["values"]).tobytes() == curves.values.tobytes()
    assert written["steps"] == ["10", "30", "100", "300"]


def mirrored(array: np.ndarray) -> np.ndarray:
    return array.transpose(1, 0, 3, 2).copy()


def test_what_is_another_matrix_the_other_way_round_is_written_once():
    shown = trajectory(pairs=True)
    one, forth, back = shown.matrices
    back = replace(back, values=mirrored(forth.values), stderr=mirrored(forth.stderr))
    written = data_of(render(replace(shown, matrices=(one, forth, back))))["matrices"]
    assert written[2]["mirrors"] == forth.key and "values" not in written[2]
    assert [key for item in written[:2] for key in item if key == "mirrors"] == []
    for name in ("values", "stderr"):
        changed = getattr(back, name).copy()
        changed[2, 1, 0, 0] = np.nextafter(changed[2, 1, 0, 0], 2)
        other = replace(back, **{name: changed})
        written = data_of(render(replace(shown, matrices=(one, forth, other))))["matrices"]
        assert floats(written[2][name]).tobytes() == changed.tobytes(), "to the last bit"
    plain = trajectory()
    same = tuple(replace(plain.matrices[0], key=key) for key in ("a", "b"))
    written = data_of(render(replace(plain, matrices=same, planes=(), curves=())))["matrices"]
    assert "values" in written[1], "one step is no pair of steps"


def test_transposed_and_other_arrays_are_written_in_order():
    result = comparison((2, 3))
    values = np.asfortranarray(result["cka"].values.numpy().astype(">f8"))
    assert floats(_numbers(values, values)["values"]).tolist() == values.ravel().tolist()


def test_axes_are_written_once():
    written = data_of(render(comparison_payload(comparison((4, 3)))))
    assert [axis["layers"][-1] for axis in written["axes"]] == [
        "encoder.layer.3.output", "encoder.layer.2.output",
    ]  # fmt: skip
    assert written["axes"][0]["short"] == ["0", "1", "2", "3"]
    assert {(item["a"], item["b"]) for item in written["matrices"]} == {(0, 1)}


def test_a_hundred_layers_each_stay_below_a_megabyte():
    name = "model.encoder.layers.{}.self_attention.output".format
    layers = [{"layer": name(i), "width": 1, "rows_per_dimension": 0.1} for i in range(100)]
    rest = ("participation_ratio", "duplicate_rows", "largest_share", "order")
    diagnostics = [{**layer, **dict.fromkeys(rest, 0.123456789)} for layer in layers]
    result = comparison((100, 100), name, diagnostics={"a": diagnostics, "b": diagnostics})
    assert len(render(comparison_payload(result)).encode()) < 1_000_000


def test_no_text_is_read_as_html():
    table = Table(INJECTED, (INJECTED, "x"), ((INJECTED, INJECTED),), INJECTED)
    pairs = Table(INJECTED, (), ((INJECTED, INJECTED),))
    page = render(
        Payload(
            (Model(INJECTED, INJECTED), Model(INJECTED)), INJECTED,
            comparison_payload(comparison(name=lambda i: f"{i}{INJECTED}")).matrices,
            "000000", "000000", warnings=((INJECTED, INJECTED),) * 5, tables=(table,),
            provenance=(pairs,),
        )
    )  # fmt: skip
    assert INJECTED not in page and "<img" not in page and "window.ran = true<" not in page
    assert page.count("<script") == page.count("</script") == 2
    assert html.escape(INJECTED, quote=False).replace("'", "&#39;") in page
    assert data_of(page)["axes"][0]["layers"][0] == f"0{INJECTED}"


def test_line_separators_and_ampersands_are_escaped_in_the_data():
    page = render(comparison_payload(comparison(name=lambda i: f"{i}&\u2028\u2029é<!--")))
    start = page.index('id="data">')
    written = page[start : page.index("</script>", start)]
    assert not {"&", "<", "\u2028", "\u2029", "é"} & set(written)
    assert data_of(page)["axes"][0]["layers"][1] == "1&\u2028\u2029é<!--"


def test_the_policy_permits_this_style_and_this_script_only():
    page = render(trajectory())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1])
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    )
    assert policy.split("; ") == [
        "default-src 'none'", f"style-src 'sha256-{style_hash}'",
        f"script-src 'sha256-{script_hash}'", "img-src data:", "base-uri 'none'",
        "form-action 'none'",
    ]  # fmt: skip


def test_nothing_in_it_names_another_place():
    page = render(trajectory())
    icon = "http://www.w3.org/2000/svg"  # the name of a format, not a place that is asked
    assert set(re.findall(r"[a-z]+://[^\s\"')]*", page)) == {icon}
    assert re.findall(r"""\b(?:src|href)\s*=\s*(?!["']?data:)\S+""", page) == [
        "href = URL.createObjectURL(new"
    ]
    assert "url(" not in page and "@import" not in page
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", page)
    assert not re.search(r"""\sstyle=["']|\son\w+=["']""", page), "the policy would stop these"


def test_the_head_says_whose_page_it_is():
    page = render(trajectory())
    assert page.index(GENERATOR) < 2000
    assert page.startswith("<!doctype html>")


def test_every_part_of_the_script_is_in_the_page():
    page = render(trajectory())
    parts = sorted((FOLDER / "script").glob("*.js"))
    assert len(parts) == len(_SCRIPTS)
    for part in parts:
        text = part.read_text(encoding="utf-8")
        assert text.strip() in page
        assert len(text.splitlines()) <= 400, part.name


def test_an_empty_page_says_so():
    page = render(Payload((Model("a"), Model("b")), "n = 0", (), "000000", "000000"))
    assert "The result holds no matrix." in page and 'id="explorer"' not in page
    assert "Where the numbers come from" not in page and "Warning" not in page
