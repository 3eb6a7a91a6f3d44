"""The words under pictures: how many samples, in which blocks, what errors do not say, warnings."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["caption_text", "leading_warnings", "size_text", "warning_lines", "warning_text"]

_ERRORS = (
    "Standard errors are per cell, not for the difference of two cells of one matrix; "
    "with heavy tails they can be a quarter too small."
)
# What concerns one measure only, by the word its label begins with.
_CAVEATS = {
    "CKA": "Near CKA 0 they can be up to 1.6 times too large.",
    "Information Imbalance": (
        "The imbalance depends on n, which is the size of the blocks: compare it at equal sizes."
    ),
}
_MOST_WARNINGS = 3
_LONGEST_WARNING = 280


def caption_text(n_samples: int, metadata: Mapping[str, Any], labels: Iterable[str] = ()) -> str:
    """Describe the data that a picture rests on, and how far to trust its errors.

    Args:
        n_samples: Number of samples.
        metadata: Of the comparison; `blocks`, `block_size`, `unit` and `n_rows` are
            read where they are there.
        labels: Labels of the measures in the picture: only what concerns them is said.

    Returns:
        One paragraph.

    Example:
        >>> caption_text(5596, {"blocks": [2048, 2048, 1500]})
        'n = 5,596 samples in 3 blocks (2 of 2,048 and 1 of 1,500). Standard errors are ...'
        >>> caption_text(90, {"blocks": [90], "block_size": 10_000})
        'n = 90 samples in one block of 90 (fewer than block_size, 10,000). Standard errors ...'
    """
    several = list(labels)
    caveats = [
        text for word, text in _CAVEATS.items() if any(label.startswith(word) for label in several)
    ]
    blocks = f"{_blocks(_sizes(metadata))}{_unfilled(metadata)}"
    counted = f"{_count(n_samples, metadata, ' samples')}{blocks}."
    return " ".join([counted, _ERRORS, *caveats])


def size_text(n_samples: int, metadata: Mapping[str, Any]) -> str:
    """Say in a few words how much data there was: the imbalance depends on the blocks' size.

    Args:
        n_samples: Number of samples.
        metadata: Of the comparison, as for `caption_text`.

    Returns:
        Part of a line.

    Example:
        >>> size_text(1797, {"blocks": [512, 512, 387, 386]})
        'n = 1,797 in blocks of 386 to 512'
        >>> size_text(40, {"unit": "token", "n_rows": 900, "blocks": [900]})
        'n = 900 tokens of 40 samples in one block'
    """
    sizes = _sizes(metadata)
    text = _count(n_samples, metadata, "")
    if len(sizes) < 2:
        return f"{text} in one block{_unfilled(metadata)}" if sizes else text
    low, high = min(sizes), max(sizes)
    return f"{text} in blocks of {low:,}" + (f" to {high:,}" if high > low else "")


def _sizes(metadata: Mapping[str, Any]) -> list[int]:
    """Read the sizes of the blocks, none if unknown."""
    return list(metadata.get("blocks") or [])


def _unfilled(metadata: Mapping[str, Any]) -> str:
    """Say that the samples did not fill the only block, where its size was asked for."""
    asked, sizes = metadata.get("block_size"), _sizes(metadata)
    if not isinstance(asked, int) or len(sizes) != 1 or sizes[0] >= asked:
        return ""
    return f" (fewer than block_size, {asked:,})"


def _count(n_samples: int, metadata: Mapping[str, Any], unit: str) -> str:
    """Count what the rows are: tokens, or samples, which are called `unit`."""
    if metadata.get("unit") == "token" and "n_rows" in metadata:
        return f"n = {metadata['n_rows']:,} tokens of {n_samples:,} samples"
    return f"n = {n_samples:,}{unit}"


def _blocks(sizes: list[int]) -> str:
    """Describe the blocks, largest first."""
    if not sizes:
        return ""
    counts = sorted(Counter(sizes).items(), reverse=True)
    if len(sizes) == 1:
        return f" in one block of {sizes[0]:,}"
    if len(counts) == 1:
        return f" in {len(sizes):,} blocks of {sizes[0]:,}"
    if len(counts) > 3:
        return f" in {len(sizes):,} blocks of {counts[-1][0]:,} to {counts[0][0]:,}"
    several = len(sizes) > len(counts)
    parts = [f"{count:,} of {size:,}" if several else f"{size:,}" for size, count in counts]
    return f" in {len(sizes):,} blocks ({', '.join(parts[:-1])} and {parts[-1]})"


def leading_warnings(metadata: Mapping[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """Choose the warnings to show: of each kind one before a second of any kind.

    Args:
        metadata: Of the comparison; `warnings` is read where it is there.

    Returns:
        At most three pairs of code and text, in their order, and how many there are besides.

    Example:
        >>> many = [{"code": "ruling_sample", "text": f"layer {i}"} for i in range(40)]
        >>> leading_warnings({"warnings": [*many, {"code": "order", "text": "Shuffle."}]})
        ([('ruling_sample', 'layer 0'), ('ruling_sample', 'layer 1'), ('order', 'Shuffle.')], 38)
    """
    pairs = [(str(one["code"]), str(one["text"])) for one in metadata.get("warnings") or []]
    codes = [code for code, _ in pairs]
    by_turn = sorted(range(len(pairs)), key=lambda i: codes[:i].count(codes[i]))
    chosen = sorted(by_turn[:_MOST_WARNINGS])
    return [pairs[i] for i in chosen], len(pairs) - len(chosen)


def warning_text(metadata: Mapping[str, Any]) -> str:
    """Write the warnings that stand under a picture.

    Args:
        metadata: Of the comparison.

    Returns:
        A line for each warning, very long ones cut; empty if there is none.

    Example:
        >>> warning_text({"warnings": [{"code": "order", "text": "the samples are sorted."}]})
        'Warning: the samples are sorted.'
    """
    shown, others = leading_warnings(metadata)
    lines = [
        textwrap.shorten(f"Warning: {text}", _LONGEST_WARNING, placeholder=" …")
        for _, text in shown
    ]
    return "\n".join([*lines, *([f"and {others:,} more in the metadata"] if others else [])])


def warning_lines(metadata: Mapping[str, Any]) -> list[str]:
    """Write the first warnings for a terminal.

    Args:
        metadata: Of the comparison.

    Returns:
        A line for each, and one that counts the others.

    Example:
        >>> warning_lines({"warnings": [{"code": "order", "text": "the samples are sorted."}]})
        ['warning (order): the samples are sorted.']
    """
    shown, others = leading_warnings(metadata)
    lines = [f"warning ({code}): {text}" for code, text in shown]
    if others:
        lines.append(f"and {others:,} more warnings in metadata['warnings']")
    return lines
