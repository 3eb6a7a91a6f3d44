"""Which steps a page shows, and what it calls them."""

from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from tests.report.browsing import downloaded
from tests.report.pages import INJECTED, STEPS, trajectory

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("reference", "opened"), [(None, 3), (0, 3), (2, 3), (3, 0)])
def test_a_page_opens_at_a_step_that_is_not_the_reference(page, write, reference, opened):
    shown = trajectory(reference_step=reference)
    page.open(write(shown))
    assert page.text("step-b-name") == str(STEPS[opened])
    i, j = (int(name[-1]) for name in page.cell()[:2])
    assert page.cell()[2] == pytest.approx(shown.matrices[0].values[opened, i, j], abs=6e-4)
    line = f"Dashed: step {STEPS[reference or 0]}, which all others are compared with."
    assert (line in page.text("curves-words")) == (reference is not None)


def test_axes_say_which_model_at_which_step(page, write):
    page.open(write(trajectory()))
    assert page.text("axis-a") == "↑Aruns/bx.*" and page.text("axis-b") == "→Bstep 300x.*"
    page.find("#step-b").send_keys(Keys.ARROW_LEFT)
    assert page.text("axis-b") == "→Bstep 100x.*"
    page.open(write(trajectory(pairs=True)))
    page.find("#step-a").send_keys(Keys.ARROW_RIGHT)
    assert page.text("axis-a") == "↑Astep 30x.*" and page.text("axis-b") == "→Bstep 300x.*"
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    axes = page.run(
        "return [...document.querySelectorAll('#paper figure:first-child .axis')]"
        ".map(each => each.textContent)"
    )
    assert axes == ["↑Astep 30x.*", "→Bstep 300x.*"]


def test_large_steps_are_grouped_and_words_stand_alone(page, write, tmp_path):
    page.open(write(trajectory(steps=(0, 500, 1000000, "main"))), recorded=True)
    written = [text for text, *_ in page.pen("curves", "fillText")]
    assert "1,000,000" in written and "main" in written
    assert page.text("axis-b") == "→Bmainx.*"
    page.find("#step-b").send_keys(Keys.ARROW_LEFT)
    assert page.text("step-b-name") == "1,000,000"
    assert page.text("axis-b") == "→Bstep 1,000,000x.*"
    assert page.text("curves-readout").startswith("x.0, step 1,000,000: ")
    page.press("Values.csv")
    downloaded(tmp_path / "downloads" / "cka.1000000.csv")


def test_steps_are_text_wherever_they_are_shown_and_harmless_in_tables(page, write, tmp_path):
    formula = "=cmd|' /C calc'!A0"
    shown = trajectory(pairs=True, steps=(INJECTED, formula, "@x", "b"))
    file = write(replace(shown, step_name=INJECTED, warnings=((formula, INJECTED),)))
    page.open(file)
    page.find("#step-a").send_keys(Keys.ARROW_RIGHT)
    page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("return window.ran") is None
    assert page.run("return document.querySelectorAll('script, img').length") == 2
    page.press("Curves.csv")
    rows = downloaded(tmp_path / "downloads" / "cka.drift._cmd_C_calc_A0.csv").splitlines()
    assert [row.split(",")[0] for row in rows[2:]] == [f"'{formula}", "'@x", "b"]
    assert page.messages() == [] and page.requests() == [file.as_uri()]
