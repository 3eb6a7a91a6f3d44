"""Memory for kernel matrices that is written to again and again."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["KernelMemory"]


class KernelMemory:
    """Memory for the Gram matrices of one block after the other, or for some rows of them.

    Fresh memory costs more time than what is written to it.
    """

    def __init__(self) -> None:
        self._held: Tensor | None = None

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor with arbitrary content; it is valid until the next one is taken or lent.

        Args:
            shape: Of the tensor.
            dtype: Of the tensor.
            device: Of the tensor.
        """
        size = torch.Size(shape).numel()
        held = self._held
        if held is None or held.dtype != dtype or held.device != device or held.numel() < size:
            held = self._held = None  # let go before there is more
            held = self._held = torch.empty(size, dtype=dtype, device=device)
        return held[:size].view(shape)

    @contextmanager
    def lent(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> Iterator[Tensor]:
        """Like `take`, for the time of a `with`: who else asks in it gets memory of its own.

        Args:
            shape: Of the tensor.
            dtype: Of the tensor.
            device: Of the tensor.
        """
        tensor = self.take(shape, dtype, device)
        held, self._held = self._held, None
        try:
            yield tensor
        finally:
            self._held = held
