"""Where a result comes from, in words: every entry of its metadata, none left out."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hooksim.results.caption import caption_text

if TYPE_CHECKING:
    from hooksim.report import Table

__all__ = ["provenance"]

# Which heading an entry of the metadata stands under; what is not named here stands under the last.
_HEADINGS = {
    "Models": (
        "name_a", "model_a", "name_b", "model_b", "recordings", "rows", "device", "reference",
        "reference_step", "reference_side", "checkpoints", "skipped",
    ),
    "Data": ("n_samples", "n_rows", "unit", "matched_by", "max_samples"),
    "Blocks": ("blocks", "block_size"),
    "Measures": ("measures", "pairs"),
    "Versions": ("versions",),
    "Configuration": ("config",),
    "Run": ("seconds", "notes"),
}  # fmt: skip
# Said elsewhere on the page.
_ELSEWHERE = {"layers_a", "layers_b", "diagnostics", "warnings"}
_MOST_ITEMS = 12


def provenance(metadata: Mapping[str, Any], n_samples: int) -> "tuple[Table, ...]":
    """Word the metadata of a result as pairs of name and text, under headings.

    Args:
        metadata: Of the comparison: plain data.
        n_samples: Number of samples.

    Returns:
        A table for each heading that has entries.

    Example:
        >>> tables = provenance({"versions": {"torch": "2.13.0"}, "blocks": [450]}, 450)
        >>> [(table.title, table.rows) for table in tables]
        [('Data', (('n_samples', '450'),)),
         ('Blocks', (('blocks', 'one block of 450'),)),
         ('Versions', (('torch', '2.13.0'),))]
    """
    from hooksim.report import Table

    entries = {"n_samples": n_samples, **metadata}
    known = {key for keys in _HEADINGS.values() for key in keys} | _ELSEWHERE
    headings = dict(_HEADINGS)
    headings["Run"] += tuple(key for key in entries if key not in known)
    tables = []
    for title, keys in headings.items():
        present = [key for key in keys if key in entries]
        rows = [row for key in present for row in _rows(key, entries[key], n_samples)]
        if rows:
            tables.append(Table(title, (), tuple(rows)))
    return tuple(tables)


def _rows(key: str, value: Any, n_samples: int) -> Iterator[tuple[str, str]]:
    """Word one entry: what it holds gets names of its own."""
    if key == "blocks" and isinstance(value, list) and value:
        yield key, _block_words(value, n_samples)
    elif key == "device" and isinstance(value, list) and len(value) == 2:
        yield from zip(("device_a", "device_b"), map(_text, value), strict=True)
    elif key == "rows" and isinstance(value, Mapping):
        yield from ((f"rows_{side}", _text(rows)) for side, rows in value.items())
    elif key == "recordings" and isinstance(value, Mapping):
        yield from ((f"recording_{side}", _text(each)) for side, each in value.items())
    elif key == "seconds" and isinstance(value, float):
        yield key, f"{value:.3g}"
    elif key in ("versions", "config"):  # the heading says it
        yield from _flat("", value)
    elif key in ("measures", "notes") and isinstance(value, list):
        for item in value:
            yield _named(item)
    elif isinstance(value, Mapping):
        yield from ((f"{key}.{name}", _text(item)) for name, item in value.items())
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield from ((f"{key}.{i}", _text(item)) for i, item in enumerate(value))
    else:
        yield key, _text(value)


def _block_words(sizes: list[int], n_samples: int) -> str:
    """Count the blocks by their sizes, as captions do."""
    counted = caption_text(n_samples, {"blocks": sizes}).partition(".")[0]
    return counted.partition(" in ")[2]


def _named(item: Any) -> tuple[str, str]:
    """Word a measure by its key and options, a note by its code and text."""
    if not isinstance(item, Mapping):
        return "", _text(item)
    if "text" in item:
        return str(item.get("code", "")), str(item["text"])
    options = [
        f"{name}={_text(value)}" for name, value in item.items() if name not in ("name", "key")
    ]
    name = str(item.get("key", item.get("name", "")))
    return name, ", ".join([str(item.get("name", "")), *options])


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Take mappings apart into dotted names; lists of plain things stay on one line."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), item)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for i, item in enumerate(value):
            yield from _flat(f"{name}.{i}", item)
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    """Word a plain value as a config has it; long lists are cut and counted."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_inner(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_text, value[:_MOST_ITEMS])) or "none"
        return shown + (
            f" and {len(value) - _MOST_ITEMS:,} more" if len(value) > _MOST_ITEMS else ""
        )
    return f"{value:,}" if isinstance(value, int) else str(value)


def _inner(value: Any) -> str:
    """Word a value within others: what holds several is put into parentheses."""
    text = _text(value)
    return f"({text})" if isinstance(value, Mapping | list | tuple) else text
