"""What a run holds, and what to lower where the memory was too little."""

from hooksim.capture.out_of_memory import in_mebibytes
from hooksim.run import Run

__all__ = ["held_by"]


def held_by(run: Run) -> str:
    """Say what a run holds, and what to make smaller.

    Args:
        run: Any.
    """
    n, row_bytes, layers, gram_bytes = run.memory
    return (
        f"with {n:,} rows of {layers} layers held, {in_mebibytes(row_bytes)}, and Gram matrices of "
        f"{in_mebibytes(gram_bytes)} a block. Lower block_size, memory_budget or the number of "
        "layers (layers_a, layers_b)."
    )
