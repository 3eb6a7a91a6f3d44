"""What one side wants of a model, and the layers that the first batch made of it."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hooksim.capture.doubts import NARROW_OUTPUT
from hooksim.capture.graphs import check_hookable
from hooksim.capture.layers import SelectedLayer, Selectors, model_title, select_layers
from hooksim.capture.masks import TokenMask
from hooksim.capture.rows import Rows
from hooksim.errors import LayerNotFoundError, Note

__all__ = ["Captured", "Firing", "LayerInfo", "View", "ViewLayers", "not_fired", "nothing_left"]


@dataclass(frozen=True)
class View:
    """What one side wants of a model.

    Args:
        label: `A` or `B`, for messages.
        layers: Names, patterns, or None for the model's repeated blocks.
        rows: How activations become rows.
        half: Which half of a `PairedBatch` is for it: `a` or `b`.
    """

    label: str
    layers: Selectors = None
    rows: Rows = field(default_factory=Rows)
    half: str = "a"


class LayerInfo(NamedTuple):
    """What the first batch showed of a layer.

    Attributes:
        name: Its dotted name, with `#0`, `#1`, ... where it is called several times.
        kind: Class name of the module.
        output_shape: Shape of the first batch's activation.
        row_width: d of its rows.
        dtype: Type of its rows.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    row_width: int
    dtype: torch.dtype


class Firing(NamedTuple):
    """One call of a module within a forward.

    Attributes:
        module: The module.
        number: 0 for its first call in this forward.
    """

    module: nn.Module
    number: int


class Captured(NamedTuple):
    """What was taken of one firing.

    Attributes:
        value: The rows, or what `reduce` made of them.
        n: Number of rows.
        width: d of the rows.
        dtype: Type of the rows.
        groups: For token rows the item of each row.
        tokens: For token rows the mask they were taken by.
        shape: Shape of the activation.
        output: Name of the chosen element of the output, empty for a tensor.
        skipped: Names of the other tensors in the output.
        larger: Those of them that hold more numbers a sample, where the choice was by default.
    """

    value: Any
    n: int
    width: int
    dtype: torch.dtype
    groups: Tensor | None
    tokens: TokenMask | None
    shape: tuple[int, ...]
    output: str
    skipped: tuple[str, ...]
    larger: tuple[str, ...] = ()


class ViewLayers:
    """The layers of one view: what was asked for, and after the first batch what is read.

    State: `firings` and `infos`, one a layer in the order of the names, empty before `settle`.

    Args:
        view: What is wanted.
        model: The unwrapped model.

    Raises:
        LayerNotFoundError: A selector matches nothing.
        ConfigError: The model or a layer takes no hooks.
    """

    def __init__(self, view: View, model: nn.Module) -> None:
        self.rows = view.rows
        self.title = model_title(model, view.label)
        check_hookable(model, self.title)
        self.selected = select_layers(model, view.layers, view.label)
        for layer in self.selected:
            check_hookable(layer.module, f"layer {layer.name!r} of {self.title}")
        self.firings: list[Firing] = []
        self.infos: list[LayerInfo] = []
        self._places: dict[Firing, int] = {}  # a list would be searched once a firing
        self._by_module: dict[nn.Module, list[SelectedLayer]] = {}
        for layer in self.selected:
            self._by_module.setdefault(layer.module, []).append(layer)

    def wants(self, firing: Firing) -> bool:
        """Tell whether a firing is read.

        Args:
            firing: A call that happens now.

        Returns:
            True for every selected firing on the first batch, for the settled ones later.
        """
        return firing in self._places if self._places else bool(self._asking(firing))

    def is_named(self, firing: Firing) -> bool:
        """Tell whether the user named this layer, so that it must give rows.

        Args:
            firing: A call of a selected module.

        Returns:
            False where it was found by a pattern or by default.
        """
        return any(layer.by_name for layer in self._asking(firing))

    def knows(self, module: nn.Module) -> bool:
        """Tell whether a module was selected.

        Args:
            module: Any module.

        Returns:
            True where one of its calls may be read.
        """
        return module in self._by_module

    def where(self, firing: Firing) -> str:
        """Name a firing in a message.

        Args:
            firing: A call of a selected module.

        Returns:
            For example `layer 'encoder.layer.3' of model A (BertModel)`.
        """
        name = self.name(firing)
        number = f"#{firing.number}" if firing.number else ""
        return f"layer '{name}{number}' of {self.title}"

    def name(self, firing: Firing) -> str:
        """Give the module's name, without the number of the firing.

        Args:
            firing: A call of a selected module.

        Returns:
            The first name it was selected by.
        """
        return self._by_module[firing.module][0].name

    def row_width(self, firing: Firing) -> int | None:
        """Give the width that the first batch had.

        Args:
            firing: A call of a selected module.

        Returns:
            d of its rows; None before `settle`.
        """
        return self.infos[self._places[firing]].row_width if self._places else None

    def settle(
        self,
        fired: Counter[nn.Module],
        captured: Mapping[Firing, Captured],
        refused: Mapping[Firing, str],
    ) -> list[Note]:
        """Fix the layers by what the first batch showed.

        Args:
            fired: How often each selected module was called.
            captured: What was taken.
            refused: Why nothing was taken of a firing.

        Returns:
            Notes on dropped layers and on outputs of which one of several was taken.

        Raises:
            LayerNotFoundError: A named layer was not called, or no layer is left.
        """
        chosen: dict[str, Firing] = {}
        dropped: dict[str, str] = {}
        for layer in self.selected:
            for name, firing in _numbered(layer, fired[layer.module]).items():
                if firing in captured:
                    chosen[name] = firing
                else:
                    dropped[name] = refused.get(firing, not_fired(fired[layer.module]))
                    if layer.by_name:
                        raise LayerNotFoundError(f"layer {name!r} of {self.title}: {dropped[name]}")
        if not chosen:
            raise LayerNotFoundError(nothing_left(self.title, dropped))
        infos = [_info(name, firing, captured[firing]) for name, firing in chosen.items()]
        self._fix(list(chosen.values()), infos)
        return [*_drop_notes(self.title, dropped), *_output_notes(self.title, chosen, captured)]

    def turned_notes(self, in_front: Mapping[Hashable, bool]) -> list[Note]:
        """Say which layers were read with their channels in front of time.

        Args:
            in_front: What was learnt of each firing.

        Returns:
            One note, or none where nothing was.
        """
        pairs = zip(self.firings, self.infos, strict=True)
        names = [info.name for firing, info in pairs if in_front.get(firing)]
        if self.rows.channel_dim is not None or not names:
            return []
        text = (
            f"{self.title}: read {_quoted(names)} as (samples, channels, time), each step as a "
            "token. Rows(channel_dim=2) reads (samples, tokens, channels)."
        )
        return [Note("channels_in_front", text)]

    def keep(self, names: Sequence[str]) -> None:
        """Read only some of the layers from now on.

        Args:
            names: Some of the names that `settle` fixed, in the order that is wanted.
        """
        places = {info.name: place for place, info in enumerate(self.infos)}
        kept = [places[name] for name in names]
        self._fix([self.firings[place] for place in kept], [self.infos[place] for place in kept])

    def _fix(self, firings: list[Firing], infos: list[LayerInfo]) -> None:
        self.firings, self.infos = firings, infos
        self._places = {firing: place for place, firing in enumerate(firings)}

    def _asking(self, firing: Firing) -> list[SelectedLayer]:
        return [
            layer
            for layer in self._by_module.get(firing.module, ())
            if layer.firing in (None, firing.number)
        ]


def _numbered(layer: SelectedLayer, count: int) -> dict[str, Firing]:
    """Name the firings of a selected layer; one that was not called keeps its plain name."""
    if layer.firing is not None:
        return {f"{layer.name}#{layer.firing}": Firing(layer.module, layer.firing)}
    if count <= 1:
        return {layer.name: Firing(layer.module, 0)}
    return {f"{layer.name}#{index}": Firing(layer.module, index) for index in range(count)}


def not_fired(count: int) -> str:
    """Say why a layer was not read in a whole forward.

    Args:
        count: How often its module was called.

    Returns:
        Sentences for the end of a message.

    Example:
        >>> not_fired(2)
        'it is called 2 times in the forward pass, so #0 to #1 exist.'
    """
    if count == 0:
        return "it is not called in the forward pass. Select another layer."
    return f"it is called {count} times in the forward pass, so #0 to #{count - 1} exist."


def nothing_left(title: str, dropped: Mapping[str, str]) -> str:
    """Say that none of the selected layers can be read.

    Args:
        title: The model in messages.
        dropped: Why each layer cannot, by name.

    Returns:
        A message.

    Example:
        >>> nothing_left("model (Net)", {"head": not_fired(0)})
        "no layer of model (Net) gives rows. The first of 1, 'head': it is not called in the ..."
    """
    name, reason = next(iter(dropped.items()))
    return f"no layer of {title} gives rows. The first of {len(dropped)}, {name!r}: {reason}"


def _info(name: str, firing: Firing, captured: Captured) -> LayerInfo:
    kind = type(firing.module).__name__
    return LayerInfo(name, kind, captured.shape, captured.width, captured.dtype)


def _drop_notes(title: str, dropped: dict[str, str]) -> list[Note]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in dropped.items():
        by_reason.setdefault(reason, []).append(name)
    return [
        Note("dropped_layers", f"{title}: left out {_quoted(names)}: {reason}")
        for reason, names in by_reason.items()
    ]


def _output_notes(
    title: str, chosen: dict[str, Firing], captured: Mapping[Firing, Captured]
) -> list[Note]:
    by_output: dict[tuple[str, tuple[str, ...], bool], list[str]] = {}
    for name, firing in chosen.items():
        taken = captured[firing]
        if taken.skipped:
            # What is one number a sample is seldom what a layer is for.
            narrow = taken.width == 1 and bool(taken.larger)
            by_output.setdefault((taken.output, taken.skipped, narrow), []).append(name)
    return [
        Note(
            NARROW_OUTPUT if narrow else "skipped_outputs",
            f"{title}: took output {output!r} of {_quoted(names)}, "
            f"{'one number a sample, ' * narrow}not {_quoted(skipped)}. "
            "Rows(output_index=...) takes another.",
        )
        for (output, skipped, narrow), names in by_output.items()
    ]


def _quoted(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
