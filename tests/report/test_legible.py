"""What is drawn can be read: nothing dull, cut off, covered, or livelier than the numbers are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from selenium.webdriver.common.keys import Keys

from hooksim.plotting import Curves as DrawnCurves
from hooksim.plotting import Scale, draw_curves
from hooksim.results import Comparison
from hooksim.results.payload import colour_tables
from tests.report.contrast import contrast
from tests.report.pages import STEPS, comparison, trajectory

pytestmark = pytest.mark.browser
GROUNDS = {False: "#ffffff", True: "#14181c"}


def flat(value: float, change: float = 1e-4):
    """Curves that hardly change."""
    shown = trajectory()
    for curves in shown.curves:
        curves.values[:] = value + change * (curves.values - 0.5)
        curves.stderr[:] = 0
    return shown


def ticks(page, left: float = 50) -> list[float]:
    """Numbers on the vertical axis of the curves."""
    words = page.pen("curves", "fillText")
    return [float(text) for text, x, _ in words if x < left and text.replace(".", "").isdigit()]


def steps_named(page) -> dict[str, float]:
    """Names of steps under the curves, and where they stand."""
    bottom = page.find("#curves canvas").rect["height"] - 44
    words = page.pen("curves", "fillText")
    return {text: x for text, x, y in words if bottom + 6 <= y <= bottom + 8}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("layers", [2, 12, 60])
def test_every_curve_stands_out_from_its_ground(page, write, layers, dark):
    shown = trajectory(layers=layers, depth_colours=colour_tables()[1])
    page.open(write(shown), dark=dark, recorded=True)
    assert page.run("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 24, 28)" if dark else "rgb(255, 255, 255)"
    )
    drawn = [(colour, alpha) for colour, alpha, width in page.pen("curves", "stroke") if width > 1]
    colours = {colour for colour, alpha in drawn if colour != GROUNDS[dark]}
    assert len(colours) >= layers and {alpha for _, alpha in drawn} == {1}
    dull = {one: contrast(one, GROUNDS[dark]) for one in colours}
    assert min(dull.values()) >= 3, dull
    points = {colour for colour, _, radius in page.pen("plane", "fill") if radius != 0}
    assert len(points) == layers
    assert min(contrast(one, GROUNDS[dark]) for one in points) >= 3


@pytest.mark.parametrize(("value", "low", "high"), [(0.9999, 0.97, 1.0), (0.5, 0.485, 0.515)])
def test_what_hardly_changes_is_not_blown_up(page, write, value, low, high):
    page.open(write(flat(value)), recorded=True)
    found = ticks(page)
    assert min(found) == pytest.approx(low, abs=0.006)
    assert max(found) == pytest.approx(high, abs=0.006)
    values = torch.tensor(flat(value).curves[0].values)
    scale = Scale("max", 0.0, 1.0, "CKA")
    _, ax = draw_curves(DrawnCurves(STEPS, ["a", "b", "c"], values, 0 * values, scale))
    assert ax.get_ylim() == pytest.approx((low - 0.0012, high + 0.0012), abs=2e-4), "as in pictures"


def test_curves_say_what_they_are_and_which_end_is_the_better_one(page, write):
    page.open(write(trajectory()), recorded=True)
    assert "CKA (linear, debiased): higher is closer" in {
        text for text, *_ in page.pen("curves", "fillText")
    }
    page.press("Information Imbalance (k = 1)")
    wanted = "Information Imbalance (k\xa0=\xa01), A to B: lower is closer"
    assert wanted in {text for text, *_ in page.pen("curves", "fillText")}
    bar = {text for text, *_ in page.pen("above", "fillText")}
    assert {"farther", "closer", "Information Imbalance (k\xa0=\xa01), A to B"} <= bar


@pytest.mark.parametrize("width", [390, 1280])
def test_the_name_of_no_step_is_cut_off(page, write, width):
    names = (0, 143_000_000, 243_000_000, 1_000_000_000)
    page.open(write(trajectory(steps=names)), width, recorded=True)
    found = steps_named(page)
    assert "1,000,000,000" in found and "0" in found
    box = page.find("#curves canvas").rect
    for step in (3, 0):
        page.run(
            "const s = document.getElementById('step-b'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'));", step,
        )  # fmt: skip
        west, _, east, _ = page.inked("curves")
        assert box["x"] < west and east < box["x"] + box["width"] - 1


def test_steps_are_named_at_equal_distances_and_the_last_one_always(page, write):
    shown = trajectory()
    values = np.random.default_rng(0).random((57, 3))
    curves = tuple(replace(one, values=values, stderr=0 * values) for one in shown.curves)
    stacks = np.random.default_rng(0).random((57, 3, 3))
    matrices = tuple(replace(one, values=stacks, stderr=0 * stacks) for one in shown.matrices)
    steps = tuple(range(0, 57_000, 1000))
    page.open(write(trajectory(steps=steps, curves=curves, matrices=matrices)), 700, recorded=True)
    found = steps_named(page)
    numbers = sorted(int(name.replace(",", "")) for name in found)
    assert numbers[0] == 0 and numbers[-1] == 56_000
    assert len(set(np.diff(numbers[:-1]))) == 1 and len(numbers) > 4
    places = sorted(found.values())
    assert min(np.diff(places)) > 40


def test_one_step_stands_in_the_middle_and_its_line_is_no_curve(page, write):
    shown = trajectory()
    one = tuple(
        replace(each, values=each.values[:1], stderr=each.stderr[:1]) for each in shown.matrices
    )
    curves = tuple(
        replace(each, values=each.values[:1], stderr=each.stderr[:1]) for each in shown.curves
    )
    page.open(write(trajectory(steps=(5,), matrices=one, curves=curves)), recorded=True)
    width = page.find("#curves canvas").rect["width"]
    points = {x for x, *_ in page.pen("curves", "arc")}
    assert len(points) == 1 and 0.4 * width < points.pop() < 0.6 * width
    assert [1, 2] in [given[0] for given in page.pen("curves", "setLineDash")]


@pytest.mark.parametrize(("size", "decimals"), [(0.02, 3), (0.003, 4), (3e-5, 5), (1e-9, 5)])
def test_a_cell_has_the_digits_of_all_that_is_said_of_it(page, write, size, decimals):
    result = comparison((3, 3))
    for key in result:
        result[key].stderr[:] = size
    page.open(write(result), recorded=True)
    value, error = page.text("readout-value"), page.text("readout-error").removeprefix("± ")
    assert (
        len(value.partition(".")[2]) == decimals and float(error.replace("\N{MINUS SIGN}", "-")) > 0
    )
    cells = {text for text, *_ in page.pen("heatmap", "fillText")}
    assert {value, f"±{error}"} <= cells
    rows = page.run(
        "return [...document.querySelectorAll('#match-rows td.number')].map(c => c.textContent)"
    )
    assert f"{value} ± {error}" in rows
    page.run("document.getElementById('numbers').open = true")
    page.browser.execute_async_script("setTimeout(arguments[0], 100)")
    table = page.run("return [...document.querySelectorAll('#numbers td')].map(c => c.textContent)")
    assert f"{value} ± {error}" in table
    assert "rounded" not in page.text("caption")


def test_both_directions_and_all_steps_have_as_many_digits(page, write):
    shown = trajectory()
    shown.matrices[1].stderr[:] = 0.02
    shown.matrices[2].stderr[:] = 0.002
    page.open(write(shown))
    page.press("Information Imbalance (k = 1)")
    for direction in ("A to B", "B to A"):
        page.press(direction)
        assert len(page.text("readout-value")) == len("0.1234")
    parts = page.text("plane-values").replace(",", "").split()
    assert [len(part) for part in parts if part.startswith("0.")] == [6] * 4
    curve = page.text("curves-readout").rpartition(": ")[2].split(" ± ")
    assert list(map(len, curve)) == [6, 6]


def test_numbers_that_had_to_be_rounded_say_so(page, write):
    page.open(write(comparison((6, 12))), 390, recorded=True)
    cells = {text for text, *_ in page.pen("heatmap", "fillText") if text.startswith("0.")}
    assert {len(text) for text in cells} == {4}
    assert "Numbers in the cells are rounded to 2 decimals." in page.text("caption")


def test_no_dot_lies_on_a_number(page, write):
    page.open(write(comparison((40, 2))), recorded=True)
    assert "0.5" in {text[:3] for text, *_ in page.pen("heatmap", "fillText")}
    assert page.pen("heatmap", "arc") == []
    assert "Framed: the closest layer" in page.text("caption")
    page.open(write(comparison((60, 60))), recorded=True)
    assert len(page.pen("heatmap", "arc")) == 60
    assert "Dotted: the closest layer" in page.text("caption")


def test_the_name_at_the_cursor_cuts_no_other_name(page, write):
    """Where it would, the other one is wiped out as a whole."""
    page.open(write(comparison((3, 100), name=lambda i: f"layer{i}x")), recorded=True)
    heatmap = page.find("#heatmap")
    page.run("arguments[0].focus()", heatmap)
    heatmap.send_keys(Keys.HOME)
    page.run("window.penCalls = []")
    heatmap.send_keys(Keys.ARROW_RIGHT)
    assert len(page.pen("heatmap", "fillRect", 1)) == 2, "those before and after it"


def test_what_lies_beyond_the_shown_part_of_the_plane_is_said_so(page, write):
    shown = trajectory()
    for matrix in shown.matrices[1:]:
        matrix.values[:] = 0.4 + 0.1 * matrix.values
        matrix.stderr[:] = 0
    shown.matrices[1].values[:] -= 0.3
    planes = (replace(shown.planes[0], floor=2 / 450),)
    page.open(write(replace(shown, planes=planes)), recorded=True)
    words = page.text("plane-words")
    assert "Beyond what is shown: 0.0044, the least there is" in words and "Dotted" not in words
    assert "All of it is where A tells more of B than B of A." in words and "dashed" not in words
    page.press("Show the whole plane")
    words = page.text("plane-words")
    assert "Dotted: 0.0044" in words and "Above the dashed line" in words


def test_the_plane_says_which_colour_is_which_layer(page, write):
    page.open(write(trajectory(layers=9)), recorded=True)
    words = {text for text, *_ in page.pen("plane", "fillText")}
    assert {"layer of A", "0", "8"} <= words
    assert len(page.pen("plane", "fillRect")) == 9
    page.open(write(trajectory(layers=1)), recorded=True)
    assert "layer of A" not in {text for text, *_ in page.pen("plane", "fillText")}


def test_undefined_errors_change_no_digits(page, write):
    matrix = comparison((3, 3))["cka"]
    matrix.stderr[:] = float("nan")
    page.open(write(Comparison({"cka": matrix}, 3, {})))
    assert len(page.text("readout-value")) == len("0.123") and page.text("readout-error") == ""
