"""Pages on other screens than a desk's: phones, the dark, paper, no script."""

import time

import pytest

from tests.report.pages import comparison, trajectory

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("kind", ["comparison", "steps", "large", "long"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_never_scrolls_sideways(page, write, kind, width):
    name = "transformer.encoder.blocks.{}.self_attention.out_proj.with.a.very_long_name".format
    shown = {
        "comparison": lambda: comparison(),
        "steps": lambda: trajectory(),
        "large": lambda: comparison((100, 100)),
        "long": lambda: comparison((5, 9), name, name_a="/a/very/long/path" * 9),
    }[kind]()
    page.open(write(shown), width, 844)
    page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.run("return document.documentElement.scrollWidth") <= width
    box = page.find("#heatmap canvas").rect
    assert 0.5 * min(width, 480) < box["width"] <= width


def test_it_is_drawn_anew_for_another_width_and_another_scheme(page, write):
    page.open(write(comparison((9, 9))))
    seen = [page.drawn("#heatmap canvas")]
    for change in (lambda: page.scheme("dark"), lambda: page.resize(390, 844)):
        change()
        for _ in range(60):
            if page.drawn("#heatmap canvas") != seen[-1]:
                break
            time.sleep(0.05)
        seen.append(page.drawn("#heatmap canvas"))
    assert len(set(seen)) == 3
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 24, 28)"


def test_paper_has_every_measure_and_no_controls(page, write):
    shown = trajectory()
    page.open(write(shown), dark=True)
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    titles = page.run("return [...document.querySelectorAll('#paper h3')].map(h => h.textContent)")
    assert [title.split(",")[0] for title in titles[:4]] == [
        "CKA (linear", "Information Imbalance (k\xa0=\xa01)",
        "Information Imbalance (k\xa0=\xa01)", "Plane: Imbalance",
    ]  # fmt: skip
    assert len(titles) == 3 + 1 + 3 + 3 and titles[0].endswith("step 300")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.find(".controls").is_displayed()
    assert page.find("#paper canvas").is_displayed()
    assert (
        page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert page.run("return document.querySelectorAll('#paper *').length") == 0


def test_a_finger_moves_the_cell_by_buttons(page, write):
    page.open(write(comparison()), 390, 844)
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        page.open(write(comparison()), 390, 844)
        before = page.cell()[0]
        page.press("↑")
        assert page.cell()[0] != before
    finally:
        page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_without_scripts_it_says_what_is_missing(page, write):
    switch = "Emulation.setScriptExecutionDisabled"
    page.browser.execute_cdp_cmd(switch, {"value": True})
    try:
        page.open(write(comparison()))
        body = page.find("body").text
    finally:
        page.browser.execute_cdp_cmd(switch, {"value": False})
    assert "script, which is switched off" in body and "Where the numbers come from" in body


@pytest.mark.parametrize("kind", ["large", "steps", "many", "long"])
def test_no_picture_is_cut_off_on_paper(page, write, kind):
    """Within the margins of a sheet of A4 or Letter, whichever is smaller, at 96 dots an inch."""
    name = "transformer.encoder.blocks.{}.self_attention.out_proj.with.a.very_long_name".format
    shown = {
        "large": lambda: comparison((100, 100)),
        "steps": lambda: trajectory(pairs=True),
        "many": lambda: trajectory(layers=60),
        "long": lambda: comparison((30, 40), name),
    }[kind]()
    page.open(write(shown), 687, 932)
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    boxes = page.run(
        "return [...document.querySelectorAll('#paper figure:not(.breakable)')]"
        ".filter((figure) => figure.querySelector('canvas')).map((figure) => {"
        "  const box = figure.getBoundingClientRect();"
        "  const drawn = [...figure.querySelectorAll('canvas')];"
        "  const boxes = drawn.map((canvas) => canvas.getBoundingClientRect());"
        "  const dots = drawn.map("
        "    (one, k) => [one.width / boxes[k].width, one.height / boxes[k].height]);"
        "  return [box.height, Math.max(...boxes.map((one) => one.right)), dots.flat()];"
        "})"
    )
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert len(boxes) >= 4
    for height, right, dots in boxes:
        assert 100 < height <= 932 and right <= 687
        assert dots == pytest.approx([3] * len(dots), abs=0.05), "neither squeezed nor coarse"
    assert page.run("return document.documentElement.scrollWidth") <= 687


def test_what_is_folded_for_the_ear_stays_so_on_paper(page, write):
    """A table of all cells would take a ream, and the pictures are there already."""
    page.open(write(comparison((100, 100))))
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("return document.getElementById('numbers').open") is False
    assert page.run("return document.querySelectorAll('#numbers td').length") == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_the_table_of_a_picture_have_room(page, write, width):
    page.open(write(comparison((6, 30))), width, 844)
    page.run("document.getElementById('numbers').open = true")
    page.browser.execute_async_script("setTimeout(arguments[0], 100)")
    heights = page.run(
        "return [...document.querySelectorAll('#numbers tr')].map((row) => row.clientHeight)"
    )
    assert len(heights) == 7 and max(heights) < 100, "no name is a column of letters"
    inner = "document.querySelector('#numbers .scroll')"
    page.run(f"{inner}.scrollLeft = 1000")
    left, name = page.run(
        f"return [{inner}, document.querySelector('#numbers tbody th')]"
        ".map((one) => one.getBoundingClientRect().left)"
    )
    assert name == left, "the names of the rows stay in view"
