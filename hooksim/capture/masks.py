"""Which tokens of a batch are real: the facts of an attention mask, read once on the CPU."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from hooksim.capture.mask_forms import kept_tokens
from hooksim.errors import ShapeError

__all__ = ["TokenMask"]


class TokenMask:
    """The real tokens of a batch of sequences.

    A mask of all ones is the same as none: it is `full` and costs nothing. What a policy needs is
    worked out on the CPU and moved to the activation's device once a batch, so that taking rows
    never waits for the device.

    Attributes:
        size: Number of sequences.
        length: Number of tokens of each, padding included.
        keep: `(size, length)` bool on the CPU, True for real tokens; None where all are real.
    """

    def __init__(self, size: int, length: int, keep: Tensor | None = None) -> None:
        self.size = size
        self.length = length
        self.keep = None if keep is None or bool(keep.all()) else keep
        self._moved: dict[tuple[str, torch.device], Tensor] = {}

    @classmethod
    def read(cls, mask: Tensor, key: str, marks_padding: bool = False) -> "TokenMask":
        """Read a batch's mask.

        Args:
            mask: `(size, length)`, nonzero for real tokens, any dtype, any device; or one of the
                forms that attention takes: see `kept_tokens`.
            key: Its key in the batch, for messages.
            marks_padding: Whether it is nonzero for padding instead.

        Returns:
            The facts of the mask.

        Raises:
            ShapeError: The mask has another shape, or a sequence has no real token.
        """
        keep = kept_tokens(mask, marks_padding)
        if keep is None:
            raise ShapeError(
                f"mask {key!r}: shape {tuple(mask.shape)}, expected (samples, tokens). "
                "Give another key with Rows(mask=...)."
            )
        empty = (~keep.any(dim=1)).nonzero().flatten()
        if len(empty):
            raise ShapeError(
                f"mask {key!r}: sample {int(empty[0])} of the batch has no real token, "
                "so it has no row. Leave empty sequences out of the data"
                + ("." if marks_padding else ", or say Rows(mask_is_padding=True) of its ones.")
            )
        return cls(keep.shape[0], keep.shape[1], keep)

    def among(self, left: int, length: int) -> "TokenMask":
        """Give the mask of the same tokens among others, which are none of the input's.

        Args:
            left: How many stand in front of them.
            length: How many there are in all.

        Returns:
            The wider mask.
        """
        keep = torch.zeros(self.size, length, dtype=torch.bool)
        keep[:, left : left + self.length] = self._kept
        return TokenMask(self.size, length, keep)

    @property
    def full(self) -> bool:
        """Whether every token is real."""
        return self.keep is None

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Number of real tokens of each sequence, known on the CPU."""
        return tuple(self._kept.sum(dim=1).tolist())

    def same_tokens(self, other: "TokenMask") -> bool:
        """Tell whether two masks keep the same tokens.

        Args:
            other: A mask of the same batch.

        Returns:
            True where size, length and real tokens agree.
        """
        if self is other:
            return True
        if (self.size, self.length, self.full) != (other.size, other.length, other.full):
            return False
        return self.keep is None or other.keep is None or torch.equal(self.keep, other.keep)

    def keep_on(self, device: torch.device) -> Tensor:
        """Give the mask on a device.

        Args:
            device: Where the activation is.

        Returns:
            `(size, length)` bool, True for real tokens.
        """
        return self._on("keep", device, lambda: self._kept)

    def padding_on(self, device: torch.device) -> Tensor:
        """Give the padding on a device, to fill activations with.

        Args:
            device: Where the activation is.

        Returns:
            `(size, length, 1)` bool, True for padding.
        """
        return self._on("padding", device, lambda: ~self._kept[:, :, None])

    def counts_on(self, device: torch.device) -> Tensor:
        """Give the number of real tokens of each sequence.

        Args:
            device: Where the activation is.

        Returns:
            `(size, 1)` int64.
        """
        return self._on("counts", device, lambda: self._kept.sum(dim=1, keepdim=True))

    def positions_on(self, device: torch.device) -> Tensor:
        """Give the places of the real tokens in the flattened batch.

        Args:
            device: Where the activation is.

        Returns:
            `(real tokens,)` int64, ascending, into `size * length`.
        """
        return self._on("positions", device, lambda: self._positions)

    def items_on(self, device: torch.device) -> Tensor:
        """Give the sequence that each real token belongs to.

        Args:
            device: Where the activation is.

        Returns:
            `(real tokens,)` int64, non-decreasing from 0.
        """
        return self._on("items", device, lambda: self._positions // self.length)

    @cached_property
    def _kept(self) -> Tensor:
        if self.keep is None:
            return torch.ones(self.size, self.length, dtype=torch.bool)
        return self.keep

    @cached_property
    def _positions(self) -> Tensor:
        return self._kept.flatten().nonzero().flatten()

    def _on(self, name: str, device: torch.device, make: Callable[[], Tensor]) -> Tensor:
        if (name, device) not in self._moved:
            self._moved[name, device] = make().to(device, non_blocking=True)
        return self._moved[name, device]
