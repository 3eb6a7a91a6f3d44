"""Text broken into lines that fit the terminal."""

import shutil
from textwrap import wrap

__all__ = ["in_columns", "table_width", "terminal_width"]

_NO_LIMIT = 1 << 16  # columns


def terminal_width() -> int:
    """Ask the terminal for its columns.

    Returns:
        Their number; 80 where there is no terminal.
    """
    return shutil.get_terminal_size().columns


def table_width() -> int:
    """Ask how wide a table may be.

    Returns:
        The terminal's columns, or those of `COLUMNS`; where the output goes into a file or a pipe
        so many that each row stays one line, for `grep` and its kind.
    """
    return shutil.get_terminal_size((_NO_LIMIT, 1)).columns


def in_columns(text: str, width: int | None = None, indent: str = "") -> str:
    """Break a text between its words; a long name is never cut.

    Args:
        text: One paragraph.
        width: Columns; None asks the terminal.
        indent: What every line but the first begins with.

    Returns:
        Lines.

    Example:
        >>> in_columns("one block of 90 rows", 12, indent="  ").splitlines()
        ['one block of', '  90 rows']
    """
    lines = wrap(
        text,
        width or terminal_width(),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)
