"""How many rows make a block: what the user says, what fits, and what is made of the rest."""

from typing import Literal

__all__ = ["AUTO_SIZES", "ROW_BUDGET", "BlockSize", "automatic_size", "block_sizes"]

BlockSize = int | Literal["batch", "auto"]

AUTO_SIZES = (2048, 1024, 512, 256)
ROW_BUDGET = 2 << 30  # bytes for the rows of one block, all sides together


def automatic_size(row_bytes: int) -> BlockSize:
    """The largest usual block whose rows fit the budget, else one block a batch.

    Args:
        row_bytes: Bytes that one sample's rows take, all layers of all sides together.

    Example:
        >>> automatic_size(26 * 768 * 4), automatic_size(50 << 20)
        (2048, 'batch')
    """
    for size in AUTO_SIZES:
        if size * row_bytes <= ROW_BUDGET:
            return size
    return "batch"


def block_sizes(n: int, size: int, minimum: int = 1) -> list[int]:
    """Cut rows into blocks; what remains makes one block, or two of nearly equal size.

    Args:
        n: Rows in all.
        size: Rows to a block.
        minimum: The fewest rows that a block may have.

    Returns:
        The blocks' sizes in order.

    Example:
        >>> block_sizes(450, 2048), block_sizes(1797, 512)
        ([450], [512, 512, 387, 386])
    """
    full = max(n // size - 1, 0)
    left = n - full * size
    if left < max(1.5 * size, 2 * minimum):
        return [size] * full + [left]
    return [size] * full + [left - left // 2, left // 2]
