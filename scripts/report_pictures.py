"""Photograph the page of a saved result, on a desk and on a phone: the README's pictures.

`hooksim compare configs/text.yaml` makes the result that the README shows. Needs selenium (in the
extra `test`), chromium and its chromedriver.
"""

import argparse
import base64
import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

__all__ = ["main"]

# Name, width and height in CSS pixels, dots for each of them.
_SCREENS = (("report", 1280, 960, 1), ("report-phone", 390, 844, 2))
# A cell off the beaten track shows what the readout is for.
_LOOK = """
const heatmap = document.getElementById('heatmap');
for (const key of ['ArrowUp', 'ArrowUp', 'ArrowUp', 'ArrowUp', 'Enter']) {
  heatmap.dispatchEvent(new KeyboardEvent('keydown', { key }));
}
"""


def main() -> None:
    """Read the arguments, write the page, photograph it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", help="page of a result, such as runs/text/report.html")
    parser.add_argument("folder", help="where the pictures go, such as .github/images")
    options = parser.parse_args()
    page, folder = Path(options.page).resolve(), Path(options.folder)
    if not page.is_file():
        sys.exit(f"{options.page}: no such page; hooksim report RESULT writes it")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = _start(profile)
        try:
            for name, width, height, dots in _SCREENS:
                picture = folder / f"{name}.png"
                picture.write_bytes(_photograph(browser, page, width, height, dots))
                print(picture)
        finally:
            browser.quit()


def _start(profile: str) -> webdriver.Chrome:
    """Start a browser that shows no window and asks for nothing."""
    driver = shutil.which("chromedriver")
    if driver is None:
        sys.exit("chromedriver: not found; install chromium and chromium-driver")
    options = Options()
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument("--hide-scrollbars")
    options.add_argument(f"--user-data-dir={profile}")
    return webdriver.Chrome(options=options, service=Service(driver))


def _photograph(browser: webdriver.Chrome, page: Path, width: int, height: int, dots: int) -> bytes:
    """Open the page on a screen of this size and take what is in view."""
    screen = {"width": width, "height": height, "deviceScaleFactor": dots, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page.as_uri())
    browser.execute_script(_LOOK)
    return base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {})["data"])


if __name__ == "__main__":
    main()
