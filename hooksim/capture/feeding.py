"""Where the tensors come from that the modules of a model are fed, in one forward pass."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from hooksim.capture.mask_forms import mask_prefix
from hooksim.capture.padding import padding_tokens

__all__ = [
    "DECODER",
    "ENCODER",
    "Feeding",
    "InputHook",
    "MaskShape",
    "OutputHook",
    "half_by_name",
]

InputHook: TypeAlias = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]
OutputHook: TypeAlias = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]

MaskShape: TypeAlias = tuple[int, int]
"""The samples and tokens of a mask."""

ENCODER, DECODER = "encoder", "decoder"
"""The halves of a model, as their modules are called."""

_OF_DECODER = (f"{DECODER}_", "tgt")
_EMBEDS = "inputs_embeds"


class _Source(NamedTuple):
    """A tensor of known origin: which half it is for, which mask says which tokens are real."""

    tensor: Tensor
    half: str
    mask: str | None
    is_tokens: bool


class _Made(NamedTuple):
    """An activation: which half made it, which mask its tokens have, empty where not known."""

    tensor: weakref.ref[Tensor]
    half: str | None
    mask: str | None


class Feeding:
    """Watches what modules are fed: the batch itself, one half's tensors, or tokens made wider.

    The first forward shows all of it. Of later ones only the few modules that the batch feeds are
    watched: a model may pad each batch to another width, and look the tokens of both halves up in
    one table.

    Wider are tokens with padding tokens beside them, as models of windows want them, and
    `inputs_embeds` that hold more than the tokens, as prompt tuning makes them. A token of its own
    that a model puts in front, such as a class token, is one of its tokens and none of these.

    State: `towers`, from the name of each module that is fed by one input of the batch, or by what
    was made of it, to the key of the mask that goes with it, None where none does; `fed`, from each
    module's name to the half whose tensors its latest call was fed with, None where it is neither's
    alone; `unsure`, modules that are fed by both halves and not watched for long; `lengths`, the
    number of tokens of each half's input; `padding`, from the name of each module to the number of
    padding tokens that it was fed alone.

    Args:
        model: The unwrapped model.
        layers: Its modules by name.
        has_decoder: Whether it has two halves.
    """

    def __init__(
        self, model: nn.Module, layers: Mapping[str, nn.Module], has_decoder: bool
    ) -> None:
        self.towers: dict[str, str | None] = {}
        self.fed: dict[str, str | None] = {}
        self.unsure: set[str] = set()
        self.lengths: dict[str, int] = {}
        self.padding: dict[str, int] = {}
        self._layers = {name: module for name, module in layers.items() if name}
        self._has_decoder = has_decoder
        self._padding = padding_tokens(model)
        self._given: list[_Source] = []
        self._embedded: list[_Source] = []
        self._made: dict[int, _Made] = {}
        self._wider: dict[tuple[str, int], int] = {}
        self._widths: set[tuple[str, int, int]] = set()
        self._direct: set[str] = set()
        self._others: set[str] = set()  # modules fed with wider integers that are no tokens
        self._masks: dict[str, set[str | None]] = {}  # of all that a module was fed with
        self._model = model
        self._learned: set[int] = set()  # where its parameters are in memory
        self._learnt: set[bool] = set()
        self._masked = False

    def expect(self, inputs: Mapping[str, Any], masks: Mapping[str, MaskShape]) -> None:
        """Say what the forward that comes is fed with.

        Args:
            inputs: The model's inputs by name, as they are passed to it.
            masks: The shapes of the batch's masks by their keys, the one that rows ask for first.
        """
        self._forget()
        self._masked = bool(masks)
        if self._masked not in self._learnt:
            given = self._model.parameters()
            made = [each for each in given if not isinstance(each, UninitializedParameter)]
            self._learned = {each.data_ptr() for each in made} - {0}
        for key, value in ((str(key), value) for key, value in inputs.items()):
            if _is_plain(value):
                half = DECODER if key.startswith(_OF_DECODER) else ENCODER
                mask = _mask_of(key, value, masks)
                tokens = "mask" not in key and (_are_tokens(value) or key.endswith(_EMBEDS))
                self._given.append(_Source(value, half, mask, tokens))
                if tokens:
                    self.lengths.setdefault(half, value.shape[1])

    def rest(self) -> None:
        """Let the tensors of a forward go that came to its end."""
        self._learnt.add(self._masked)
        self._forget()

    def inputs(self) -> Iterator[tuple[nn.Module, InputHook]]:
        """Give hooks that look at the input of modules.

        Yields:
            Each module and a hook to call with its input.
        """
        for name, module in self._watched().items():
            yield module, partial(self._enter, name)

    def outputs(self) -> Iterator[tuple[nn.Module, OutputHook]]:
        """Give hooks that look at the output of modules, while there is something to learn.

        Yields:
            Each module and a hook to call with its input and its output.
        """
        for name, module in {} if self._masked in self._learnt else self._watched().items():
            yield module, partial(self._leave, name)

    def wider(self, half: str, length: int) -> tuple[int, int] | None:
        """Tell where the tokens of the input stand among more of them.

        Args:
            half: Of which half.
            length: How many there are after the model added some.

        Returns:
            The place of the first token of the input, and how many these are; None where the
            model was not seen to add any.
        """
        tokens = self.lengths.get(half, 0)
        for known, left, right in sorted(self._widths):
            if known == half and left + tokens + right == length > tokens > 0:
                self._wider.setdefault((half, length), left)
        left_of = self._wider.get((half, length))
        return None if left_of is None else (left_of, tokens)

    def _watched(self) -> dict[str, nn.Module]:
        if self._masked in self._learnt:
            return {name: self._layers[name] for name in sorted(self._direct)}
        tokens = any(source.is_tokens for source in self._given)
        asks = self._masked or self._has_decoder or tokens
        return self._layers if asks or not self._given else {}

    def _forget(self) -> None:
        self._given, self._embedded = [], []
        self._made.clear()
        self._wider.clear()
        self.lengths.clear()
        self.padding.clear()

    def _enter(
        self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        values = [each for each in (*args, *kwargs.values()) if _is_plain(each)]
        if self._masked and self._masked not in self._learnt:
            self._note_tower(name, values)
        for value in values:
            for source in self._given:
                if _same(value, source.tensor):
                    if source.is_tokens:
                        self._direct.add(name)
                elif source.is_tokens and _are_tokens(value) and name not in self._others:
                    self._widen(source, value)
            if _are_tokens(value) and value.shape[0] in self._sizes():
                self._direct.add(name)  # more of them may come, or those of the other half
                self._see_padding(name, value)
        if _is_plain(embeds := kwargs.get(_EMBEDS)) and self.lengths:
            self._direct.add(name)
            for source in (*self._given, *self._embedded):
                if source.tensor.is_floating_point():
                    self._widen(source, embeds)
        if self._has_decoder:
            self._note_half(name, values)

    def _note_tower(self, name: str, values: list[Tensor]) -> None:
        """Note whose tokens a module is fed with: of one mask, or of none.

        A block may take the states of another model, or a condition without tokens, beside its own;
        where it is not known of some states what they were made of, it is in no tower.
        """
        masks = self._masks.setdefault(name, set())
        for value in values:
            sources = [each.mask for each in self._given if _same(value, each.tensor)]
            if sources:
                masks.update(sources)
            elif value.ndim == 3 and value.is_floating_point():
                masks.add(self._mask_inside(value))
        known = masks - {None}
        if "" in known or len(known) > 1:
            self.towers.pop(name, None)
        elif masks:
            self.towers[name] = next(iter(known), None)

    def _mask_inside(self, value: Tensor) -> str | None:
        """The mask of states, as in `_Made`; learned ones, such as queries, have none."""
        made = self._made_of(value)
        if made is not None:
            return made.mask
        return None if not value.is_meta and value.data_ptr() in self._learned else ""

    def _widen(self, source: _Source, value: Tensor) -> None:
        tokens, length = source.tensor.shape[1], value.shape[1]
        if length <= tokens or tokens != self.lengths.get(source.half):
            return
        if self.wider(source.half, length) is None:  # what is known needs no look at numbers
            left = _place(source.tensor, value)
            if left is None:
                return
            added = torch.cat([value[:, :left], value[:, left + tokens :]], dim=1)
            if _are_tokens(value) and not _holds_only(added, self._padding):
                return
            self._wider[source.half, length] = left
            self._widths.add((source.half, left, length - tokens - left))

    def _sizes(self) -> set[int]:
        return {source.tensor.shape[0] for source in self._given if source.is_tokens}

    def _see_padding(self, name: str, value: Tensor) -> None:
        """Know padding that is looked up by itself, to be put behind the tokens."""
        half = half_by_name(name) or ENCODER
        tokens, more = self.lengths.get(half), value.shape[1]
        if tokens in (None, more) or value.is_meta or name in self._others:
            return
        if any(_same(value, each.tensor) for each in self._given):
            return
        if (half, 0, more) in self._widths or _holds_only(value, self._padding):
            self.padding[name] = more
            self._widths.add((half, 0, more))
        elif self.wider(half, more) is None:
            # To look at numbers is to wait for an accelerator: not again at each batch.
            self._others.add(name)

    def _note_half(self, name: str, values: list[Tensor]) -> None:
        halves = {self._half_of(each) for each in values if each.ndim in (2, 3)}
        half = halves.pop() if len(halves) == 1 else None
        if name in self.fed and self.fed[name] != half and name not in self._direct:
            self.unsure.add(name)
        self.fed[name] = half

    def _half_of(self, value: Tensor) -> str | None:
        for source in self._given:
            if _same(value, source.tensor):
                return source.half
        made = self._made_of(value)
        return None if made is None else made.half

    def _made_of(self, value: Tensor) -> _Made | None:
        made = self._made.get(id(value))
        return made if made is not None and made.tensor() is value else None

    def _leave(
        self,
        name: str,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Any,
    ) -> None:
        half = self.fed.get(name) or half_by_name(name)
        for value in _tensors(output):
            before = self._made_of(value)  # by a module inside, which returned the very same
            mask = self.towers.get(name, "" if before is None else before.mask)
            self._made[id(value)] = _Made(weakref.ref(value), half, mask)
        for source in self._given if name in self._direct and _is_plain(output) else ():
            looked_up = source.is_tokens and output.shape[:-1] == source.tensor.shape
            if looked_up and any(_same(each, source.tensor) for each in args if _is_plain(each)):
                self._embedded.append(source._replace(tensor=output))


def half_by_name(layer: str) -> str | None:
    """Tell which half of an encoder-decoder model the name of a layer says it is in.

    Args:
        layer: The layer's name.

    Returns:
        `encoder`, `decoder`, or None.

    Example:
        >>> half_by_name("decoder.bert.encoder.layer.0")
        'decoder'
    """
    return next((part for part in layer.split(".") if part in (ENCODER, DECODER)), None)


def _is_plain(value: Any) -> TypeGuard[Tensor]:
    if not isinstance(value, Tensor) or value.is_nested:
        return False
    return value.layout is torch.strided and value.ndim > 0


def _are_tokens(value: Tensor) -> bool:
    """Whether a tensor may be `(samples, tokens)`, by its looks."""
    return value.ndim == 2 and value.dtype in (torch.int32, torch.int64)


def _same(value: Tensor, tensor: Tensor) -> bool:
    """Whether a tensor is another one, or a view of it that shows the same."""
    if value is tensor or value.shape != tensor.shape or value.dtype != tensor.dtype:
        return value is tensor
    return not value.is_meta and value.data_ptr() == tensor.data_ptr()


def _place(tensor: Tensor, value: Tensor) -> int | None:
    """Where a tensor's tokens stand in a wider one; None if they do not, or at several places."""
    alike = value.ndim == tensor.ndim and value.ndim in (2, 3) and value.dtype == tensor.dtype
    if not alike or value.shape[0] != tensor.shape[0] or value.shape[2:] != tensor.shape[2:]:
        return None
    more = value.shape[1] - tensor.shape[1]
    if more <= 0 or not tensor.numel() or value.is_meta or value.device != tensor.device:
        return None
    first = value[0].reshape(value.shape[1], -1)[:, 0].unfold(0, tensor.shape[1], 1)
    wanted = tensor[0].reshape(tensor.shape[1], -1)[:, 0]
    likely = (first == wanted).all(dim=1).nonzero().flatten().tolist()
    found = [at for at in likely if torch.equal(value[:, at : at + tensor.shape[1]], tensor)]
    return found[0] if len(found) == 1 else None


def _mask_of(key: str, value: Tensor, masks: Mapping[str, MaskShape]) -> str | None:
    """The key of the mask whose tokens an input has: of one of its own before the others'."""
    own = [each for each in masks if key.startswith(mask_prefix(each))]
    nearest = max(own, key=lambda each: len(mask_prefix(each)), default="")
    return nearest if own and _goes_with(value, masks[nearest]) else None


def _goes_with(value: Tensor, mask: MaskShape) -> bool:
    """Tell whether an input has the mask's tokens: (B, T), (B, T, D), or audio's (B, D, T)."""
    size, length = mask
    if value.ndim not in (2, 3) or value.shape[0] != size:
        return False
    return length in (value.shape[1], value.shape[-1])


def _tensors(output: Any) -> Iterator[Tensor]:
    """The activations in the output of a module."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    for value in output if isinstance(output, tuple | list) else (output,):
        if _is_plain(value) and value.is_floating_point() and value.ndim == 3:
            yield value


def _holds_only(value: Tensor, tokens: frozenset[int]) -> bool:
    return set(value.flatten().tolist()) <= tokens
