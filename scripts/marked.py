"""Parts of a document that scripts write, between two marks."""

import re

__all__ = ["replaced"]


def replaced(text: str, part: str, begin: str, end: str) -> str:
    """A document with what stands between two marks replaced.

    Args:
        text: The document.
        part: What shall stand there, on lines of its own.
        begin: The first mark.
        end: The second one.

    Raises:
        ValueError: The marks are not there once each.
    """
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", flags=re.DOTALL)
    if text.count(begin) != 1 or text.count(end) != 1 or not pattern.search(text):
        raise ValueError(f"expected the marks {begin!r} and {end!r}, once each and in this order.")
    return pattern.sub(lambda _: f"{begin}\n{part}\n{end}", text)
