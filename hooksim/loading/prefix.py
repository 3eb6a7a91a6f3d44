"""What a wrapper (DDP, torch.compile, a Lightning module) put in front of the names of weights."""

from collections import Counter
from collections.abc import Collection

__all__ = ["wrapper_prefix"]


def wrapper_prefix(names: Collection[str], expected: Collection[str]) -> str:
    """Find what stands in front of every name in a file, and of no name of the model.

    Args:
        names: Names in the file.
        expected: Names of the model's weights.

    Returns:
        The prefix, with its dot; empty where some name fits as it is, where not all have the
        prefix, or where several would do.

    Example:
        >>> wrapper_prefix(["module.a.weight", "module.a.bias"], ["a.weight", "a.bias"])
        'module.'
    """
    if any(name in expected for name in names):
        return ""
    known = set(expected)
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for place in range(1, len(parts)):
            if ".".join(parts[place:]) in known:
                found[".".join(parts[:place]) + "."] += 1
    most = max(found.values(), default=0)
    likely = [prefix for prefix, count in found.items() if count == most]
    fits = len(likely) == 1 and all(name.startswith(likely[0]) for name in names)
    return likely[0] if fits else ""
