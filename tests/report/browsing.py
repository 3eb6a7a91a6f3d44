"""One headless Chromium, and a page in it as a reader sees and handles it."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

__all__ = ["Page", "downloaded", "start_chromium"]

# Colours of the heatmap around a place of the page, from its canvas.
_COLOURS_NEAR = """
const [x, y] = arguments;
const canvas = document.querySelector('#heatmap canvas');
const box = canvas.getBoundingClientRect();
const ratio = canvas.width / box.width;
const [left, top] = [(x - box.left) * ratio - 4, (y - box.top) * ratio - 4];
const { data } = canvas.getContext('2d').getImageData(left, top, 9, 9);
return Array.from({ length: 81 }, (_, i) => [...data.slice(4 * i, 4 * i + 3)]);
"""

# Left, top, right and bottom of what is drawn on the upper canvas of a picture, in the page.
_INKED = """
const [name, white] = arguments;
const canvas = document.querySelectorAll(`#${name} canvas`)[1];
const box = canvas.getBoundingClientRect();
const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
for (let k = 0; k < data.length / 4; k += 1) {
  const [red, green, blue, alpha] = data.slice(4 * k, 4 * k + 4);
  if (alpha < 200 || (white && red + green + blue < 765)) continue;
  const [x, y] = [k % canvas.width, Math.floor(k / canvas.width)];
  [left, top] = [Math.min(left, x), Math.min(top, y)];
  [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
}
return [box.left + left, box.top + top, box.left + right, box.top + bottom];
"""


# What is drawn on canvases: the picture's name, which of its canvases, what; of lines and fills
# the colour, opacity and width.
_RECORDER = """
window.penCalls = [];
const styled = {
  stroke: (pen) => [pen.strokeStyle, pen.globalAlpha, pen.lineWidth],
  fill: (pen) => [pen.fillStyle, pen.globalAlpha, 1],
};
for (const name of ['fillText', 'arc', 'fillRect', 'setLineDash', 'stroke', 'fill']) {
  const own = CanvasRenderingContext2D.prototype[name];
  CanvasRenderingContext2D.prototype[name] = function (...given) {
    const box = this.canvas.parentElement;
    const which = box ? [...box.querySelectorAll('canvas')].indexOf(this.canvas) : 0;
    const what = styled[name] ? styled[name](this) : given;
    window.penCalls.push([box ? box.id : '', which, name, what]);
    return own.apply(this, given);
  };
}
"""


def start_chromium(folder: Path) -> webdriver.Chrome:
    """Start a browser with a profile of its own, which logs messages and requests."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail("the browser tests need chromium and chromedriver; .ci/run installs them")
    options = Options()
    options.binary_location = browser
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={folder}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def downloaded(file: Path) -> str:
    """Wait for a table to be there as a whole: its last line ends."""
    for _ in range(100):
        text = file.read_bytes().decode("utf-8") if file.is_file() else ""
        if text.endswith("\n"):
            return text
        time.sleep(0.05)
    raise AssertionError(f"{file} was not downloaded")


class Page:
    """A page on a screen of a given size; what it does is recorded."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser

    def open(
        self, file: Path, width: int = 1280, height: int = 900, dark: bool = False,
        recorded: bool = False,
    ) -> None:  # fmt: skip
        """Open a page; `recorded` keeps what it draws, for `pen`."""
        self.browser.get("about:blank")
        for log in ("browser", "performance"):
            self.browser.get_log(log)  # what was before does not count
        self.resize(width, height)
        self.scheme("dark" if dark else "light")
        if not recorded:
            self.browser.get(file.as_uri())
            return
        command = self.browser.execute_cdp_cmd
        added = command("Page.addScriptToEvaluateOnNewDocument", {"source": _RECORDER})
        self.browser.get(file.as_uri())
        command("Page.removeScriptToEvaluateOnNewDocument", added)

    def pen(self, name: str, method: str, which: int = 0) -> list[list[Any]]:
        """What a recorded page has drawn on a picture since this was asked last."""
        return list(
            self.run(
                "const [name, method, which] = arguments;"
                "const found = window.penCalls.filter("
                "    ([box, canvas, call]) => box === name && canvas === which && call === method);"
                "window.penCalls = window.penCalls.filter((call) => !found.includes(call));"
                "return found.map(([, , , given]) => given);",
                name, method, which,
            )
        )  # fmt: skip

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, name: str) -> str:
        """The text of an element, whether it is in view or not."""
        return str(self.run("return document.getElementById(arguments[0]).textContent", name))

    def cell(self) -> tuple[str, str, float, float]:
        """Both names, the value and its standard error, as the readout has them."""
        value, error = self.text("readout-value"), self.text("readout-error").removeprefix("± ")
        return self.text("readout-a"), self.text("readout-b"), float(value), float(error)

    def press(self, text: str) -> None:
        """Press the button that says so."""
        self.browser.find_element(By.XPATH, f"//button[normalize-space()='{text}']").click()

    def hover(self, name: str, right: float, down: float) -> tuple[float, float]:
        """Move the mouse to a share of a picture's width and height; say where that is."""
        box = self.run(
            "const e = document.querySelector(`#${arguments[0]} canvas`);"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]", name,
        )  # fmt: skip
        x, y = round(box[0] + right * box[2]), round(box[1] + down * box[3])
        chain = ActionChains(self.browser, duration=0)
        chain.w3c_actions.pointer_action.move_to_location(x, y)
        chain.perform()
        return x, y

    def colours_near(self, place: tuple[float, float]) -> set[tuple[int, ...]]:
        """Colours within a few dots: text and frames may cover the place itself."""
        return set(map(tuple, self.run(_COLOURS_NEAR, *place)))

    def inked(self, name: str, white: bool = False) -> list[float]:
        """Where the marks of the cursor are: left, top, right, bottom; of white dots only."""
        return list(self.run(_INKED, name, white))

    def drawn(self, selector: str) -> str:
        """All dots of a canvas, as one text."""
        return str(self.run("return document.querySelector(arguments[0]).toDataURL()", selector))

    def messages(self) -> list[str]:
        """What the console said: errors of scripts, and whatever the policy refused."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, but for what it holds itself."""
        events = [json.loads(entry["message"]) for entry in self.browser.get_log("performance")]
        urls = [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]
