"""What the command says of a result, so that its page need not be opened for a first look."""

import torch

from hooksim.cli.columns import in_columns
from hooksim.results import Comparison, SimilarityMatrix
from hooksim.results.matrix import span_text

__all__ = ["summary"]


def summary(result: Comparison, width: int | None = None) -> str:
    """Say of each matrix how large it is, how far it reaches, and which layers are closest.

    Args:
        result: Any comparison; its warnings are not repeated.
        width: Columns; None asks the terminal.

    Returns:
        A few lines for each matrix.
    """
    heads = repr(result).splitlines()
    lines: list[str] = []
    for head, key in zip(heads, result, strict=False):  # warnings follow
        details = [head, *_closest(result[key])]
        lines += [in_columns(each, width, indent="  ") for each in details]
    return "\n".join(lines)


def _closest(matrix: SimilarityMatrix) -> list[str]:
    """The closest pair, and the layers that both sides have, where there is a choice of these."""
    found = [match for match in matrix.best_match("a") if match.best is not None]
    if not found or matrix.values.numel() == 1:
        return []
    sign = 1 if matrix.meaning.best == "max" else -1
    best = max(found, key=lambda match: sign * match.value)
    lines = [f"  closest: {best.layer!r} of A and {best.best!r} of B, {best.value:.3f}"]
    shared = [name for name in matrix.layers_a if name in matrix.layers_b]
    if len(shared) > 1:
        places = [(matrix.layers_a.index(name), matrix.layers_b.index(name)) for name in shared]
        values = torch.stack([matrix.values[place] for place in places])
        lines.append(f"  {len(shared)} equally named layers: {span_text(values)}")
    return lines
