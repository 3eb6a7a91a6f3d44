"""The small print of pictures: how many samples, in which blocks, and what errors do not say."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["caption_text", "side_label"]

_CAVEATS = (
    "Standard errors are per cell, not for the difference of two cells of one matrix; "
    "with heavy tails they can be a quarter too small, near CKA 0 up to 1.6 times too large."
)


def caption_text(n_samples: int, metadata: Mapping[str, Any]) -> str:
    """Describe the data that a picture rests on.

    Args:
        n_samples: Number of samples.
        metadata: Of the comparison; `blocks`, `unit` and `n_rows` are read where they are there.

    Returns:
        One paragraph.

    Example:
        >>> caption_text(5596, {"blocks": [2048, 2048, 1500]})
        'n = 5,596 samples in 3 blocks (2 of 2,048 and 1 of 1,500). Standard errors are ...'
    """
    samples = f"n = {n_samples:,} samples"
    if metadata.get("unit") == "token" and "n_rows" in metadata:
        samples += f" ({metadata['n_rows']:,} tokens)"
    return f"{samples}{_blocks(list(metadata.get('blocks') or []))}. {_CAVEATS}"


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


def side_label(side: str, metadata: Mapping[str, Any]) -> str:
    """Say what a picture calls a model.

    Args:
        side: `"a"` or `"b"`.
        metadata: Of the comparison; `model_a` and `model_b` are class names.

    Returns:
        The label.

    Example:
        >>> side_label("a", {"model_a": "ViTModel"})
        'model A (ViTModel)'
    """
    name = metadata.get(f"model_{side}")
    return f"model {side.upper()} ({name})" if isinstance(name, str) else f"model {side.upper()}"
