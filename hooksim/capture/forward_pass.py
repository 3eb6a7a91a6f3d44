"""What the hooks of one reader take during one forward pass."""

import threading
import weakref
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from hooksim.capture.channels import ChannelDims
from hooksim.capture.mask_rules import BatchMasks
from hooksim.capture.outputs import ChosenOutput, choose_output
from hooksim.capture.rows import TakenRows, take_rows
from hooksim.capture.slices import BatchPosition, Reduce
from hooksim.capture.view import Captured, Firing, ViewLayers
from hooksim.errors import HooksimError, LayerNotFoundError, NoRowsError, ShapeError

__all__ = ["EndForward", "ForwardPass"]


class EndForward(BaseException):
    """Ends a forward from inside a hook.

    Not an Exception: a model that catches those to fall back on something cannot swallow it.

    Args:
        ended: The pass that it ends, so that another reader's pass lets it through.
    """

    def __init__(self, ended: "ForwardPass") -> None:
        super().__init__("the forward pass ended early")
        self.ended = ended


class ForwardPass:
    """One forward pass of one model, as its hooks see it.

    State: `fired`, calls a module; `captured`, per view what was taken of each firing, and
    `refused`, why nothing was; `error`, what went wrong inside a hook; `thread`, where it runs. It
    lives for one batch.

    Args:
        views: The views of the model.
        masks: The batch's masks, one for each view.
        size: Number of samples of the batch.
        reduce: What to make of rows inside the hook, or None to keep them.
        at: The batch's position, for messages.
        expected: How often each module is called, known from the second batch on.
        until: The calls after which the forward ends; empty where it runs to its own end.
        channels: Where 3-D activations have their channels, learnt on the first batch.
    """

    def __init__(
        self,
        views: list[ViewLayers],
        masks: list[BatchMasks],
        size: int,
        reduce: Reduce | None,
        at: BatchPosition,
        expected: Mapping[nn.Module, int],
        until: Mapping[nn.Module, int],
        channels: ChannelDims,
    ) -> None:
        self.views = views
        self.masks = masks
        self.size = size
        self.reduce = reduce
        self.at = at
        self.expected = expected
        self.fired: Counter[nn.Module] = Counter()
        self.captured: list[dict[Firing, Captured]] = [{} for _ in views]
        self.refused: list[dict[Firing, str]] = [{} for _ in views]
        self.error: HooksimError | None = None
        self.ended = False
        self.thread = threading.get_ident()
        self._channels = channels
        self._until = until
        self._left = sum(until.values())
        self._seen: dict[Any, tuple[weakref.ref[Tensor], int, Captured]] = {}

    def fire(self, module: nn.Module, output: Any) -> None:
        """Take what the views want of a module's call. Called by the hook.

        Args:
            module: The module that was called.
            output: What it returned.

        Raises:
            EndForward: Everything was seen, or something went wrong: then `error` says what.
        """
        firing = Firing(module, self.fired[module])
        self.fired[module] += 1
        for index, view in enumerate(self.views):
            if view.wants(firing):
                try:
                    self._take(index, firing, output)
                except Exception as error:
                    self._fail(view.where(firing), error)
        if firing.number < self._until.get(module, 0):
            self._left -= 1
            if self._left == 0:
                self._end()

    def refuse(self, reasons: Mapping[nn.Module, str]) -> None:
        """Take back what was taken of layers that only the whole forward shows to give no rows.

        Args:
            reasons: Why a module gives none.
        """
        for captured, refused in zip(self.captured, self.refused, strict=True):
            for firing in [each for each in captured if each.module in reasons]:
                refused[firing] = reasons[firing.module]
                del captured[firing]

    def check_firings(self) -> None:
        """Check, after a forward, that every module was called as often as on the first batch.

        Raises:
            LayerNotFoundError: One was called more or fewer times.
        """
        for module, count in self.expected.items():
            fired = self.fired[module]
            if fired < count or (fired > count and not self.ended):
                view = next(view for view in self.views if view.knows(module))
                raise LayerNotFoundError(
                    f"{view.where(Firing(module, 0))}, {self.at}: called {fired} times, "
                    f"{count} times in the first batch. Leave out layers that are not called "
                    "alike for every batch."
                )

    def _take(self, index: int, firing: Firing, output: Any) -> None:
        view = self.views[index]
        try:
            chosen = choose_output(output, view.rows, self.size)
            self.captured[index][firing] = self._captured(index, firing, chosen)
        except NoRowsError as error:
            if self.expected:
                raise
            if view.is_named(firing):
                raise LayerNotFoundError(str(error)) from error
            self.refused[index][firing] = str(error)

    def _captured(self, index: int, firing: Firing, chosen: ChosenOutput) -> Captured:
        """Take rows and reduce them, once for a tensor that several layers return."""
        view, masks = self.views[index], self.masks[index]
        name, tensor = view.name(firing), chosen.tensor
        policy = self._channels.rows(view.rows, firing, firing.module, tensor)
        key = id(tensor), policy, masks.rules.role(name)
        known = self._seen.get(key)
        # Inference tensors count no versions: whether they were overwritten cannot be known.
        version = -1 if tensor.is_inference() else tensor._version
        if known and known[0]() is tensor and known[1] == version >= 0:
            return known[2]._replace(
                output=chosen.name, skipped=chosen.skipped, larger=chosen.larger
            )
        mask_of = partial(masks.of, name)
        keep = self.reduce is None
        rows = take_rows(tensor, policy, size=self.size, mask_of=mask_of, own=keep)
        _check_width(view.row_width(firing), rows)
        captured = self._reduced(rows, chosen)
        self._seen[key] = weakref.ref(tensor), version, captured
        return captured

    def _reduced(self, rows: TakenRows, chosen: ChosenOutput) -> Captured:
        values, groups, tokens = rows
        return Captured(
            value=values if self.reduce is None else self.reduce(values, groups),
            n=values.shape[0],
            width=values.shape[1],
            dtype=values.dtype,
            groups=groups,
            tokens=tokens,
            shape=tuple(chosen.tensor.shape),
            output=chosen.name,
            skipped=chosen.skipped,
            larger=chosen.larger,
        )

    def _fail(self, where: str, error: Exception) -> None:
        if isinstance(error, HooksimError):
            self.error = type(error)(f"{where}, {self.at}: {error}")
        else:
            reason = str(error).strip().split("\n")[0]
            self.error = HooksimError(f"{where}, {self.at}: {type(error).__name__}: {reason}")
        self.error.__cause__ = error
        self._end()

    def _end(self) -> None:
        self.ended = True
        raise EndForward(self)


def _check_width(first: int | None, rows: TakenRows) -> None:
    if first is not None and rows.values.shape[1] != first:
        raise ShapeError(
            f"rows of width {rows.values.shape[1]}, {first} in the first batch. "
            "Where sequences differ in length use rows='mean', 'cls', 'last' or 'token'."
        )
