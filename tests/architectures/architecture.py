"""One entry of the table of architectures, and the batches that its models take."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

BATCHES = (0, 1, 2)
SIZE = 6

ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


class Architecture(NamedTuple):
    """What is built, what it takes, and which layers a person would draw.

    Attributes:
        make: Builds the model: a function, or the name of a class of transformers.
        batch: Gives a batch, a mapping or a tensor, from a number.
        layers: The default layers.
        settings: Of the class's configuration.
        axis: The names on the axes where they differ: layers called several times, or never.
        padding: The sides on which padding changes nothing, where the model takes a mask: both
            where positions are relative or counted from the mask, the right one where they are
            counted from the left.
        forward: The user's own call, for models that a batch alone does not call.
        rows: The row policy.
    """

    make: str | Callable[[], nn.Module]
    batch: Callable[[int], Any]
    layers: list[str]
    settings: Mapping[str, Any] = MappingProxyType({})
    axis: list[str] | None = None
    padding: tuple[str, ...] = ()
    forward: Callable[[nn.Module, Any], Any] | None = None
    rows: Any = "auto"

    def build(self, seed: int) -> nn.Module:
        """Build the model from random weights."""
        torch.manual_seed(seed)
        if not isinstance(self.make, str):
            return self.make()
        import transformers

        model = getattr(transformers, self.make)
        return model(model.config_class(**self.settings))

    def call(self, model: nn.Module) -> Any:
        """Call a model as its users do."""
        batch = self.batch(0)
        if self.forward is not None:
            return self.forward(model, batch)
        return model(**batch) if isinstance(batch, dict) else model(batch)


def numbered(*rows: str) -> list[str]:
    """Name layers: `"layers x2"` for `layers.0` and `layers.1`."""
    counted = [row.split(" x") for row in rows]
    return [f"{row}.{index}" for row, count in counted for index in range(int(count))]


def text(number: int, tokens: int = 8) -> dict[str, Tensor]:
    """Sequences of several lengths, padded on the right; the last one fills the batch."""
    lengths = torch.tensor([4 + (number + index) % (tokens - 4) for index in range(SIZE)])
    lengths[-1] = tokens
    mask = torch.arange(tokens) < lengths[:, None]
    return {"input_ids": ids(number, tokens) * mask, "attention_mask": mask.long()}


def pairs(number: int) -> dict[str, Tensor]:
    """Sequences for an encoder, and others for its decoder."""
    decoder = {f"decoder_{key}": value for key, value in text(number + 10, 8).items()}
    return {**text(number), **decoder}


def images(number: int, size: int = 16, channels: int = 3) -> dict[str, Tensor]:
    """Images of noise."""
    return {"pixel_values": torch.randn(SIZE, channels, size, size, generator=seeded(number))}


def captions(number: int) -> dict[str, Tensor]:
    """Images and sequences that belong together."""
    return {**text(number), **images(number)}


def waves(number: int, steps: int = 120) -> dict[str, Tensor]:
    """Raw audio of several lengths."""
    values = torch.randn(SIZE, steps, generator=seeded(number))
    lengths = torch.tensor([steps - 10 * index for index in range(SIZE)])
    mask = torch.arange(steps) < lengths[:, None]
    return {"input_values": values * mask, "attention_mask": mask.long()}


def ids(number: int, tokens: int) -> Tensor:
    """Token ids, none of them special."""
    return torch.randint(3, 59, (SIZE, tokens), generator=seeded(number))


def vectors(number: int, shape: tuple[int, ...]) -> Tensor:
    """Plain input of the given shape."""
    return torch.randn(SIZE, *shape, generator=seeded(number))


def seeded(number: int) -> torch.Generator:
    """Random numbers that do not depend on other tests."""
    return torch.Generator().manual_seed(number)
