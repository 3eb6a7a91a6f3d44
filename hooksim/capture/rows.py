"""The row policy: which numbers of an activation stand for a sample."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import NoneType
from typing import NamedTuple

import torch
from torch import Tensor

from hooksim.capture.masks import TokenMask
from hooksim.capture.policies import POLICIES, wide_dtype
from hooksim.errors import ConfigError, NoRowsError, ShapeError
from hooksim.spelling import close_names

__all__ = ["Rows", "TakenRows", "as_rows", "batch_first_hint", "take_rows"]

_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "normalize": ((bool,), "True or False"),
    "mask": ((str,), "the key of a mask in the batch"),
    "output_index": ((Integral, str, NoneType), "a whole number, a name or None"),
    "batch_dim": ((Integral,), "a whole number"),
    "channel_dim": ((Integral, NoneType), "a whole number or None"),
    "mask_is_padding": ((bool, NoneType), "True, False or None"),
}


@dataclass(frozen=True)
class Rows:
    """How the activation of a layer becomes a matrix with one row a sample.

    | policy | `(B, D)` | `(B, T, D)` | `(B, C, H, W)` |
    |---|---|---|---|
    | `auto` | as is | mean over real tokens | flatten |
    | `flatten` | as is | `(B, T*D)`, sequences of equal length only | `(B, C*H*W)` |
    | `mean` | as is | mean over real tokens | mean over positions |
    | `cls`, `last` | as is | first, last real token | error |
    | `token` | error | `(real tokens, D)` | error |

    Args:
        policy: One of the names above.
        normalize: Scale every row to length 1, so that similarity is by cosine.
        mask: Key of the batch's mask of real tokens. Where the usual one is missing, torch's
            `src_key_padding_mask` is read, and `tgt_key_padding_mask` for a decoder.
        mask_is_padding: Whether the ones of the mask are the padding. None goes by its name: they
            are in `*key_padding_mask`; of a `padding_mask` it has to be said.
        output_index: Which element of a layer's output to take: its position in the tuple or
            dict, or its name as the notes of a result write it, such as `"1.0"` for the first
            element of the second. None takes the first floating tensor with the batch in front;
            so it is within an element that holds several.
        batch_dim: The activation's batch dimension: 1 for `(T, B, D)`. The loader's items have
            the batch in front whatever the model wants: samples are counted, cut and matched
            there. For a model that takes `(T, B, D)`, such as an `nn.LSTM` as it comes, give
            `(B, T, D)` and `forward=lambda model, batch: model(batch.transpose(0, 1))`.
        channel_dim: The channels of an activation; -1 for channels-last. None is dimension 1 of a
            4-D activation, where only `mean` reads it. Of a 3-D one it is the last, `(B, T, D)`, or
            dimension 1 of `(B, C, L)`, where a 1-D convolution, or a norm or pooling of that kind,
            made it: then the L steps stand for the tokens.

    Raises:
        ConfigError: The policy is not known, or another argument is of no such kind.

    Example:
        >>> Rows("mean", normalize=True).policy
        'mean'
        >>> Rows("maen")
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: rows: no policy 'maen'. Close names: 'mean'...
    """

    policy: str = "auto"
    normalize: bool = False
    mask: str = "attention_mask"
    output_index: int | str | None = None
    batch_dim: int = 0
    channel_dim: int | None = None
    mask_is_padding: bool | None = None

    def __post_init__(self) -> None:
        if self.policy not in tuple(POLICIES):  # a list is none, and has no hash
            raise ConfigError(
                f"rows: no policy {self.policy!r}. {close_names(str(self.policy), POLICIES)}"
                f"Known: {', '.join(map(repr, POLICIES))}."
            )
        for name, (kinds, expected) in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise ConfigError(f"rows: {name}: expected {expected}, got {value!r}.")


class TakenRows(NamedTuple):
    """The rows of one activation.

    Attributes:
        values: `(n, d)`, float32, or float64 for a float64 activation.
        groups: For token rows `(n,)` int64, the sample of each row; else None.
        tokens: For token rows the mask they were taken by; else None.
    """

    values: Tensor
    groups: Tensor | None
    tokens: TokenMask | None


def as_rows(rows: "str | Rows") -> Rows:
    """Accept a policy by its name.

    Args:
        rows: A policy's name or a whole row policy.

    Returns:
        The row policy.

    Raises:
        ConfigError: The name is not known.

    Example:
        >>> as_rows("cls")
        Rows(policy='cls', normalize=False, mask='attention_mask', output_index=None, ...)
    """
    return rows if isinstance(rows, Rows) else Rows(rows)


def batch_first_hint(rows: Rows, size: int | None, shapes: Iterable[Sequence[int]]) -> str:
    """Say what to do about a batch that is not where `batch_dim` says.

    Args:
        rows: The row policy.
        size: Number of samples, if known.
        shapes: What the layer gave.

    Returns:
        Sentences for the end of a message, the first one's full stop in front; empty for the
        usual dimension, unless the samples stand in the next one.

    Example:
        >>> batch_first_hint(Rows(), 3, [(3, 5, 32)])
        ''
        >>> batch_first_hint(Rows(), 3, [(5, 3, 32)])
        '. Dimension 1 is 3 long: of a model that puts time first inside, take
        rows=hooksim.Rows(batch_dim=1).'
    """
    if rows.batch_dim == 0:
        if not any(len(shape) > 2 and shape[1] == size for shape in shapes):
            return ""
        return (
            f". Dimension 1 is {size} long: of a model that puts time first inside, take "
            "rows=hooksim.Rows(batch_dim=1)."
        )
    return (
        ". Samples are counted in dimension 0 of the input, whatever the model wants: give "
        "batches (B, T, ...) and, where it takes (T, B, ...), forward=lambda model, batch: "
        "model(batch.transpose(0, 1))."
    )


def take_rows(
    activation: Tensor,
    rows: Rows,
    *,
    size: int,
    mask_of: Callable[[int], TokenMask | None] | None = None,
    own: bool = True,
) -> TakenRows:
    """Turn an activation into rows.

    Args:
        activation: The output of a layer, `(B,)` to 5-D. What is quantized, sparse or sharded
            over processes is taken as the plain tensor that it stands for.
        rows: The row policy.
        size: Number of samples B of the batch.
        mask_of: Gives the mask for a layer of T tokens, or None where all are real.
        own: Whether the rows are kept, and so must not share memory with the activation. False
            where they are used up before the hook returns.

    Returns:
        Rows `(n, d)`, n the number of samples, or of real tokens for the policy `token`.

    Raises:
        NoRowsError: The policy takes no rows from this shape, it has no batch of this size or no
            such dimension for channels, or it holds no real numbers.
        ShapeError: The mask does not fit.
        ConfigError: The policy `mean` has the batch of a 4-D activation named as its channels.

    Example:
        >>> tokens = torch.arange(12.0).reshape(2, 3, 2)
        >>> take_rows(tokens, Rows("mean"), size=2).values
        tensor([[2., 3.],
                [8., 9.]])
    """
    plain = _plain(activation.detach())
    batch = _batch_in_front(plain, rows, size)
    policy = POLICIES[rows.policy].get(batch.ndim)
    if policy is None:
        raise NoRowsError(_no_policy(rows.policy, plain))
    channel = _channel(tuple(plain.shape), rows)
    if batch.ndim == 3 and channel == 1:
        batch = batch.transpose(1, 2)
    tokens = None if mask_of is None or batch.ndim != 3 else mask_of(batch.shape[1])
    if mask_of is not None and batch.ndim > 3:
        _refuse_padding(batch, rows.policy, mask_of)
    tokens = tokens or TokenMask(size, batch.shape[1])
    values = policy(batch, tokens, channel)
    values = values.to(wide_dtype(values.dtype))
    if rows.normalize:
        values = _unit_rows(values)
    if own and _share_memory(values, plain):
        values = values.clone(memory_format=torch.contiguous_format)
    values = values.contiguous()  # so that what is kept and what is used up give the same bits
    if rows.policy != "token":
        return TakenRows(values, None, None)
    return TakenRows(values, tokens.items_on(values.device), tokens)


def _plain(activation: Tensor) -> Tensor:
    """Give the plain tensor that an activation stands for; itself where it is one."""
    if activation.is_nested:
        raise NoRowsError(
            "its output is a nested tensor, of sequences that differ in length. Let the model pad "
            "them, or select another layer."
        )
    if not (activation.is_floating_point() or activation.is_quantized):
        raise NoRowsError(
            f"its output is of type {activation.dtype}, not floating point. Select another layer."
        )
    if hasattr(activation, "full_tensor"):  # a DTensor, which each process has a part of
        activation = activation.full_tensor()
    if activation.is_quantized:
        activation = activation.dequantize()
    return activation if activation.layout is torch.strided else activation.to_dense()


def _batch_in_front(activation: Tensor, rows: Rows, size: int) -> Tensor:
    shape = tuple(activation.shape)
    if not -len(shape) <= rows.batch_dim < len(shape) or shape[rows.batch_dim] != size:
        raise NoRowsError(
            f"its output {shape} has no batch of {size} samples in dimension {rows.batch_dim}"
            + (batch_first_hint(rows, size, [shape]) or ". Select the layer around it, or another.")
        )
    if not activation.numel():
        raise NoRowsError(f"its output {shape} holds no numbers. Select another layer.")
    batch = activation.movedim(rows.batch_dim, 0)
    return batch[:, None] if batch.ndim == 1 else batch


def _refuse_padding(batch: Tensor, policy: str, mask_of: Callable[[int], TokenMask | None]) -> None:
    """Refuse heads or maps of attention over padded tokens, which would be rows of padding too."""
    for length in dict.fromkeys(batch.shape[1:]):
        try:
            tokens = mask_of(length)
        except ShapeError:  # no dimension of tokens
            continue
        if tokens is not None and not tokens.full:
            raise NoRowsError(
                f"its output {tuple(batch.shape)} holds {length} tokens of which the mask marks "
                f"some as padding, and policy {policy!r} cannot leave them out. Select the layer "
                "around it."
            )


def _channel(shape: tuple[int, ...], rows: Rows) -> int:
    """Give the channel dimension once the batch is in front; 0 where it is the batch's."""
    ndim = len(shape)
    if rows.channel_dim is None and ndim == 3:
        return 2
    wanted = 1 if rows.channel_dim is None else rows.channel_dim
    is_read = ndim == 3 or (ndim == 4 and rows.policy == "mean")
    if is_read and not -ndim <= wanted < ndim:
        raise NoRowsError(
            f"its output {shape} has no dimension {wanted} for channels. Use channel_dim=-1 for "
            "the last one."
        )
    channel, batch = wanted % ndim, rows.batch_dim % ndim
    if channel == batch:
        return 0
    return channel + 1 if channel < batch else channel


def _unit_rows(values: Tensor) -> Tensor:
    # Divided by the largest entry first: squares of 1e-30 underflow. A zero row stays zero.
    largest = values.abs().amax(dim=1, keepdim=True)
    scaled = values / largest.where(largest > 0, 1)
    length: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled.div(length.where(length > 0, 1))


def _share_memory(values: Tensor, activation: Tensor) -> bool:
    return values.untyped_storage().data_ptr() == activation.untyped_storage().data_ptr()


def _no_policy(policy: str, activation: Tensor) -> str:
    shape = tuple(activation.shape)
    others = [name for name, by_ndim in POLICIES.items() if max(len(shape), 2) in by_ndim]
    advice = f"Use rows={' or '.join(map(repr, others))}." if others else "Select other layers."
    return f"policy {policy!r} takes no rows from its {len(shape)}-D output {shape}. {advice}"
