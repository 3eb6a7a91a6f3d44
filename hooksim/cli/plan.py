"""What a run would read and how it would cut it: the last lines of `--dry-run`."""

import json
from collections.abc import Iterable, Sequence, Sized
from typing import Any

from torch.utils.data import DataLoader

from hooksim.blocks.sizes import automatic_size, block_sizes
from hooksim.cli.columns import in_columns
from hooksim.cli.comparing import Inputs
from hooksim.cli.listing import COLUMNS_EXPLAINED, as_data, table
from hooksim.cli.survey import Side
from hooksim.errors import AlignmentError
from hooksim.recording import Recording

__all__ = ["check_length", "plan", "sample_count"]


def plan(
    sides: Sequence[Side],
    inputs: Inputs,
    *,
    as_json: bool = False,
    row_bytes: int | None = None,
) -> str:
    """Say what a run would read and how it would cut it.

    Args:
        sides: The surveyed sides.
        inputs: What they were surveyed with.
        as_json: One line of JSON instead of tables.
        row_bytes: Bytes of one row of every side together, where these are more than those
            surveyed.

    Returns:
        Text that ends in a newline.

    Raises:
        AlignmentError: A recording does not hold as many samples as are read.
    """
    if row_bytes is None:
        row_bytes = sum(side.row_bytes for side in sides)
    asked = inputs.options.get("block_size", "auto")
    block_size: Any = automatic_size(row_bytes) if asked == "auto" else asked
    loader = inputs.batches()
    batches = len(loader) if isinstance(loader, Sized) else None
    limit = inputs.options.get("max_samples")
    samples = sample_count(loader, limit)
    for name, side in zip("AB", inputs[:2], strict=True):
        check_length(f"recording {name}", side, samples, limit)
    first = sides[0]
    rows = samples if first.items == first.n_rows else None  # tokens are counted as they come
    blocks = None if rows is None else _blocks(rows, block_size)
    if as_json:
        content = {
            "block_size": block_size,
            "blocks": blocks,
            "samples": samples,
            "batches": batches,
            "batch_samples": first.items,
            "batch_rows": first.n_rows,
            "row_bytes": row_bytes,
            "sides": [as_data(side) for side in sides],
        }
        return json.dumps(content) + "\n"
    summary = in_columns(
        f"{_count(samples, 'samples')} in {_count(batches, 'batches')}; "
        f"first batch: {first.items:,} samples, {first.n_rows:,} rows; "
        f"{row_bytes:,} bytes a row of all layers; {_cut(block_size, blocks, row_bytes, asked)}"
    )
    return "\n".join([*map(table, sides), COLUMNS_EXPLAINED, f"{summary}\n"])


def sample_count(loader: Iterable[Any], limit: int | None = None) -> int | None:
    """Count the samples of a loader without reading it.

    Args:
        loader: Ours, which know, those of recordings, or torch's over a sized data set.
        limit: Most samples that are read.

    Returns:
        The number; None where the loader does not say.

    Example:
        >>> sample_count(DataLoader(range(10), batch_size=4)), sample_count(iter([1]))
        (10, None)
    """
    known = getattr(loader, "n_samples", None)
    if isinstance(loader, list) and all(isinstance(batch, range) for batch in loader):
        known = sum(map(len, loader))  # positions in recordings
    if known is None and isinstance(loader, DataLoader) and not loader.drop_last:
        sampled = loader.batch_size is not None and isinstance(loader.sampler, Sized)
        known = len(loader.sampler) if sampled else None  # type: ignore[arg-type]
    if not isinstance(known, int):
        return None
    return known if limit is None else min(known, limit)


def check_length(name: str, side: Any, samples: int | None, limit: int | None) -> None:
    """Refuse a recording of more or fewer samples than are read, as the run would at its end.

    Args:
        name: What the side is called.
        side: A recording; of anything else there is nothing to be said.
        samples: How many are read, as far as that is known.
        limit: Most samples that are read.

    Raises:
        AlignmentError: Their numbers differ.
    """
    if not isinstance(side, Recording) or samples is None:
        return
    if samples > side.n_samples or (samples < side.n_samples and samples != limit):
        raise AlignmentError(
            f"{name} holds {side.n_samples:,} samples, but {samples:,} are read. Both sides must "
            "be of the same samples in the same order; max_samples="
            f"{min(samples, side.n_samples)} compares only the first of them."
        )


def _count(number: int | None, noun: str) -> str:
    return f"an unknown number of {noun}" if number is None else f"{number:,} {noun}"


def _blocks(rows: int, block_size: Any) -> list[int] | None:
    """The sizes of the blocks, where they do not depend on the batches."""
    if block_size == "batch":
        return None
    return [rows] if block_size == "all" else block_sizes(rows, block_size)


def _cut(block_size: Any, blocks: list[int] | None, row_bytes: int, asked: Any) -> str:
    if block_size == "all":
        size = "unknown size" if blocks is None else f"{blocks[0] * row_bytes / 2**20:,.1f} MiB"
        return f"one block of all, rows of {size} kept"
    if block_size == "batch":
        return "one block a batch"
    held = 2 * block_size if blocks is None else min(2 * block_size, sum(blocks))
    if blocks is None:
        cut = f"blocks of {block_size:,} rows"
    elif len(blocks) == 1:
        unfilled = asked != "auto" and blocks[0] < asked
        fewer = f" (fewer than block_size, {asked:,})" if unfilled else ""
        cut = f"one block of {blocks[0]:,}{fewer}"
    else:
        cut = f"{len(blocks):,} blocks of {min(blocks):,} to {max(blocks):,}"
    return f"{cut}, at most {held * row_bytes / 2**20:,.1f} MiB of rows held"
