"""The page on disk: one file, replaced whole, and only where hooksim wrote what stands there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.errors import ConfigError
from hooksim.storage import as_folder, one_line, write_file

if TYPE_CHECKING:
    from hooksim.report import Payload

__all__ = ["PAGE", "is_page", "place_page", "write_page"]

PAGE = "report.html"  # its name in the folder of a result
_HEAD = 4096  # bytes of a file in which the head of a page would name hooksim


def write_page(path: str | os.PathLike[str], payload: "Payload") -> Path:
    """Render a page and write it.

    Args:
        path: The file, or a folder that is there.
        payload: What the page shows.

    Returns:
        The page's path.

    Raises:
        ConfigError: A file that is no page of hooksim stands there.
        HooksimError: The disk is full, or nothing may be written there.
    """
    file = as_folder(path)
    with one_line(path, "the page cannot be written"):
        if file.is_dir():
            file = file / PAGE
        if file.exists() and not is_page(file):
            raise ConfigError(
                f"report: '{file}' exists and is no page of hooksim: it is not replaced. Choose "
                "another name."
            )
        place_page(file, payload)
    return file


def place_page(file: Path, payload: "Payload") -> None:
    """Render a page and put it in the place of whatever stands there.

    Args:
        file: The page's path.
        payload: What the page shows.

    Raises:
        OSError: It cannot be written.
    """
    from hooksim.report import render

    text = render(payload)
    with write_file(file) as temporary:
        # A name that no UTF-8 can hold, as some file systems allow, must not cost the page.
        temporary.write_text(text, encoding="utf-8", errors="replace")


def is_page(file: Path) -> bool:
    """Say whether a file is a page that hooksim wrote.

    Args:
        file: Any file.

    Returns:
        True if its head says so.
    """
    from hooksim.report import GENERATOR

    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return GENERATOR.encode("ascii") in stream.read(_HEAD)
