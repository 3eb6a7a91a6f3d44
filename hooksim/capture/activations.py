"""The activations of the latest forward, by layer: what `capture_activations` fills."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from inspect import signature
from typing import Any

from torch import Tensor, nn

from hooksim.capture.batches import batch_size
from hooksim.capture.channels import ChannelDims
from hooksim.capture.feeding import InputHook, OutputHook
from hooksim.capture.layers import SelectedLayer, model_title, named_layers
from hooksim.capture.lost_masks import refuse_lost_masks
from hooksim.capture.mask_rules import BatchMasks, MaskRules
from hooksim.capture.outputs import choose_output
from hooksim.capture.routed import Routed
from hooksim.capture.rows import Rows, take_rows
from hooksim.capture.view import not_fired, nothing_left
from hooksim.errors import ConfigError, HooksimError, LayerNotFoundError, NoRowsError

__all__ = ["ActivationStore"]


class ActivationStore:
    """Fills a dict with the outputs of layers, forward by forward.

    State: `activations`, one tensor a layer and firing of the latest forward.

    Args:
        model: The unwrapped model.
        selected: The layers to keep.
        rows: A row policy to apply; None keeps activations as they are.
    """

    def __init__(self, model: nn.Module, selected: list[SelectedLayer], rows: Rows | None) -> None:
        self.activations: dict[str, Tensor] = {}
        self._model = model
        self._selected = selected
        self._rows = rows
        self._rules = MaskRules(model, named_layers(model))
        self._channels = ChannelDims(model)
        self._routed = Routed(model)
        self._masks: BatchMasks | None = None
        self._size: int | None = None
        self._fired: Counter[SelectedLayer] = Counter()
        self._refused: dict[str, str] = {}
        self._inside = False

    def input_hooks(self) -> Iterator[tuple[nn.Module, InputHook]]:
        """Give the hooks that see a forward begin, and what it feeds to submodules.

        Yields:
            Each module and its hook.
        """
        yield self._model, self._begin
        if self._rows is not None:
            yield from self._rules.watch()
            yield from self._routed.hooks()

    def output_hooks(self) -> Iterator[tuple[nn.Module, OutputHook]]:
        """Give the hooks that see what submodules return, before their outputs are kept.

        Yields:
            Each module and its hook.
        """
        if self._rows is not None:
            yield from self._rules.listen()

    def forward_hooks(self) -> Iterator[tuple[nn.Module, Any]]:
        """Give the hooks that keep outputs and see a forward end.

        Yields:
            Each module and its hook.
        """
        for layer in self._selected:
            yield layer.module, partial(self._keep, layer)
        if self._rows is not None:
            yield from self._channels.hooks()
        yield self._model, self._end

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.activations.clear()
        self._fired.clear()
        self._refused.clear()
        self._channels.in_front.clear()
        self._inside = True
        bound = signature(module.forward).bind_partial(*args, **kwargs).arguments
        inputs = {**bound, **kwargs}  # what an open forward takes stands in one dict among them
        try:
            self._size = batch_size(inputs)
        except ConfigError:  # an input without tensors: the layers tell the size
            self._size = None
        if self._rows is not None and self._size is not None:
            refuse_lost_masks(inputs, [self._rows.mask])
            self._masks = BatchMasks(self._rules, inputs, self._rows, self._size)
            self._rules.expect(inputs, [self._masks])
        self._routed.begin(self._size or 1)

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        self._inside = False
        self._refuse_routed()
        for layer in self._selected:
            if layer.by_name and self._fired[layer] <= (layer.firing or 0):
                name = layer.name if layer.firing is None else f"{layer.name}#{layer.firing}"
                raise LayerNotFoundError(f"layer {name!r}: {not_fired(self._fired[layer])}")
        if not self.activations:
            names = (layer.name for layer in self._selected)
            dropped = {name: self._refused.get(name, not_fired(0)) for name in names}
            raise LayerNotFoundError(nothing_left(model_title(module, ""), dropped))

    def _refuse_routed(self) -> None:
        """Take back the rows of layers that only the whole forward shows to have none."""
        known = self._rows is not None and self._size is not None
        reasons = self._routed.reasons() if known else {}
        for layer in self._selected:
            reason = reasons.get(layer.module)
            held = [name for name in self.activations if name.partition("#")[0] == layer.name]
            if reason is None or not held:
                continue
            if layer.by_name:
                raise LayerNotFoundError(f"layer {layer.name!r}: {reason}")
            self._refused[layer.name] = reason
            for name in held:
                del self.activations[name]

    def _keep(
        self,
        layer: SelectedLayer,
        module: nn.Module,
        args: Any,
        output: Any,
    ) -> None:
        # A call of a submodule alone is not part of a forward: it overwrites, and is not counted.
        firing = self._fired[layer] if self._inside else 0
        self._fired[layer] += 1
        if layer.firing not in (None, firing):
            return
        try:
            value = self._take(layer, firing, output)
        except NoRowsError as error:
            if layer.by_name:
                raise LayerNotFoundError(f"layer {layer.name!r}: {error}") from error
            self._refused[layer.name] = str(error)
            return
        except HooksimError as error:
            raise type(error)(f"layer {layer.name!r}: {error}") from error
        if firing == 1 and layer.name in self.activations:
            self.activations[f"{layer.name}#0"] = self.activations.pop(layer.name)
        numbered = firing > 0 or layer.firing is not None
        self.activations[f"{layer.name}#{firing}" if numbered else layer.name] = value

    def _take(self, layer: SelectedLayer, firing: int, output: Any) -> Tensor:
        rows = self._rows or Rows()
        size = self._size if self._inside else None
        activation = choose_output(output, rows, size).tensor
        if self._rows is None:
            return activation.detach().clone()
        masks = self._masks if self._inside else None
        size = activation.shape[rows.batch_dim] if size is None else size
        mask_of = None if masks is None else partial(masks.of, layer.name)
        rows = self._channels.rows(rows, (layer.module, firing), layer.module, activation)
        return take_rows(activation, rows, size=size, mask_of=mask_of).values
