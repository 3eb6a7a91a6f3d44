"""The page on disk: one file, replaced whole, and only where hooksim wrote what stands there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from hooksim.errors import ConfigError

if TYPE_CHECKING:
    from hooksim.report import Payload

__all__ = ["PAGE", "is_page", "write_page"]

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
    """
    from hooksim.report import render

    file = Path(path).expanduser()
    if file.is_dir():
        file = file / PAGE
    if file.exists() and not is_page(file):
        raise ConfigError(
            f"report: '{file}' exists and is no page of hooksim: it is not replaced. Choose "
            "another name."
        )
    text = render(payload)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".hooksim-{uuid4().hex}.tmp")
    try:
        # A name that no UTF-8 can hold, as some file systems allow, must not cost the page.
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return file


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
