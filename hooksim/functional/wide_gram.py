"""Gram matrices of rows far wider than they are many, without a centred copy, in float32.

The rows are read once, a few columns at a time: what is centred stays in cache until it is
multiplied. For narrow rows, for float64, and where centred rows are wanted, there is `centre`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.functional.gram import add_panels, mirror_panels, signature_weights

__all__ = ["WideGram", "has_wide_gram", "row_signatures", "wide_gram", "workspace_elements"]

_CHUNK_ELEMENTS = 1 << 21  # of the rows, worked on at once: 8 MiB, for fewer waits between threads
_SIGNATURE_ELEMENTS = 1 << 17  # of the rows in float64: 1 MiB
_ELEMENTS_OF_ACCELERATORS = 1 << 24  # there each turn of a loop costs, not the memory
_PADDING = 16  # columns: rows that are a power of two of bytes apart share few places of the cache
_LARGEST_POWER = 100  # squares of entries from 2^-100 to 2^128 are kept after scaling by up to this
_LEAST_SQUARE = 2.0**-60  # mean squared norm from which squares below 2^-126 add nothing to it
_LEAST_DIVISOR = 2.0**-120  # less than any mean squared norm but 0; float32 holds its reciprocal
_AVERAGED = 16  # rows whose mean is near enough to that of all: a read of all of them is saved
_NEAR_ENOUGH = 0.25  # of a typical squared norm, for the square of what that mean misses
_NEAR = 64.0  # in units of eps: how far equal rows may seem apart, beside the root of the width


class WideGram(NamedTuple):
    """The Gram matrix of centred, scaled rows, and what was taken out of them.

    Attributes:
        kernel: `(n, n)` float32, mean of the diagonal 1 (all 0 where the rows are constant).
        mean: `(d,)` float64; its error is a few float32 units of the column's deviation from it.
        scale: `()` float64, root of the mean squared norm; 0 where the rows are constant.
        finite: `(n,)` bool, False for a row with NaN or infinity.
        signature: `(n,)` float64, the same for equal rows, to the bit.
    """

    kernel: Tensor
    mean: Tensor
    scale: Tensor
    finite: Tensor
    signature: Tensor


def has_wide_gram(dtype: torch.dtype) -> bool:
    """Whether `wide_gram` takes rows of a dtype: those whose numbers float32 holds exactly."""
    return dtype in (torch.float32, torch.float16, torch.bfloat16)


def workspace_elements(n: int, d: int, device: torch.device) -> int:
    """How much memory `wide_gram` works in.

    Args:
        n: Number of rows.
        d: Number of columns.
        device: Where the rows are.

    Returns:
        Elements of float32.
    """
    return n * (_chunk_width(n, d, device, _CHUNK_ELEMENTS) + _PADDING)


def wide_gram(rows: Tensor, out: Tensor | None = None, workspace: Tensor | None = None) -> WideGram:
    """The inner products of centred, scaled rows, as exact as a float32 product of exact ones.

    Columns are shifted by the mean of some of the rows, rounded to float32: a difference of two
    float32 numbers is off by half a unit of itself, however far both are from 0. What the shift
    misses of the mean is taken out of the matrix instead, where it is a mean of its rows. Where
    squares over- or underflow, each chunk is scaled by a power of 2, which rounds nothing.

    Args:
        rows: `(n, d)` of a dtype that `has_wide_gram`.
        out: Where to write the matrix, `(n, n)` float32; new memory if None.
        workspace: `(workspace_elements(n, d, device),)` float32, overwritten; new memory if None,
            which costs a twentieth of the time.

    Returns:
        A `WideGram`; the matrix has no meaning where a row holds NaN or infinity.

    Example:
        >>> found = wide_gram(torch.tensor([[1001.0, 5.0], [1003.0, 5.0]]))
        >>> found.kernel.tolist(), found.mean.tolist(), found.scale.item()
        ([[1.0, -1.0], [-1.0, 1.0]], [1002.0, 5.0], 1.0)
    """
    n, d = rows.shape
    rows = rows.contiguous()  # another layout is another order of summation
    kernel = rows.new_empty((n, n), dtype=torch.float32) if out is None else out
    mean = rows.new_empty(d, dtype=torch.float64)
    # To look whether the numbers are ordinary ones is to wait for the device.
    if workspace is None:
        workspace = kernel.new_empty(workspace_elements(n, d, rows.device))
    memory = workspace.view(n, -1) if n else workspace.view(0, 1)
    if rows.device.type != "cpu" or not _multiply_ordinary(rows, memory, kernel, mean):
        power = _multiply_scaled(rows, memory, kernel, mean)
    else:
        power = kernel.new_ones(())
    mirror_panels(kernel)
    finite = kernel.diagonal() < torch.inf
    scale = _centre_and_scale(kernel) / power
    return WideGram(kernel, mean, scale, finite, _signatures(rows, kernel))


def _multiply_ordinary(rows: Tensor, memory: Tensor, kernel: Tensor, mean: Tensor) -> bool:
    """Write panels of products and means; whether no square was lost, above or below the range."""
    found = _multiply_shifted(rows, memory, kernel, mean, max(1, len(rows) // _AVERAGED))
    if found.missed > _NEAR_ENOUGH * found.typical:  # a few rows far from all others do that
        found = _multiply_shifted(rows, memory, kernel, mean, 1)
    return _LEAST_SQUARE <= found.square <= 1 / _LEAST_SQUARE


class _Shifted(NamedTuple):
    """What is known of rows minus their shift, before the matrix is centred.

    Attributes:
        square: Mean squared norm.
        typical: Its median.
        missed: Squared norm of the mean, which was not quite the shift.
    """

    square: float
    typical: float
    missed: float


def _multiply_shifted(
    rows: Tensor, memory: Tensor, kernel: Tensor, mean: Tensor, step: int
) -> _Shifted:
    """Write panels of products and means, columns shifted by the mean of each `step`-th row."""
    kernel.zero_()
    missed = kernel.new_zeros(())
    for columns, chunk, values, average in _chunks(rows, memory):
        # From the first row, so that a constant column becomes exactly 0.
        shift = (chunk[::step] - chunk[0]).mean(0).add_(chunk[0])
        torch.sub(chunk, shift, out=values)
        left = (average @ values)[0]
        missed += left.dot(left)
        torch.add(left.to(torch.float64), shift, out=mean[columns])
        add_panels(values, kernel)
    squares = kernel.diagonal()
    found = squares.mean(dtype=torch.float64), squares.median(), missed
    return _Shifted(*(float(each) for each in found))


def _multiply_scaled(rows: Tensor, memory: Tensor, kernel: Tensor, mean: Tensor) -> Tensor:
    """The same for any numbers: each chunk is scaled by a power of 2, which is given for the sum.

    It is the power that makes the largest of all entries about 1.
    """
    kernel.zero_()
    power = kernel.new_full((), 2.0**_LARGEST_POWER)
    for columns, chunk, values, average in _chunks(rows, memory):
        shift, own_power = _shift_and_power(chunk)
        before, power = power, torch.minimum(power, own_power)
        kernel *= (power / before).square()
        torch.addcmul(shift * -power, chunk, power, out=values)
        left = (average @ values)[0].to(torch.float64) / power
        torch.add(left, shift, out=mean[columns])
        add_panels(values, kernel)
    return power


def _chunks(rows: Tensor, memory: Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Some columns at a time: which, their float32 values, memory of that shape, and 1/n, (1, n).

    What is in the memory is overwritten by the next ones.
    """
    n, d = rows.shape
    width = _chunk_width(n, d, rows.device, _CHUNK_ELEMENTS)
    average = memory.new_full((1, n), 1 / max(n, 1))
    for begin in range(0, d if n else 0, width):
        columns = slice(begin, begin + width)
        chunk = rows[:, columns].to(torch.float32)
        yield columns, chunk, memory[:, : chunk.shape[1]], average


def _shift_and_power(chunk: Tensor) -> tuple[Tensor, Tensor]:
    """What to take from each column, and the power of 2 that then makes all entries at most 1.

    The shift lies between a column's extremes: of a constant column it is the constant.
    """
    low, high = chunk.amin(0), chunk.amax(0)
    shift = torch.clamp(chunk.mean(0), low, high).nan_to_num_(0.0, 0.0, 0.0)
    # Halves: the difference of the largest numbers overflows.
    reach = (high / 2 - low / 2).amax().nan_to_num(torch.inf).clamp(2.0**-150, 2.0**127)
    exponent = torch.frexp(reach).exponent + 1
    exponent.clamp_(-_LARGEST_POWER, _LARGEST_POWER)
    return shift, torch.ldexp(torch.ones_like(reach), -exponent)


def _centre_and_scale(kernel: Tensor) -> Tensor:
    """Take out the means of rows and columns, and the scale: the root of the diagonal's mean."""
    means = kernel.mean(-1, dtype=torch.float64)
    means -= means.mean() / 2
    means = means.to(kernel.dtype)
    kernel -= means[:, None] + means
    diagonal = kernel.diagonal()
    square = diagonal.mean(dtype=torch.float64).clamp(min=0)
    kernel *= square.clamp(min=_LEAST_DIVISOR).reciprocal().to(kernel.dtype)
    return square.sqrt()


def _chunk_width(n: int, d: int, device: torch.device, elements: int) -> int:
    if device.type != "cpu":
        elements = _ELEMENTS_OF_ACCELERATORS
    return max(1, min(d, elements // max(1, n)))


def _signatures(rows: Tensor, kernel: Tensor) -> Tensor:
    """Signatures of rows, read for only where the kernel shows some that may be equal.

    To ask whether there are any is to wait for the device: on an accelerator they are all read.
    """
    n, d = rows.shape
    if rows.device.type == "cpu" and n:
        tolerance = (_NEAR + d**0.5) * torch.finfo(kernel.dtype).eps
        halves = kernel.diagonal() * ((1 - tolerance) / 2)
        # d^2 > tolerance (K_ii + K_jj), of every sample and the one most like it.
        alike = (kernel - halves).fill_diagonal_(-torch.inf).amax(-1)
        if not (alike < halves).all():
            return row_signatures(rows)
        return torch.arange(n, dtype=torch.float64)
    return row_signatures(rows)


def row_signatures(rows: Tensor) -> Tensor:
    """A number for each row, the same for equal ones, to the bit.

    Args:
        rows: `(n, d)`.

    Returns:
        `(n,)` float64, not finite where the row is not.

    Example:
        >>> one, other, again = row_signatures(torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
        >>> (one == again).item(), (one == other).item()
        (True, False)
    """
    n, d = rows.shape
    found = rows.new_zeros(n, dtype=torch.float64)
    weights = signature_weights(d, rows.device)
    width = _chunk_width(n, d, rows.device, _SIGNATURE_ELEMENTS)
    for begin in range(0, d if n else 0, width):
        columns = slice(begin, begin + width)
        # Contiguous whatever the rows' layout is: another order of summation is another result.
        chunk = rows[:, columns].to(torch.float64, memory_format=torch.contiguous_format)
        found += torch.linalg.vecdot(chunk, weights[columns])
    return found
