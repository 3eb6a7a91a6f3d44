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
