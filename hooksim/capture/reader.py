"""One model, its hooks, and the slices it gives batch by batch."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from hooksim.capture.batches import PairedBatch, describe, not_tensors
from hooksim.capture.calls import Call, Forward, ModelCaller
from hooksim.capture.channels import ChannelDims
from hooksim.capture.doubts import DOUBTS, PADDING, TIME_FIRST
from hooksim.capture.eager import eager
from hooksim.capture.early_end import LateChanges, hooked_modules, ours
from hooksim.capture.feeding import InputHook
from hooksim.capture.fingerprints import fingerprints
from hooksim.capture.forward_pass import EndForward, ForwardPass
from hooksim.capture.holding import held
from hooksim.capture.hooks import forward_hooks, input_hooks, output_hooks
from hooksim.capture.layers import named_layers, unwrap
from hooksim.capture.mask_rules import BatchMasks, MaskRules, masks_by_view
from hooksim.capture.missing_inputs import missing_inputs_hint
from hooksim.capture.padding import UnmaskedPadding
from hooksim.capture.placement import (
    as_device,
    can_stop_early,
    evaluating,
    input_device,
    other_precision,
    placed,
)
from hooksim.capture.routed import Routed
from hooksim.capture.slices import BatchPosition, Reduce, Slice
from hooksim.capture.time_first import TimeFirst
from hooksim.capture.view import Captured, Firing, LayerInfo, View, ViewLayers
from hooksim.errors import ConfigError, LayerNotFoundError, Note, ShapeError

__all__ = ["LayerInfo", "ModelReader", "View"]


class ModelReader:
    """Reads the layers of one model, for one or two views of it.

    A context: inside it the model is on `device`, in eval mode, with hooks on its layers; after
    it, whatever happened, it is as before. While it is read, no other thread may read it.

    State: `views`, `titles`, `notes`, `warnings` (the notes of `doubts`); the layers of each view,
    settled by the first batch.

    Args:
        model: Any module; looked through where compiled or wrapped for several devices.
        views: What is wanted of it. A module that is both sides has two views, and runs once.
        side: Which half of a PairedBatch it takes: `a`, `b`, or `both` where the model stands for
            both sides, which a PairedBatch cannot serve.
        forward: `(model, batch) -> anything`, for an unusual call.
        device: Where to run; None for where the model's parameters are.
        stop_early: From the second batch on, end the forward after the last layer that is read and
            the last module on which somebody else has a hook.
        fingerprint: Give a fingerprint of each sample's input, to match it with a recording's.

    Raises:
        LayerNotFoundError: A selector matches nothing.
        ConfigError: A selector is no string, or there is no such device. On entering: the device
            cannot be used.
        HooksimError: On entering: another thread reads the model.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> with ModelReader(model, [View("A", "*")]) as reader, torch.no_grad():
        ...     [part] = reader.read(torch.ones(4, 3), None, BatchPosition(0, 0))
        >>> reader.names(0), part.n, part.values[0].shape
        (['0', '1'], 4, torch.Size([4, 2]))
    """

    def __init__(
        self,
        model: nn.Module,
        views: Sequence[View],
        *,
        side: str = "a",
        forward: Forward | None = None,
        device: torch.device | str | None = None,
        stop_early: bool = True,
        fingerprint: bool = False,
    ) -> None:
        self.model = unwrap(model)
        self.views = list(views)
        self.notes: list[Note] = []
        self.warnings: list[Note] = []
        self._layers = [ViewLayers(view, self.model) for view in views]
        self.titles = [layers.title for layers in self._layers]
        self._rules = MaskRules(self.model, named_layers(self.model))
        masks = frozenset(view.rows.mask for view in views)
        self._caller = ModelCaller(self.model, side, forward, masks)
        self._padding = UnmaskedPadding(self.model, masks)
        self._channels = ChannelDims(self.model)
        self._input_device = torch.device("cpu")
        self._device = as_device(device)
        self._stop_early = stop_early and can_stop_early(self.model)
        self._fingerprint = fingerprint
        self._hooked: frozenset[nn.Module] = frozenset()
        self._counts: Mapping[nn.Module, int] = {}
        self._expected: dict[nn.Module, int] = {}
        self._until: dict[nn.Module, int] = {}
        self._pass: ForwardPass | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(held(self.model, self.titles[0]))
            stack.enter_context(placed(self.model, self._device))
            self._input_device = input_device(self.model)
            stack.enter_context(evaluating(self.model))
            self._hooked = hooked_modules(self.model) if self._stop_early else frozenset()
            modules = {layer.module for view in self._layers for layer in view.selected}
            hooks = ((module, self._hook) for module in modules | self._hooked)
            stack.enter_context(forward_hooks(hooks))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def read(self, item: Any, reduce: Reduce | None, at: BatchPosition) -> list[Slice]:
        """Run the model on one batch and take its layers.

        Args:
            item: The loader item, already cut.
            reduce: What to make of the rows of a layer inside the hook; None keeps them.
            at: The batch's position in the data, for messages.

        Returns:
            One slice for each view.

        Raises:
            LayerNotFoundError: A named layer is not called or gives no rows; or one is called
                more or fewer times than on the first batch.
            ShapeError: A mask does not fit, or rows are not as wide as on the first batch.
            HooksimError: `reduce` failed; the message names the layer.
        """
        call = self._caller.prepare(item, self._input_device)
        inputs = fingerprints(call.given, call.size) if self._fingerprint else None
        policies = [view.rows for view in self.views]
        masks = masks_by_view(self._rules, call.inputs, policies, call.size)
        first = not self._expected
        current = ForwardPass(
            self._layers,
            masks,
            call.size,
            reduce,
            at,
            self._expected,
            self._until,
            self._channels,
        )
        self._padding.look(call.given, call.inputs)
        times = TimeFirst(self.model, call.size)
        if first:
            routed = Routed(self.model)
            routed.begin(call.size)
            watches = [*times.hooks(), *routed.hooks()]
            with _single_samples(call), self._learning(call, masks, watches):
                self._run_whole(call, current, item)
                current.refuse(routed.reasons())
                self._settle(current)
        else:
            with self._learning(call, masks, []):
                self._run(call, current, item)
            current.check_firings()
        title = self._layers[0].title
        self._note([*_told_by(title, call), *_doubts(title, self._padding, times)])
        return [
            _slice(view, captured, call)._replace(inputs=inputs)
            for view, captured in zip(self._layers, current.captured, strict=True)
        ]

    def names(self, view: int) -> list[str]:
        """Give the names of a view's layers, in axis order.

        Args:
            view: Position of the view.

        Returns:
            Dotted names; empty before the first batch.
        """
        return [info.name for info in self._layers[view].infos]

    def keep(self, view: int, names: Sequence[str]) -> None:
        """Read only some layers of a view from the next batch on, and stop early after these.

        Args:
            view: Position of the view.
            names: Some of its names, in the order that is wanted.
        """
        self._layers[view].keep(names)
        self._expect(self._counts)

    def whole(self, n_samples: int) -> None:
        """Give nothing: a model holds no rows.

        Args:
            n_samples: How many samples are asked for.
        """

    def finish(self, n_samples: int) -> None:
        """Do nothing: a model has no more samples than the loader.

        Args:
            n_samples: Loader items in all.
        """

    def layers(self, view: int) -> list[LayerInfo]:
        """Give what the first batch showed of a view's layers.

        Args:
            view: Position of the view.

        Returns:
            One entry a layer, in axis order; empty before the first batch.
        """
        return list(self._layers[view].infos)

    @ours
    def _hook(self, module: nn.Module, inputs: Any, output: Any) -> None:
        # A module that two readers share fires for both, and whoever else calls the model fires
        # it too: only the one that runs now, in its own thread, listens.
        current = self._pass
        if current is None or current.ended or current.thread != threading.get_ident():
            return
        current.fire(module, output)

    def _run(self, call: Call, current: ForwardPass, item: Any) -> None:
        self._pass = current
        try:
            with eager():
                call.run()
        except EndForward as end:
            if end.ended is not current:
                raise
        except Exception as error:
            title = self._layers[0].title
            given = describe(item) + other_precision(self.model, call.given)
            if self._caller.forward is None and (
                unread := not_tensors(self._caller.own_half(item))
            ):
                raise ConfigError(f"loader: {title} cannot read the batch.{unread}") from error
            hint = self._hint(call, item)
            error.add_note(f"in the forward pass of {title}, {current.at}, given {given}{hint}")
            raise
        finally:
            self._pass = None
        if current.error is not None:
            raise current.error

    def _run_whole(self, call: Call, current: ForwardPass, item: Any) -> None:
        """Run the first batch, which shows whether later ones may end early."""
        if not self._stop_early:
            self._run(call, current, item)
            return
        read = {layer.module for view in self._layers for layer in view.selected} | self._hooked
        late = LateChanges(self.model, read)
        with forward_hooks(late.hooks()):
            self._run(call, current, item)
        if found := late.found():
            self._stop_early = False
            text = (
                f"{self.titles[0]}: every forward runs to its end, since it changes {found} after "
                "the last layer that is read."
            )
            self._note([Note("runs_whole", text)])

    def _hint(self, call: Call, item: Any) -> str:
        """Say which input is missing or no tensor, unless the model was not called by names."""
        if self._caller.forward is not None or "" in call.given:
            return ""
        kinds = (list, tuple, np.ndarray)
        others = {key: each for key, each in call.passed.items() if isinstance(each, kinds)}
        if unread := not_tensors(others):
            return f"; {', '.join(map(repr, others))}:{unread}".rstrip(".")
        halves = (item.a, item.b) if isinstance(item, PairedBatch) else ()
        other = [key for half in halves if isinstance(half, Mapping) for key in half]
        return missing_inputs_hint(self.model, call.inputs, call.passed, other)

    def _note(self, notes: Sequence[Note]) -> None:
        """Keep notes, each once, and those that make one doubt the values as warnings."""
        for note in notes:
            kept = self.warnings if note.code in DOUBTS else self.notes
            if note not in kept:
                kept.append(note)

    @contextmanager
    def _learning(
        self, call: Call, masks: list[BatchMasks], watches: list[tuple[nn.Module, InputHook]]
    ) -> Iterator[None]:
        self._rules.expect(call.passed, masks)
        seen = [*self._rules.watch(), *watches]
        given = [] if self._expected else self._channels.hooks()
        with input_hooks(seen), output_hooks(self._rules.listen()), forward_hooks(given):
            yield
        self._rules.rest()

    def _settle(self, current: ForwardPass) -> None:
        for index, view in enumerate(self._layers):
            captured, refused = current.captured[index], current.refused[index]
            self._note(view.settle(current.fired, captured, refused))
            self._note(view.turned_notes(self._channels.in_front))
        self._expect(current.fired)

    def _expect(self, counts: Mapping[nn.Module, int]) -> None:
        """Expect the calls of the modules that are read, and wait for those with others' hooks."""
        read = {firing.module for view in self._layers for firing in view.firings}
        awaited = read | self._hooked if self._stop_early else frozenset()
        self._counts = counts
        self._expected = {each: count for each, count in counts.items() if each in read}
        self._until = {each: count for each, count in counts.items() if each in awaited}


def _told_by(title: str, call: Call) -> list[Note]:
    """Say what of a batch the model did not get, and what it got beside it."""
    notes = []
    if call.ignored:
        names = ", ".join(map(repr, call.ignored))
        notes.append(Note("ignored_inputs", f"{title}: {names} of the batch is not passed to it."))
    if call.decoder_reads:
        text = (
            f"{title}: its decoder reads {call.decoder_reads!r} moved one to the right, as in "
            "training, since the batch has no 'decoder_input_ids'."
        )
        notes.append(Note("decoder_inputs", text))
    return notes


@contextmanager
def _single_samples(call: Call) -> Iterator[None]:
    """Say of a batch that looks like one sample that it may be one, where no layer gives rows."""
    try:
        yield
    except LayerNotFoundError as error:
        value = call.given.get("")
        if not isinstance(value, torch.Tensor) or value.ndim != 1:
            raise
        raise LayerNotFoundError(
            f"{error} The loader gave {tuple(value.shape)}, read as {call.size} samples: if it is "
            "one sample, as list(tensor) gives, use [tensor], tensor.split(64) or a DataLoader."
        ) from error


def _doubts(title: str, padding: UnmaskedPadding, times: TimeFirst) -> list[Note]:
    """Say what was seen going into the model that makes its values doubtful."""
    notes = []
    if padding.found:
        notes.append(Note(PADDING, f"{title}: {padding.found}"))
    if times.found:
        text = (
            f"{title}: {times.found}, but there stand the samples of the loader. Build it with "
            "batch_first=True; or give batches (B, T, ...), forward=lambda model, batch: "
            "model(batch.transpose(0, 1)) and rows=hooksim.Rows(batch_dim=1)."
        )
        notes.append(Note(TIME_FIRST, text))
    return notes


def _slice(view: ViewLayers, captured: Mapping[Firing, Captured], call: Call) -> Slice:
    layers = [captured[firing] for firing in view.firings]
    _check_same_rows(view, layers)
    values = [each.value for each in layers]
    tokens = layers[0].tokens
    lengths = None if tokens is None else tokens.lengths
    return Slice(values, layers[0].n, call.size, layers[0].groups, call.ids, lengths)


def _check_same_rows(view: ViewLayers, captured: list[Captured]) -> None:
    """Check that all layers of a view took the same tokens."""
    first = captured[0]
    for info, each in zip(view.infos, captured, strict=True):
        if first.tokens is None or each.tokens is None:
            continue
        if not first.tokens.same_tokens(each.tokens):
            raise ShapeError(
                f"layer {info.name!r} of {view.title}: {each.n} token rows, {first.n} from "
                f"{view.infos[0].name!r}, of other tokens. Compare the layers of encoder and "
                "decoder one after the other."
            )
