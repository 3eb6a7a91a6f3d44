"""Pages opened in Chromium: what is shown, what is asked for, how it is handled."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from selenium.webdriver.common.keys import Keys

from hooksim.plotting.colours import Scale, colour_map, colour_norm
from hooksim.report import Axis
from hooksim.results import Comparison, SimilarityMatrix
from tests.report.browsing import Page, downloaded
from tests.report.pages import HARD_NUMBERS, INJECTED, STEPS, comparison, trajectory

pytestmark = pytest.mark.browser


def nothing_wrong(page: Page, file: Path) -> None:
    assert page.messages() == []
    assert page.requests() == [file.as_uri()]


@pytest.mark.parametrize("kind", ["comparison", "steps", "pairs", "large", "warned", "empty"])
def test_pages_ask_for_nothing_and_complain_of_nothing(page, write, kind):
    warning = [{"code": "order", "text": "The samples come sorted."}]
    shown = {
        "comparison": lambda: comparison(),
        "steps": lambda: trajectory(),
        "pairs": lambda: trajectory(pairs=True),
        "large": lambda: comparison((100, 100)),
        "warned": lambda: comparison((1, 1), warnings=warning),
        "empty": lambda: Comparison({}, 0, {}),
    }[kind]()
    file = write(shown)
    page.open(file)
    if kind != "empty":
        page.press("Information Imbalance (k = 1)")
        page.press("B to A")
        page.hover("heatmap", 0.5, 0.4)
        page.press("Show the whole plane")
    if kind == "warned":
        assert page.find(".warnings").is_displayed()
    nothing_wrong(page, file)


def test_a_page_that_complains_is_heard(page, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<script>nothing()</script><img src='http://localhost:9/x.png'>")
    page.open(file)
    assert any("nothing is not defined" in text for text in page.messages())
    assert page.requests() == [file.as_uri(), "http://localhost:9/x.png"]


@pytest.mark.parametrize("key", ["cka", "imbalance_a_to_b", "imbalance_b_to_a"])
def test_hover_shows_the_cell_that_is_drawn_there(page, write, key):
    result = comparison()
    matrix = result[key]
    page.open(write(result))
    if key != "cka":
        page.press("Information Imbalance (k = 1)")
        page.press("A to B" if key == "imbalance_a_to_b" else "B to A")
    meaning = matrix.meaning
    norm, _ = colour_norm(Scale(meaning.best, *meaning.range))
    seen = {}
    for right in (0.2, 0.5, 0.55, 0.9):
        for down in (0.1, 0.35, 0.6, 0.8):
            place = page.hover("heatmap", right, down)
            name_a, name_b, value, error = page.cell()
            i, j = matrix.layers_a.index(name_a), matrix.layers_b.index(name_b)
            assert value == pytest.approx(matrix.values[i, j].item(), abs=6e-4)
            assert error == pytest.approx(matrix.stderr[i, j].item(), abs=6e-4)
            wanted = colour_map(meaning.best)(norm(matrix.values[i, j].item()), bytes=True)[:3]
            assert tuple(map(int, wanted)) in page.colours_near(place), (i, j)
            seen[right, down] = (i, j)
    assert seen[0.2, 0.8] == (0, 0), "layer 0 of both is in the lower left corner"
    assert len(set(seen.values())) == 12, "every cell was met"


def test_the_cursor_is_drawn_around_the_cell_under_the_mouse(page, write):
    page.open(write(comparison((9, 7))), dark=True)  # where nothing else on its canvas is white
    for right, down in ((0.2, 0.1), (0.5, 0.3), (0.85, 0.8)):
        place = page.hover("heatmap", right, down)
        west, north, east, south = page.inked("heatmap", white=True)
        assert west <= place[0] <= east and north <= place[1] <= south
        assert 40 < east - west < 110 and 40 < south - north < 110


@pytest.mark.parametrize("best", [0, 2])
def test_the_best_match_is_framed_where_it_is(page, write, best):
    matrix = comparison((4, 3))["cka"]
    matrix.values[:] = 0.8
    matrix.values[3, best] = 0.9  # in the top row; in all others the first of equals
    page.open(write(Comparison({"cka": matrix}, 3, {})))
    place = page.hover("heatmap", 0.97, 0.15)
    assert page.cell()[:2] == (matrix.layers_a[3], matrix.layers_b[2]), "the upper right cell"
    edge = set().union(*(page.colours_near((place[0] + d, place[1])) for d in (-12, -6, 0, 4)))
    assert any(sum(colour) < 150 for colour in edge) == (best == 2), "the frame is dark"
    assert page.text("caption").count("Dashed: not told apart") == 1


def test_arrow_keys_move_and_the_readout_is_spoken(page, write):
    result = comparison((4, 3))
    matrix = result["cka"]
    page.open(write(result))
    heatmap = page.find("#heatmap")
    page.run("arguments[0].focus()", heatmap)
    heatmap.send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_UP)
    value, error = matrix.values[2, 1].item(), matrix.stderr[2, 1].item()
    spoken = page.text("live")
    assert spoken.startswith(f"{matrix.layers_a[2]} \N{MULTIPLICATION SIGN} {matrix.layers_b[1]}: ")
    assert [float(part) for part in spoken.rpartition(": ")[2].split(" ± ")] == pytest.approx(
        [value, error], abs=6e-4
    )
    assert page.find("#live").get_attribute("aria-live") == "polite"
    heatmap.send_keys(Keys.ENTER)
    assert page.text("readout-b") == matrix.best_match("a")[2].best
    heatmap.send_keys(Keys.END, Keys.ARROW_RIGHT, Keys.PAGE_UP, Keys.ARROW_UP)
    assert page.cell()[:2] == (matrix.layers_a[-1], matrix.layers_b[-1]), "stops at the edge"


def test_everything_is_reached_by_tab(page, write):
    page.open(write(comparison()))
    reached = []
    for _ in range(14):
        page.browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.run("const e = document.activeElement; return e.id || e.textContent"))
    wanted = {"heatmap", "save-values", "save-errors", "whole", "Information Imbalance (k = 1)"}
    assert wanted <= set(reached)


def test_the_measure_switch_changes_the_cells(page, write):
    result = comparison()
    page.open(write(result))
    before, cell = page.drawn("#heatmap canvas"), page.cell()
    page.press("Information Imbalance (k = 1)")
    forth = page.drawn("#heatmap canvas")
    assert page.text("readout-measure") == "Information Imbalance (k\xa0=\xa01), A to B"
    page.press("B to A")
    assert len({before, forth, page.drawn("#heatmap canvas")}) == 3
    assert page.cell()[:2] == cell[:2]
    i = result["cka"].layers_a.index(cell[0])
    j = result["cka"].layers_b.index(cell[1])
    assert page.cell()[2] == pytest.approx(result["imbalance_b_to_a"].values[i, j].item(), abs=6e-4)
    pressed = page.run(
        "return [...document.querySelectorAll('.controls [aria-pressed=true]')]"
        ".map(button => button.textContent)"
    )
    assert pressed == ["Information Imbalance (k = 1)", "B to A"]
    page.press("CKA (linear, debiased)")
    assert page.drawn("#heatmap canvas") == before


def test_the_step_slider_changes_the_cells(page, write):
    shown = trajectory()
    page.open(write(shown))
    values = shown.matrices[0].values
    pictures = {page.drawn("#heatmap canvas")}
    slider = page.find("#step-b")
    assert not page.find("#step-a").is_displayed()
    i, j = (int(name[-1]) for name in page.cell()[:2])
    for step in (2, 1, 0):
        slider.send_keys(Keys.ARROW_LEFT)
        assert page.text("step-b-name") == str(STEPS[step])
        assert page.cell()[2] == pytest.approx(values[step, i, j], abs=6e-4)
        pictures.add(page.drawn("#heatmap canvas"))
    assert len(pictures) == 4


def test_a_slider_for_each_model_where_all_steps_are_compared(page, write):
    shown = trajectory(pairs=True)
    page.open(write(shown))
    values = shown.matrices[0].values
    i, j = (int(name[-1]) for name in page.cell()[:2])
    assert page.cell()[2] == pytest.approx(values[0, 3, i, j], abs=6e-4)
    page.find("#step-a").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.find("#step-b").send_keys(Keys.ARROW_LEFT)
    assert page.cell()[2] == pytest.approx(values[2, 2, i, j], abs=6e-4)


def test_curves_follow_the_measure_the_step_and_the_chosen_layer(page, write):
    shown = trajectory()
    page.open(write(shown))
    page.press("Information Imbalance (k = 1)")
    page.find("#curves-layer").send_keys("x.2")
    page.find("#step-b").send_keys(Keys.ARROW_LEFT)
    curves = shown.curves[1]
    name, _, numbers = page.text("curves-readout").rpartition(": ")
    assert name == f"x.2, step {STEPS[2]}"
    wanted = [curves.values[2, 2], curves.stderr[2, 2]]
    assert [float(part) for part in numbers.split(" ± ")] == pytest.approx(wanted, abs=6e-4)
    before = page.drawn("#curves canvas")
    page.hover("curves", 0.5, 0.02)
    assert page.text("step-b-name") in map(str, STEPS[1:3]), "the step under the mouse"
    page.press("CKA (linear, debiased)")
    assert page.drawn("#curves canvas") != before


def test_curves_of_all_pairs_are_against_the_chosen_step_and_say_so(page, write):
    shown = trajectory(pairs=True)
    page.open(write(shown))
    page.find("#curves-layer").send_keys("x.2")
    matrix = shown.matrices[0]
    for place in (0, 1):
        against = f"Each layer of A at step {STEPS[place]} with the layer of the same name of B."
        assert page.text("curves-words").startswith(against)
        assert f"Dashed: step {STEPS[place]}, which" in page.text("curves-words")
        wanted = [matrix.values[place, 3, 2, 2], matrix.stderr[place, 3, 2, 2]]
        numbers = page.text("curves-readout").rpartition(": ")[2].split(" ± ")
        assert list(map(float, numbers)) == pytest.approx(wanted, abs=6e-4)
        before = page.drawn("#curves canvas")
        page.find("#step-a").send_keys(Keys.ARROW_RIGHT)
        assert page.drawn("#curves canvas") != before
    page.open(write(trajectory()))
    assert page.text("curves-words").startswith("Each layer of A (runs/b) with the layer of the")
    assert "Dashed" not in page.text("curves-words")


def test_the_plane_and_the_heatmap_point_at_the_same_pair(page, write):
    result = comparison()
    page.open(write(result))
    before = page.drawn("#plane canvas")
    page.press("Show the whole plane")
    assert page.drawn("#plane canvas") != before
    a, b, *_ = page.cell()
    cells = {(a, b)}
    assert page.text("plane-pair") == f"{a} \N{MULTIPLICATION SIGN} {b}"
    for right in np.linspace(0.1, 0.9, 9):
        for down in np.linspace(0.1, 0.8, 8):
            x, y = page.hover("plane", right, down)
            if page.cell()[:2] not in cells:
                cells.add(page.cell()[:2])
                _, north, east, _ = page.inked("plane")
                # The ring's own radius, and how far from a point the mouse still finds it.
                assert (east - 11, north + 11) == pytest.approx((x, y), abs=21)
    assert len(cells) > 2, "points are found by the mouse"


def short(name: str) -> str:
    return name.removeprefix("encoder.layer.").removesuffix(".output")


@pytest.mark.parametrize("side", ["a", "b"])
def test_best_matches_are_those_of_the_library(page, write, side):
    result = comparison((12, 9))
    page.open(write(result))
    page.press(side.upper())
    for measure, key in (("", "cka"), ("Information Imbalance (k = 1)", "imbalance_a_to_b")):
        if measure:
            page.press(measure)
        rows = page.run(
            "return [...document.getElementById('match-rows').rows].map(r => "
            "[...r.cells].map(c => c.textContent))"
        )
        titles = page.run(
            "return [...document.querySelectorAll('#match-rows th span')].map(s => s.title)"
        )
        matches = result[key].best_match(side)
        assert titles == [match.layer for match in matches], "in full where the mouse rests"
        assert len(rows) == len(matches)
        for (layer, best, value), match in zip(rows, matches, strict=True):
            doubt = "" if match.decided else f" ~ {short(match.runner_up)}"
            assert (layer, best) == (short(match.layer), f"{short(match.best)}{doubt}")
            assert layer.isdigit(), "the name without what all names share"
            assert float(value.split(" ± ")[0]) == pytest.approx(match.value, abs=6e-4)
        assert len({match.decided for match in matches}) == 2, "both kinds are in the case"


def download(page: Page, tmp_path: Path, button: str, name: str) -> str:
    page.press(button)
    return downloaded(tmp_path / "downloads" / name)


def test_downloads_are_the_saved_tables(page, tmp_path, monkeypatch):
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    generator = np.random.default_rng(0)
    bits = [struct.unpack("<d", generator.bytes(8))[0] for _ in range(300)]
    numbers = torch.tensor([*HARD_NUMBERS, *bits, *generator.random(100)], dtype=torch.float64)
    odd = ["=sum(A1)", 'say "x", y', "two\nlines", "-1", "é", "plain"]
    values = numbers[: len(numbers) // 6 * 6].reshape(6, -1)
    layers_b = [f"b.{i}" for i in range(values.shape[1])]
    meaning = comparison()["cka"].meaning
    matrix = SimilarityMatrix("cka", values, values.flip(0), odd, layers_b, meaning)
    saved = Comparison({"cka": matrix, "x y/z": matrix}, 3, {}).save(tmp_path / "result")
    page.open(saved / "report.html")
    for button, ending in (("Values.csv", ".csv"), ("Standard errors.csv", ".stderr.csv")):
        text = download(page, tmp_path, button, f"cka{ending}")
        assert text == (saved / f"cka{ending}").read_bytes().decode("utf-8")
    page.press("CKA (linear, debiased) · x y/z")
    assert download(page, tmp_path, "Values.csv", "x_y_z.csv") == (saved / "x_y_z.csv").read_text()
    nothing_wrong(page, saved / "report.html")


def test_downloads_of_a_step_say_which(page, write, tmp_path):
    shown = trajectory(pairs=True)
    page.open(write(shown))
    text = download(page, tmp_path, "Values.csv", "cka.10.300.csv")
    first = text.splitlines()[1].split(",")
    assert list(map(float, first[1:])) == shown.matrices[0].values[0, 3, 0].tolist()


def test_a_matrix_that_is_another_the_other_way_round_is_the_saved_one(page, write, tmp_path):
    shown = trajectory(pairs=True)
    one, forth, back = shown.matrices
    axis = Axis("b", ("y.0", "y.1"), ("0", "1"))
    values, stderr = forth.values[..., :2], forth.stderr[..., :2]
    forth = replace(forth, b=axis, values=values, stderr=stderr)
    values, stderr = (array.transpose(1, 0, 3, 2) for array in (values, stderr))
    back = replace(back, a=axis, values=values, stderr=stderr)
    page.open(write(replace(shown, matrices=(one, forth, back), planes=())))
    page.press("Information Imbalance (k = 1)")
    page.press("B to A")
    for button, array, ending in (
        ("Values.csv", values, ""), ("Standard errors.csv", stderr, ".stderr")
    ):  # fmt: skip
        text = download(page, tmp_path, button, f"imbalance_b_to_a.10.300{ending}.csv")
        rows = [line.split(",")[1:] for line in text.splitlines()[1:]]
        assert [list(map(float, row)) for row in rows] == array[0, 3].tolist()
    assert page.messages() == []


def test_names_and_settings_are_text_wherever_they_come_from(page, write):
    config = {INJECTED: INJECTED, "a": [{"b": INJECTED}]}
    warnings = [{"code": INJECTED, "text": INJECTED}]
    result = comparison(
        name=lambda i: f"{i}{INJECTED}", config=config, warnings=warnings, name_a=INJECTED,
        notes=warnings, diagnostics={
            "a": [dict.fromkeys(
                ("width", "rows_per_dimension", "participation_ratio", "duplicate_rows",
                 "largest_share", "order"), 1) | {"layer": INJECTED}],
        },
    )  # fmt: skip
    file = write(result)
    page.open(file)
    page.press("B")
    page.hover("heatmap", 0.8, 0.3)
    assert INJECTED in page.text("readout-a")
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("return window.ran") is None
    assert page.run("return document.querySelectorAll('script, img').length") == 2
    nothing_wrong(page, file)


def test_a_script_from_elsewhere_is_refused(page, write):
    """Should a text ever get through, the policy stops what it brings."""
    page.open(write(comparison()))
    page.run(
        "const s = document.createElement('script'); s.textContent = 'window.ran = true';"
        "document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', arguments[0]);",
        INJECTED,
    )
    assert page.run("return window.ran") is None
    assert any("Content Security Policy" in text for text in page.messages())


def test_undefined_cells_are_hatched_and_say_so(page, write):
    result = comparison()
    matrix = result["cka"]
    matrix.values[0] = float("nan")
    page.open(write(Comparison({"cka": matrix}, 3, {})))
    place = page.hover("heatmap", 0.4, 0.76)
    assert (page.text("readout-value"), page.text("readout-a")) == ("undefined", matrix.layers_a[0])
    assert (0xEC, 0xEC, 0xEC) in page.colours_near(place)
    assert "Hatched: undefined." in page.text("caption")
    assert (
        page.run("return document.getElementById('match-rows').rows[0].cells[1].textContent")
        == "none"
    )
