"""Layer names made short enough for an axis: shared parts said once, the rest cut in the middle."""

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Ticks", "choose_ticks", "escape", "shorten", "shorten_all", "split_names"]

_LARGEST_FONT = 9.0
_SMALLEST_FONT = 6.0
# A line of text needs a little more than its own font size.
_LINE = 1.15


class Ticks(NamedTuple):
    """How the names of an axis are written.

    Attributes:
        step: Every `step`-th layer bears its name.
        font: Font size in points.
    """

    step: int
    font: float


def split_names(names: Sequence[str]) -> tuple[str, list[str]]:
    """Take away the dotted segments that all names begin or end with.

    Args:
        names: Layer names, any number.

    Returns:
        The pattern that the names share, `""` if they share nothing, and what is left of each
        name: at least one segment.

    Example:
        >>> split_names(["vit.layers.0.mlp", "vit.layers.1.mlp"])
        ('vit.layers.*.mlp', ['0', '1'])
        >>> split_names(["vit.layers.0", "vit.norm.post.1"])
        ('vit.**', ['layers.0', 'norm.post.1'])
    """
    segments = [name.split(".") for name in names]
    if len(segments) < 2:
        return "", list(names)
    room = min(len(parts) for parts in segments) - 1
    head = _equal_segments(segments, room)
    tail = _equal_segments([parts[::-1] for parts in segments], room - head)
    if head + tail == 0:
        return "", list(names)
    rest = [parts[head : len(parts) - tail] for parts in segments]
    star = "*" if all(len(parts) == 1 for parts in rest) else "**"
    first = segments[0]
    pattern = ".".join([*first[:head], star, *first[len(first) - tail :]])
    return pattern, [".".join(parts) for parts in rest]


def _equal_segments(segments: list[list[str]], room: int) -> int:
    """Count the leading segments, at most `room`, in which all names agree."""
    count = 0
    while count < room and len({parts[count] for parts in segments}) == 1:
        count += 1
    return count


def shorten(name: str, limit: int) -> str:
    """Cut the middle out of a name that is longer than `limit` characters.

    The end is kept longer than the beginning: it says which layer it is.

    Args:
        name: Any text.
        limit: Largest number of characters, at least 3.

    Returns:
        The name, with an ellipsis where something is missing.

    Example:
        >>> shorten("encoder.layer.11.attention.output.dense", 20)
        'encode…n.output.dense'
    """
    if len(name) <= limit:
        return name
    head = limit // 3
    return f"{name[:head]}…{name[len(name) - (limit - head) :]}"


def shorten_all(names: Sequence[str], limit: int = 26) -> list[str]:
    """Shorten names without making two different ones look alike.

    Args:
        names: Layer names.
        limit: Number of characters wished for; more are kept where the names need them.

    Returns:
        One short name for each name.

    Example:
        >>> shorten_all(["features.first.conv", "features.final.conv"], limit=8)
        ['fe…t.conv', 'fe…l.conv']
    """
    longest = max((len(name) for name in names), default=0)
    different = len(set(names))
    while limit < longest:
        short = [shorten(name, limit) for name in names]
        if len(set(short)) == different:
            return short
        limit += 2
    return list(names)


def choose_ticks(count: int, spacing: float) -> Ticks:
    """Choose the font and how many names are left out so that lines of text do not touch.

    Args:
        count: Number of layers on the axis.
        spacing: Distance between two layers, in points.

    Returns:
        Step and font size.

    Example:
        >>> choose_ticks(12, 40.0)
        Ticks(step=1, font=9.0)
        >>> choose_ticks(105, 5.0)
        Ticks(step=2, font=6.0)
    """
    font = min(_LARGEST_FONT, max(_SMALLEST_FONT, spacing / _LINE))
    step = max(1, math.ceil(font * _LINE / spacing - 1e-9))
    return Ticks(min(step, max(count, 1)), font)


def escape(text: str) -> str:
    r"""Make text safe for matplotlib, which reads what stands between dollar signs as mathematics.

    Args:
        text: Any text.

    Returns:
        The text on one line, dollar signs escaped; a replacement character for each that no font
        can draw.

    Example:
        >>> escape("a$b$"), escape("a\0b")
        ('a\\$b\\$', 'a�b')
    """
    line = " ".join(text.split()).replace("$", r"\$")
    return "".join(each if each.isprintable() else "\ufffd" for each in line)
