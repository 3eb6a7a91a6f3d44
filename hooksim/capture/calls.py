"""From a loader item to one model's call: what is passed, what is left out, and the sample ids."""

from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, signature
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from hooksim.capture.batches import PairedBatch, batch_size, holds_samples, move_batch
from hooksim.capture.decoder_inputs import derived_decoder_inputs
from hooksim.capture.fingerprints import fingerprints
from hooksim.capture.lost_masks import refuse_lost_masks
from hooksim.errors import AlignmentError, ConfigError

__all__ = [
    "Call",
    "Forward",
    "ModelCaller",
    "forward_parameters",
    "id_texts",
    "sample_ids",
    "sample_marks",
]

Forward: TypeAlias = Callable[[nn.Module, Any], Any]
"""`(model, batch) -> anything`: a user's own way to call the model."""

_SAMPLE_IDS = "sample_ids"
_LABELS = ("start_positions", "end_positions")
_ALWAYS = {"use_cache": False, "return_dict": True}


class Call(NamedTuple):
    """One model's call for one batch.

    Attributes:
        run: Calls the model.
        size: Number of samples.
        given: What tells samples apart, as it came: what is passed, by name; an argument without
            a name by "". To a user's own call the whole batch is passed: a mapping by its keys
            without labels, a tuple's first element likewise, its others by their positions.
        inputs: The batch's mapping as it came, for its masks, or its first element's; empty where
            there is none; and what was made for a decoder.
        passed: The arguments on the model's device; what has no name by "".
        ids: Sample ids, or None.
        ignored: What was not passed: keys of a mapping or positions of a tuple.
        decoder_reads: The key of the batch that the decoder's tokens were made of; empty where
            none were made.
    """

    run: Callable[[], Any]
    size: int
    given: Mapping[str, Any]
    inputs: Mapping[str, Any]
    passed: Mapping[str, Any]
    ids: list[str] | None
    ignored: tuple[str, ...]
    decoder_reads: str = ""


class ModelCaller:
    """Knows how one model is called with a loader item.

    Args:
        model: The unwrapped model.
        side: Which half of a PairedBatch it takes; `both` where one model stands for both sides,
            which a PairedBatch cannot serve.
        forward: A user's own call, or None.
        masks: Keys of the masks that row policies ask for, which an open `**kwargs` accepts.

    Raises:
        ConfigError: The user's own call cannot be called.
    """

    def __init__(
        self, model: nn.Module, side: str, forward: Forward | None, masks: frozenset[str]
    ) -> None:
        if forward is not None and not callable(forward):
            raise ConfigError(
                f"forward: expected a function of a model and a batch, got {forward!r}."
            )
        self.model = model
        self.side = side
        self.forward = forward
        self._masks = masks
        self._named, self._open = _accepted(model, masks)
        self._extra = {key: value for key, value in _ALWAYS.items() if key in self._named}

    def prepare(self, item: Any, device: torch.device) -> Call:
        """Turn a loader item into a call.

        Args:
            item: What the loader gave, already cut.
            device: Where the model wants its input.

        Returns:
            The call, its tensors moved.

        Raises:
            ConfigError: A mask would be lost to the rows, whoever calls the model; or a PairedBatch
                came for one model that stands for both sides.
            AlignmentError: There are more or fewer ids than samples.
        """
        batch = self.own_half(item)
        size = batch_size(batch)
        refuse_lost_masks(batch, self._masks, own_forward=self.forward is not None)
        first, ignored = _first_element(batch)
        ids = _sample_ids(item, first, size)
        if self.forward is not None:
            return self._own_call(self.forward, batch, device, size, ids)
        if isinstance(first, Mapping):
            return self._keyword_call(first, device, size, ids, ignored)
        moved = move_batch(first, device)
        given, passed = {"": first}, {"": moved}
        return Call(lambda: self.model(moved, **self._extra), size, given, {}, passed, ids, ignored)

    def own_half(self, item: Any) -> Any:
        """Give what of a loader item is for this model.

        Args:
            item: What the loader gave.

        Returns:
            The item, or this model's half of a PairedBatch.

        Raises:
            ConfigError: A PairedBatch came for one model that stands for both sides.
        """
        if not isinstance(item, PairedBatch):
            return item
        if self.side == "both":
            raise ConfigError(
                "loader: a PairedBatch gives each model its own input, but A and B are one and the "
                "same model, which runs once. Pass copy.deepcopy(model) as b."
            )
        return item.a if self.side == "a" else item.b

    def _own_call(
        self,
        forward: Forward,
        batch: Any,
        device: torch.device,
        size: int,
        ids: list[str] | None,
    ) -> Call:
        moved = move_batch(batch, device)
        firsts = (_first_element(each)[0] for each in (batch, moved))
        inputs, passed = (first if isinstance(first, Mapping) else {} for first in firsts)
        given = _given(batch)
        return Call(lambda: forward(self.model, moved), size, given, inputs, passed, ids, ())

    def _keyword_call(
        self,
        batch: Mapping[str, Any],
        device: torch.device,
        size: int,
        ids: list[str] | None,
        ignored: tuple[str, ...],
    ) -> Call:
        kept = {key: value for key, value in batch.items() if self._accepts(str(key))}
        made, made_of = derived_decoder_inputs(self.model, batch, self._named, self._masks)
        made = {key: value for key, value in made.items() if batch.get(key) is None}
        used = {_SAMPLE_IDS, made_of, *kept}
        ignored = (*ignored, *(key for key in batch if key not in used))
        inputs = {**batch, **made}
        taken = {**kept, **{key: made[key] for key in made if key in self._named}}
        passed = {**move_batch(taken, device), **self._extra}
        return Call(lambda: self.model(**passed), size, kept, inputs, passed, ids, ignored, made_of)

    def _accepts(self, key: str) -> bool:
        if key == _SAMPLE_IDS:
            return False
        if key in self._named:
            # A label without a default is an input that the model cannot do without.
            return not _is_label(key) or self._named[key].default is Parameter.empty
        return self._open and not _is_label(key)


def forward_parameters(model: nn.Module) -> Mapping[str, Parameter]:
    """Give the parameters of a model's forward; of the model inside, for a peft wrapper.

    Args:
        model: The unwrapped model.

    Returns:
        Parameters by name; a single open `**kwargs` where the forward cannot be inspected.
    """
    base = getattr(model, "get_base_model", lambda: model)()
    try:
        return signature(base.forward).parameters
    except (TypeError, ValueError):  # a scripted or built-in forward has no signature
        return {"kwargs": Parameter("kwargs", Parameter.VAR_KEYWORD)}


def id_texts(ids: Iterable[Any]) -> list[str]:
    """Give sample ids as text that can be written down.

    Args:
        ids: A list, a range, an array or a tensor of anything.

    Returns:
        Their texts; bytes of a file's name that are no text are shown by their codes.

    Example:
        >>> id_texts(range(2))
        ['0', '1']
    """
    listed = ids.tolist() if hasattr(ids, "tolist") else ids
    names = [
        # A number in a tensor of its own is that number.
        str(each.item() if isinstance(each, torch.Tensor) and each.ndim == 0 else each)
        for each in (listed if isinstance(listed, Iterable) else [listed])
    ]
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        names = [name.encode(errors="backslashreplace").decode() for name in names]
    return names


def sample_marks(item: Any) -> list[str] | None:
    """Give what tells the samples of a loader item apart, whatever model it is for.

    Args:
        item: What the loader gave.

    Returns:
        The id of each sample; without ids a fingerprint of its inputs, of a `PairedBatch` of
        those for A; None where there is neither.

    Raises:
        AlignmentError: There are more or fewer ids than samples.

    Example:
        >>> sample_marks({"x": torch.zeros(2, 1), "sample_ids": [7, 8]})
        ['7', '8']
    """
    ids = sample_ids(item)
    batch = item.a if isinstance(item, PairedBatch) else item
    return fingerprints(_given(batch), batch_size(batch)) if ids is None else ids


def sample_ids(item: Any) -> list[str] | None:
    """Give the ids of the samples of a loader item.

    Args:
        item: What the loader gave.

    Returns:
        One a sample; None where the data have none.

    Raises:
        AlignmentError: There are more or fewer ids than samples.

    Example:
        >>> sample_ids({"x": torch.zeros(2, 1), "sample_ids": [7, 8]})
        ['7', '8']
    """
    batch = item.a if isinstance(item, PairedBatch) else item
    return _sample_ids(item, _first_element(batch)[0], batch_size(batch))


def _accepted(model: nn.Module, masks: frozenset[str]) -> tuple[dict[str, Parameter], bool]:
    """Give the named parameters of a model's forward, and whether it takes any other."""
    parameters = forward_parameters(model)
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
    is_open = any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())
    if is_open and named and hasattr(model, "main_input_name"):
        # The **kwargs of transformers are options of its attention, not inputs.
        for mask in masks:
            named.setdefault(mask, Parameter(mask, Parameter.KEYWORD_ONLY, default=None))
        return named, False
    return named, is_open


def _is_label(key: str) -> bool:
    return "label" in key or key in _LABELS


def _first_element(batch: Any) -> tuple[Any, tuple[str, ...]]:
    if not isinstance(batch, tuple | list) or not batch or not holds_samples(batch[0]):
        return batch, ()
    return batch[0], tuple(map(str, range(1, len(batch))))


def _given(batch: Any) -> dict[str, Any]:
    """What a user's own call is given of each sample, without labels and ids."""
    first, others = _first_element(batch)
    given = {str(key): value for key, value in _named(first) if not _is_label(str(key))}
    given.pop(_SAMPLE_IDS, None)
    for place in others:
        for key, value in _named(batch[int(place)]):
            if not _is_label(str(key)) and key != _SAMPLE_IDS:
                given[f"{place}.{key}" if key else place] = value
    return given


def _named(element: Any) -> Iterable[tuple[Any, Any]]:
    return element.items() if isinstance(element, Mapping) else [("", element)]


def _sample_ids(item: Any, first: Any, size: int) -> list[str] | None:
    ids = item.ids if isinstance(item, PairedBatch) else None
    if ids is None and isinstance(first, Mapping):
        ids = first.get(_SAMPLE_IDS)
    if ids is None:
        return None
    names = id_texts(ids)
    if len(names) != size:
        raise AlignmentError(
            f"loader: {len(names)} sample ids for {size} samples. Give one id for each sample."
        )
    return names
