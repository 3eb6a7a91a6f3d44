"""Small random changes to plain data and to bytes."""

import copy
import math
import random
from collections.abc import Callable
from datetime import date
from typing import Any

__all__ = ["mutate_bytes", "mutate_data"]

JUNK: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**31, 2**63, 2**70, 10**400, 0.5, -0.0, 1e308, math.nan,
    math.inf, "", " ", ".", "..", "x", "0", "null", "all", "a.b", "a:b", ":", "..a:b", "re:(",
    "re:.*", "**", "#", "x#9", "/", "~nobody-here/x", "a\0b", "\n", "é\u202e", "\ud800", "x" * 300,
    "{}", "=1+1", "<script>", "cpu", "cuda:7", "meta", [], [[]], [None], ["x", 1], {}, {"": ""},
    {"kind": None}, {"kind": []}, {"name": {}}, {1: 2}, {"a": {"b": {"c": []}}}, b"\xff",
    date(2026, 1, 1), [0] * 1000,
]  # fmt: skip

TOKENS = [
    b"&a ", b"*a", b"!!int ", b"!!python/name:os.system ", b"<<: ", b"{", b"}", b"[", b"]", b"- ",
    b"? ", b": ", b"\t", b"\n", b"'", b'"', b"#", b"|\n", b">\n", b"%YAML 9.9\n", b"---\n", b"\0",
    b"\xff", b"\xef\xbb\xbf", b"1e999", b"2026-13-45", b"0x", b".inf", b"NaN", b"-", b"\\ud800",
]  # fmt: skip


class _Draw:
    """Where choices come from."""

    def __init__(self, random: random.Random, junk: list[Any]) -> None:
        self.random = random
        self._junk = junk

    def junk(self) -> Any:
        return copy.deepcopy(self.random.choice(self._junk))


def mutate_data(data: Any, random: random.Random, junk: list[Any] = JUNK) -> Any:
    """Change plain data at one to three places.

    Args:
        data: Dicts, lists and values; left as it is.
        random: Where the choices come from.
        junk: What may be put in.

    Returns:
        A changed copy.
    """
    holder, draw = {"": copy.deepcopy(data)}, _Draw(random, junk)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        parent, key = random.choice(list(_places(holder)))
        random.choice(_CHANGES)(parent, key, draw)
        if "" not in holder:
            holder[""] = {}
    return holder[""]


def mutate_bytes(content: bytes, random: random.Random) -> bytes:
    """Change bytes at one to three places.

    Args:
        content: Any bytes.
        random: Where the choices come from.

    Returns:
        Changed bytes, perhaps none.
    """
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        start = random.randint(0, len(content))
        end = min(len(content), start + random.choice((1, 1, 2, 8, 64)))
        part = content[start:end]
        other = random.choice(
            (
                b"",
                part + part,
                random.randbytes(len(part)),
                random.choice(TOKENS),
                part + random.choice(TOKENS),
                bytes(each ^ (1 << random.randint(0, 7)) for each in part),
                bytes(len(part)),
            )
        )
        content = content[:start] + other + content[end:]
        if random.random() < 0.05:
            content = content[: random.randint(0, len(content))]
    return content


def _places(data: Any) -> Any:
    """Every container with each of its keys, the whole first."""
    keys = list(data) if isinstance(data, dict) else range(len(data))
    for key in keys:
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _places(data[key])


def _replace(parent: Any, key: Any, draw: _Draw) -> None:
    parent[key] = draw.junk()


def _remove(parent: Any, key: Any, _: _Draw) -> None:
    del parent[key]


def _rename(parent: Any, key: Any, draw: _Draw) -> None:
    if isinstance(parent, dict) and isinstance(key, str) and key:
        place = draw.random.randrange(len(key))
        parent[key[:place] + draw.random.choice("aeiou_ .") + key[place + 1 :]] = parent.pop(key)


def _add(parent: Any, key: Any, draw: _Draw) -> None:
    value = draw.junk()
    if isinstance(parent[key], dict):
        parent[key][draw.random.choice(["x", "", "kind", "path", 1, None, "trust_remote_code"])] = (
            value
        )
    elif isinstance(parent[key], list):
        parent[key].insert(draw.random.randint(0, len(parent[key])), value)


def _wrap(parent: Any, key: Any, draw: _Draw) -> None:
    parent[key] = [parent[key]] if draw.random.random() < 0.5 else {"x": parent[key]}


def _twice(parent: Any, key: Any, _: _Draw) -> None:
    if isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))


def _nudge(parent: Any, key: Any, draw: _Draw) -> None:
    value = parent[key]
    if isinstance(value, bool):
        parent[key] = not value
    elif isinstance(value, int | float):
        parent[key] = draw.random.choice(
            (
                -value,
                value + 1,
                value - 1,
                value * 1000,
                value // 2 + 0.5 if abs(value) < 1e9 else 0,
            )
        )
    elif isinstance(value, str):
        place = draw.random.randint(0, len(value))
        parent[key] = value[:place] + draw.random.choice("x/.:*#0\u00e9") + value[place:]


_CHANGES: list[Callable[[Any, Any, _Draw], None]] = [
    _replace, _replace, _remove, _remove, _rename, _add, _wrap, _twice, *[_nudge] * 6,
]  # fmt: skip
