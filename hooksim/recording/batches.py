"""The loader of a comparison of recordings: which samples make a batch."""

from collections.abc import Sequence
from itertools import accumulate

from hooksim.errors import AlignmentError, ConfigError
from hooksim.recording.recording import Recording

__all__ = ["recorded_batches"]

_BATCH = 1024  # samples, where it makes no difference


def recorded_batches(
    recordings: Sequence[Recording], *, batch: bool, max_samples: int | None = None
) -> list[range]:
    """Cut the samples of recordings into batches.

    Args:
        recordings: The sides, all of them.
        batch: Whether results depend on the batches, which must then be those of all recordings.
        max_samples: How many samples to give; None for all.

    Returns:
        The positions of each batch's samples.

    Raises:
        AlignmentError: The recordings hold other numbers of samples.
        ConfigError: They have no batches, or other ones, and these matter.

    Example:
        >>> import torch
        >>> recording = Recording.from_tensors({"x": torch.zeros(1500, 2)})
        >>> recorded_batches([recording], batch=False, max_samples=1100)
        [range(0, 1024), range(1024, 1100)]
    """
    n_samples = _common_count(recordings, max_samples)
    cuts = [_cut(each.batch_lengths, n_samples) for each in recordings]
    if batch:
        _check_cuts(cuts)
    lengths = cuts[0]
    if lengths is None:
        lengths = [min(_BATCH, n_samples - start) for start in range(0, n_samples, _BATCH)]
    ends = accumulate(lengths)
    return [range(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _common_count(recordings: Sequence[Recording], max_samples: int | None) -> int:
    counts = [each.n_samples for each in recordings]
    read = {count if max_samples is None else min(count, max_samples) for count in counts}
    if len(read) > 1:
        kinds = ["" if each.complete else " (incomplete)" for each in recordings]
        listed = " and ".join(f"{n}{kind}" for n, kind in zip(counts, kinds, strict=True))
        raise AlignmentError(
            f"the recordings hold {listed} samples. Both must be of the same samples in the same "
            f"order; max_samples={min(counts)} compares the first {min(counts)} of each."
        )
    return read.pop()


def _cut(lengths: Sequence[int] | None, n_samples: int) -> list[int] | None:
    """The lengths of the batches up to a number of samples."""
    if lengths is None:
        return None
    left, cut = n_samples, []
    for length in lengths:
        cut.append(min(length, left))
        left -= cut[-1]
    return [length for length in cut if length]


def _check_cuts(cuts: Sequence[list[int] | None]) -> None:
    if any(cut is None for cut in cuts):
        raise ConfigError(
            "block_size='batch' needs a recording made by record(), which knows its batches; one "
            "made by from_tensors has none. Use 'auto', 'all' or an integer."
        )
    for cut in cuts[1:]:
        if cut != cuts[0]:
            raise ConfigError(
                "block_size='batch' needs recordings with the same batches, but their lengths "
                f"differ: {_few(cuts[0])} and {_few(cut)}. Use 'auto', 'all' or an integer."
            )


def _few(lengths: list[int] | None) -> str:
    listed = [str(length) for length in lengths or ()]
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")
