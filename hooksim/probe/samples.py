"""The loader of a probe: read at every measure, with the same samples in the same order."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import (
    DistributedSampler,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from hooksim.capture.layers import unwrap
from hooksim.capture.placement import other_precision
from hooksim.errors import ConfigError, HooksimError
from hooksim.loading.wording import first_line

__all__ = ["SAME_SAMPLES", "check_loader", "saying_what_differs"]

SAME_SAMPLES = (
    "A probe's loader must give the same samples in the same order at each measure, those of its "
    "references: use shuffle=False and no random augmentation."
)
"""What to do about samples that differ."""

_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


def check_loader(loader: Any) -> None:
    """Refuse what cannot give the same samples again, as far as that can be seen.

    Args:
        loader: What a probe is given.

    Raises:
        ConfigError: It is no iterable of batches, can be read only once, or shuffles.
    """
    if not isinstance(loader, Iterable) or isinstance(loader, Mapping | str):
        raise ConfigError(f"loader: expected an iterable of batches, got {type(loader).__name__}.")
    if isinstance(loader, Iterator):
        raise ConfigError(
            f"loader: a {type(loader).__name__} can be read only once, and every measure reads it. "
            "Give a DataLoader or a list of batches."
        )
    for sampler in _samplers(loader):
        if isinstance(sampler, _RANDOM) or _shuffles_shares(sampler):
            raise ConfigError(
                f"loader: it shuffles ({type(sampler).__name__}), so that each measure would see "
                "the samples in another order. Use shuffle=False; a data set that is sorted is "
                "shuffled once and for all by torch.utils.data.Subset(dataset, "
                "torch.randperm(len(dataset)).tolist())."
            )


@contextmanager
def saying_what_differs(
    model: nn.Module, loader: Iterable[Any], *, own_call: bool
) -> Iterator[None]:
    """Say what to do where a forward fails on samples of another precision than the model's.

    Args:
        model: The model that reads the samples.
        loader: Of the probe.
        own_call: Whether the user's own function calls the model, and may cast by itself.

    Yields:
        None.

    Raises:
        HooksimError: A forward failed, and the model's parameters have another precision.
    """
    try:
        yield
    except HooksimError:
        raise
    except Exception as error:
        given = {} if own_call else _named(next(iter(loader), None))
        differs = other_precision(unwrap(model), given).removeprefix("; ").partition(":")[0]
        if not differs:
            raise
        raise HooksimError(
            f"loader: the model cannot read its batches: {differs}, which the batches are not "
            f"({first_line(error)}). Cast them as the training does: Probe(..., forward=lambda "
            "model, batch: model(batch.to(next(model.parameters()).dtype))); a reference in "
            "another precision is read right by that too."
        ) from error


def _named(batch: Any) -> dict[str, Any]:
    """Whatever a batch holds, under any name."""
    return {str(place): each for place, each in enumerate(tree_leaves(batch))}


def _samplers(loader: Any) -> list[Any]:
    """Whatever orders the samples of a DataLoader."""
    batches = getattr(loader, "batch_sampler", None)
    found = [getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)]
    return [sampler for sampler in found if sampler is not None]


def _shuffles_shares(sampler: Any) -> bool:
    return isinstance(sampler, DistributedSampler) and sampler.shuffle
