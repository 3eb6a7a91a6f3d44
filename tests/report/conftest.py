"""One browser for all tests of pages, started when the first of them needs it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hooksim.report import Payload, render
from hooksim.results import Comparison
from tests.report.browsing import Page, start_chromium


@pytest.fixture(scope="session")
def session_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    browser = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield Page(browser)
    browser.quit()


@pytest.fixture
def page(session_page: Page, tmp_path: Path) -> Page:
    """The browser; downloads go into the test's own folder."""
    download = {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    session_page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", download)
    return session_page


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Payload | Comparison], Path]:
    def written(shown: Payload | Comparison) -> Path:
        file = tmp_path / "page.html"
        if isinstance(shown, Comparison):
            return shown.report(file)
        file.write_text(render(shown), encoding="utf-8")
        return file

    return written
