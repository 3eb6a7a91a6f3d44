"""Pages for every reader: by keyboard, by ear, with weak eyes, without patience."""

import logging
import re
from itertools import pairwise, product
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

import hooksim
from tests.report.contrast import contrast
from tests.report.pages import comparison, trajectory

_log = logging.getLogger(__name__)
STYLE = (Path(hooksim.__file__).parent / "report" / "page.css").read_text(encoding="utf-8")
TEXTS = [
    *product(("ink", "muted", "accent"), ("surface", "raised")), ("accent", "accent-soft"),
    ("ink", "accent-soft"), ("warn-ink", "warn-ground"), ("surface", "accent"),
]  # fmt: skip


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(dark):
    start = STYLE.index("prefers-color-scheme: dark")
    light, other = colours(STYLE[:start]), colours(STYLE[start:])
    assert set(light) == set(other), "every colour has a dark one"
    found = other if dark else light
    assert {pair: contrast(found[pair[0]], found[pair[1]]) for pair in TEXTS
            if contrast(found[pair[0]], found[pair[1]]) < 4.5} == {}  # fmt: skip


def test_nothing_moves_by_itself():
    assert not re.search(r"transition|animation|@keyframes|scroll-behavior", STYLE)


def focusable(node: dict) -> bool:
    found = {each["name"]: each["value"].get("value") for each in node["properties"]}
    return bool(found.get("focusable")) and node["role"]["value"] != "RootWebArea"


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["comparison", "pairs"])
def test_everything_that_is_handled_has_a_name(page, write, kind):
    page.open(write(comparison() if kind == "comparison" else trajectory(pairs=True)))
    page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.browser.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    page.browser.execute_cdp_cmd("Accessibility.disable", {})
    named = [
        (node["role"]["value"], node["name"]["value"].strip())
        for node in nodes
        if not node["ignored"] and (node["role"]["value"] == "image" or focusable(node))
    ]
    assert [role for role, name in named if not name] == []
    roles = {role for role, _ in named}
    assert {"button", "application", "image", "region"} <= roles
    assert ("slider" in roles) == ("combobox" in roles) == (kind == "pairs")


@pytest.mark.browser
def test_what_has_the_focus_is_framed(page, write):
    page.open(write(comparison()))
    framed = 0
    for _ in range(14):
        page.browser.switch_to.active_element.send_keys(Keys.TAB)
        if page.run("return document.activeElement === document.body"):
            break
        style = page.run(
            "const s = getComputedStyle(document.activeElement);"
            "return [s.outlineStyle, parseFloat(s.outlineWidth)]"
        )
        assert style == ["solid", 3]
        framed += 1
    assert framed > 8


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["comparison", "pairs"])
def test_tab_goes_down_the_page(page, write, kind, width):
    """In each column from the top down, whatever the screen puts where."""
    page.open(write(comparison() if kind == "comparison" else trajectory(pairs=True)), width)
    boxes = page.run(
        "return [...document.querySelectorAll("
        "  'main button, main input, main select, main summary, main [tabindex]')]"
        ".filter((each) => each.checkVisibility())"
        ".map((each) => each.getBoundingClientRect())"
        ".map(({ left, top, bottom }) => [left, top, bottom])"
    )
    assert len(boxes) >= 10
    for before, after in pairwise(boxes):
        beside = width == 1280 and after[0] > before[0]
        assert after[1] >= before[1] or beside or after[2] > before[1], (before, after)


@pytest.mark.browser
def test_the_slider_stays_where_it_is_under_the_finger(page, write):
    page.open(write(trajectory(steps=(0, 7, 5_000, 1_000_000_000))), 390)
    widths = set()
    for step in range(4):
        page.run(
            "const s = document.getElementById('step-b'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'));", step,
        )  # fmt: skip
        widths.add(page.find("#step-b").rect["width"])
    assert len(widths) == 1


@pytest.mark.browser
def test_focus_alone_says_value_error_and_names(page, write):
    result = comparison()
    page.open(write(result))
    assert page.text("live") == ""
    for _ in range(4):
        page.browser.switch_to.active_element.send_keys(Keys.TAB)
        if page.run("return document.activeElement.id") == "heatmap":
            break
    a, b, value, error = page.cell()
    i, j = result["cka"].layers_a.index(a), result["cka"].layers_b.index(b)
    assert value == pytest.approx(result["cka"].values[i, j].item(), abs=6e-4)
    assert page.text("live") == f"{a} \N{MULTIPLICATION SIGN} {b}: {value:.3f} ± {error:.3f}"
    label = page.find("#heatmap").get_attribute("aria-label")
    assert label == f"Heatmap of CKA (linear, debiased). {page.text('live')}"


@pytest.mark.browser
def test_pictures_can_be_read_as_tables(page, write):
    shown = trajectory()
    page.open(write(shown))
    rows = (
        "return [...document.querySelectorAll(`#${arguments[0]} tr`)]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    for name, values in (
        ("numbers", shown.matrices[0].values[3]), ("curves-table", shown.curves[0].values),
    ):  # fmt: skip
        assert page.run(rows, name) == [], "nothing is made that is not asked for"
        page.run("document.getElementById(arguments[0]).open = true", name)
        found = wait_for_rows(page, rows, name)
        assert found[0][1:] == ["x.0", "x.1", "x.2"]
        read = [[float(cell.split(" ±")[0]) for cell in row[1:]] for row in found[1:]]
        assert read == pytest.approx(values, abs=6e-4)
    page.find("#step-b").send_keys(Keys.ARROW_LEFT)
    assert float(page.run(rows, "numbers")[1][1].split(" ±")[0]) == pytest.approx(
        shown.matrices[0].values[2, 0, 0], abs=6e-4
    )


def wait_for_rows(page, script: str, name: str) -> list[list[str]]:
    """The event that fills a table comes a little after it was unfolded."""
    return page.browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "requestAnimationFrame(() => setTimeout(done, 0))"
    ) or list(page.run(script, name))


@pytest.mark.browser
def test_a_hundred_layers_each_answer_every_movement_at_once(page, write):
    """Neither cells nor tables are made anew for a movement; each movement is answered itself."""
    result = comparison((100, 100))
    page.open(write(result), recorded=True)
    assert len(page.pen("heatmap", "fillRect")) >= 10_000, "all cells are drawn once"
    page.run(
        "window.changes = 0; new MutationObserver((all) => { window.changes += all.length; })"
        ".observe(document.getElementById('match-rows'), { childList: true });"
    )
    answers, took = page.run(
        "const canvas = document.querySelector('#heatmap canvas');"
        "const box = canvas.getBoundingClientRect();"
        "const answers = []; const start = performance.now();"
        "for (let k = 1; k <= 60; k += 1) {"
        "  const at = { clientX: box.left + box.width * (0.15 + 0.0135 * k),"
        "               clientY: box.top + box.height * (0.9 - 0.0135 * k), bubbles: true };"
        "  canvas.dispatchEvent(new PointerEvent('pointermove', at));"
        "  answers.push(['readout-a', 'readout-b', 'readout-value']"
        "    .map((id) => document.getElementById(id).textContent));"
        "}"
        "return [answers, performance.now() - start];"
    )
    _log.info("%.1f ms a movement", took / 60)  # pytest --log-cli-level=INFO shows it: no limit
    assert len({tuple(answer[:2]) for answer in answers}) == 60
    m = result["cka"]
    for a, b, value in answers:
        assert float(value) == pytest.approx(
            m.values[m.layers_a.index(a), m.layers_b.index(b)].item(), abs=6e-4
        )
    assert page.pen("heatmap", "fillRect") == [] and page.run("return window.changes") == 0
    assert len(page.pen("above", "fillRect")) < 60 * 400, "the colour bar, once a movement"
    page.press("Information Imbalance (k = 1)")
    assert 10_000 <= len(page.pen("heatmap", "fillRect")) < 10_100, "each cell once a matrix"
