"""The curves over the steps: each has a name, and its numbers can be taken along."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from selenium.webdriver.support.select import Select

from hooksim.results import Meaning, Trajectory
from hooksim.results.stack import MatrixStack
from tests.report.browsing import downloaded
from tests.report.pages import trajectory

pytestmark = pytest.mark.browser
ROOM = 12  # dots between two lines of text


def meeting(layers: int, value: float = 0.5):
    """Curves that all end in one point, where names would cover each other."""
    shown = trajectory(layers=layers)
    values = shown.curves[0].values.copy()
    values[-1] = value
    short = tuple(f"L{i}" for i in range(layers))  # unlike any step or value
    first = replace(shown.curves[0], values=values, short=short)
    return replace(shown, curves=(first, *shown.curves[1:]))


def names_at_ends(page) -> dict[str, tuple[float, float]]:
    """Names of layers, and where they are written."""
    words = page.pen("curves", "fillText")
    return {text: (x, y) for text, x, y in words if text.startswith("L")}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("layers", [1, 3, 18])
def test_every_curve_has_a_name_where_all_of_them_meet(page, write, width, value, layers):
    page.open(write(meeting(layers, value)), width, recorded=True)
    found = names_at_ends(page)
    assert set(found) == {f"L{i}" for i in range(layers)}
    heights = sorted(y for _, y in found.values())
    assert all(np.diff(heights) >= ROOM)
    size = page.find("#curves canvas").rect
    assert heights[0] >= 5 and heights[-1] <= size["height"] - 40
    assert all(x < size["width"] - 5 for x, _ in found.values())


def test_names_stand_where_their_curves_end_if_these_lie_apart(page, write):
    shown = meeting(3)
    shown.curves[0].values[-1] = [0.9, 0.1, 0.5]
    page.open(write(shown), recorded=True)
    found = names_at_ends(page)
    assert [name for name, _ in sorted(found.items(), key=lambda item: item[1][1])] == [
        "L0", "L2", "L1",
    ]  # fmt: skip
    above, middle, below = sorted(y for _, y in found.values())
    assert middle == pytest.approx((above + below) / 2, abs=1)


def test_curves_that_end_early_are_named_and_those_without_a_value_are_counted(page, write):
    shown = meeting(4)
    shown.curves[0].values[2:, 1] = np.nan
    shown.curves[0].values[:, 3] = np.nan
    page.open(write(shown), recorded=True)
    assert set(names_at_ends(page)) == {"L0", "L1", "L2"}
    assert "1 of 4 layers have no curve" in page.text("curves-words")


def test_of_very_many_curves_the_chosen_one_is_named_and_the_mouse_finds_each(page, write):
    page.open(write(meeting(60)), recorded=True)
    assert "L0" in names_at_ends(page)
    layers = Select(page.find("#curves-layer"))
    layers.select_by_visible_text("x.37")
    assert "L37" in names_at_ends(page)
    size = page.find("#curves canvas").rect
    bar = [call for call in page.pen("curves", "fillRect") if call[2] == 10]
    x, y, *_ = bar[-1 - (59 - 52)]
    page.hover("curves", (x + 5) / size["width"], (y + 2) / size["height"])
    assert page.text("curves-readout").startswith("x.52, step 300: ")
    assert "L52" in names_at_ends(page)


def test_a_name_that_is_pointed_at_chooses_its_curve(page, write):
    page.open(write(meeting(9)), recorded=True)
    size = page.find("#curves canvas").rect
    for name, (x, y) in names_at_ends(page).items():
        page.hover("curves", (x + 2) / size["width"], y / size["height"])
        assert page.text("curves-readout").startswith(f"x.{name[1:]}, step 300: ")
        assert Select(page.find("#curves-layer")).first_selected_option.text == f"x.{name[1:]}"


def test_long_names_of_layers_stay_different(page, write):
    shown = meeting(3)
    names = tuple(f"encoder.{i}.a_projection_with_a_very_long_name" for i in range(3))
    curves = replace(shown.curves[0], layers=names, short=names)
    page.open(write(replace(shown, curves=(curves, *shown.curves[1:]))), 390, recorded=True)
    texts = [text for text, x, _ in page.pen("curves", "fillText") if x > 300]
    assert set(texts) >= {"0", "1", "2"}
    assert "Numbers are positions of layers" in page.text("curves-words")


def test_the_whole_range_is_shown_where_values_take_much_of_it(page, write):
    shown = meeting(2)
    for values, low in (([0.2, 0.75], 0.0), ([0.70, 0.75], 0.68)):
        shown.curves[0].values[:] = values
        shown.curves[0].stderr[:] = 0
        page.open(write(shown), recorded=True)
        ticks = [
            float(text) for text, x, _ in page.pen("curves", "fillText")
            if x < 50 and text.replace(".", "").isdigit()
        ]  # fmt: skip
        assert min(ticks) == pytest.approx(low, abs=0.03)


def test_the_curves_can_be_downloaded_as_they_are_saved(page, tmp_path, monkeypatch):
    monkeypatch.setattr("hooksim.results.trajectory_files._write_pictures", lambda *_: None)
    generator = torch.Generator().manual_seed(0)
    values, stderr = torch.rand((2, 3, 2, 2), generator=generator, dtype=torch.float64)
    names = ["=a", "b"]
    stack = MatrixStack("cka", values, stderr, names, names, Meaning("CKA", "max"))
    saved = Trajectory([10, 1000, 30], {"cka": stack}, 9, {}).save(tmp_path / "run")
    page.open(saved / "report.html")
    for button, ending in (("Curves.csv", "drift"), ("Errors of curves.csv", "drift.stderr")):
        page.press(button)
        text = downloaded(tmp_path / "downloads" / f"cka.{ending}.csv")
        assert text == (saved / f"cka.{ending}.csv").read_text(encoding="utf-8")
