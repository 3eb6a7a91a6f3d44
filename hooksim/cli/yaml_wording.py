"""Messages that speak of Python's arguments, in the words of a YAML file."""

import re
from collections.abc import Iterable

__all__ = ["in_yaml"]

_VALUE = r"(?!lambda)(?:\([^)]*\)|\[[^\]]*\]|'[^']*'|[\w.]+)"
_ROWS = re.compile(r"(?:rows=)?\b(?:hooksim\.)?Rows\(([^)]*)\)")
_WORDS = {"None": "null", "True": "true", "False": "false"}


def in_yaml(message: str, keys: Iterable[str]) -> str:
    """Write the arguments that a message names as keys of a configuration.

    Args:
        message: Any message.
        keys: The arguments that are keys.

    Returns:
        The same with `key: value` for `key=value`, in the words of YAML.

    Example:
        >>> in_yaml("Leave device=None, or give rows=(A's, B's).", ["device", "rows"])
        "Leave device: null, or give rows: [A's, B's]."
        >>> in_yaml("Use rows=hooksim.Rows(batch_dim=1, mask='m').", ["rows"])
        "Use rows: {batch_dim: 1, mask: 'm'}."
    """
    message = _ROWS.sub(lambda found: f"rows: {{{found[1].replace('=', ': ')}}}", message)
    names = "|".join(map(re.escape, keys))
    return re.sub(rf"\b({names})=({_VALUE})", _as_key, message)


def _as_key(found: re.Match[str]) -> str:
    value = found[2]
    if value.startswith("("):
        value = f"[{value[1:-1]}]"
    bare = value.rstrip(".")  # a full stop is the sentence's
    return f"{found[1]}: {_WORDS.get(bare, bare)}{value[len(bare) :]}"
