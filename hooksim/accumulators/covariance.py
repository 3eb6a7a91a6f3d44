"""Exact linear CKA over any number of samples in one pass, by the layers' cross-moments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import Accumulator, BlockSums, Estimate, SidePair
from hooksim.accumulators.moments import Moments
from hooksim.blocks.block import Block
from hooksim.blocks.grams import LayerGram
from hooksim.blocks.strip import Strip
from hooksim.errors import ConfigError, ShapeError
from hooksim.functional.cka import cka_ratio
from hooksim.functional.hsic import minimum_samples

__all__ = ["CovarianceAccumulator"]

_STATE_BUDGET = 2 << 30  # bytes for the moments of all pairs of layers
_ROW_ELEMENTS = 1 << 24  # centred rows of all sides worked on at once, float64: 128 MiB
_FEWEST_ROWS = 2048  # below this, adding the moments up costs more than their products
_CANCELLATION = 64 * torch.finfo(torch.float64).eps  # of HSIC, a difference of moments


class _Task(NamedTuple):
    """Moments to keep: under which path of the state, of which layers of which sides."""

    path: tuple[str, ...]
    side_x: int
    layers_x: slice
    side_y: int
    layers_y: slice


class CovarianceAccumulator(Accumulator):
    """Linear CKA of every pair of layers over all samples as one block, in one pass.

    The value does not depend on blocks, batches, their order, or how runs were merged. It costs
    memory by the square of the layers' widths, none by the samples. Standard errors are NaN: a
    `GramAccumulator` beside it gives them.

    State:
        centres.S and widths.S: `(sum of widths of S,)`, `(layers of S,)`. own.S.L and pairs.A,B
        (pairs.A,B.L if aligned): `Moments` of layer L with itself, and of all layers of A with all
        of B, about the centres. All float64.

    Args:
        debiased: With unbiased HSIC.
        pairs: Pairs of sides to compare.

    Example:
        >>> rows = torch.arange(12.0).view(6, 2) ** 2
        >>> accumulator = CovarianceAccumulator()
        >>> for part in rows.split(2):
        ...     _ = accumulator.update([part], [2 * part + 7])
        >>> round(accumulator.compute().values.item(), 12)
        1.0

    Source: Song et al. 2012, equation 5, written in cross-moments; merged as Chan et al. 1983 do.
    """

    gram_dtype: torch.dtype = torch.float64
    needs_rows: ClassVar[bool] = True

    def __init__(
        self, debiased: bool = True, *, pairs: Sequence[SidePair] = (SidePair(0, 1),)
    ) -> None:
        super().__init__(pairs)
        self.debiased = debiased

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have: parts of any size add up."""
        return 1

    def options(self) -> dict[str, Any]:
        """What two accumulators must have in common to be merged."""
        return {"debiased": self.debiased}

    def begin(self, block: Block) -> "_CovarianceSums":
        """What takes the rows of a block for this accumulator."""
        return _CovarianceSums(block, self.pairs, self.sides)

    def compute(self, pair: int = 0) -> Estimate:
        """CKA of every pair of layers of one pair of sides, over all samples seen.

        Args:
            pair: Position in `pairs`.

        Returns:
            Values `(layers of A, layers of B)` float64, NaN where a layer does not vary and for
            fewer than 4 samples (2 if biased); standard errors, all NaN.

        Raises:
            NotEnoughSamplesError: Before the first samples.
        """
        self._check_begun()
        asked = self.pairs[pair]
        of_pair = [task for task in self._tasks() if task.path[:2] == ("pairs", _key(asked))]
        own_x, own_y = (self._own(side) for side in asked[:2])
        found = [self._hsic(task) for task in of_pair]
        if asked.aligned:
            cells = torch.cat([each.flatten() for each in found])
            values = asked.matrix(cka_ratio(cells, own_x, own_y, floor=0.0))
        else:
            values = cka_ratio(found[0], own_x[:, None], own_y, floor=0.0)
        return Estimate(values.cpu(), torch.full_like(values, float("nan")).cpu())

    def widths(self, side: int) -> list[int]:
        """Width of each layer of a side, once samples were seen."""
        return [int(width) for width in self._state["widths", str(side)].tolist()]

    def _own(self, side: int) -> Tensor:
        """HSIC of each layer with itself, NaN where that is rounding error, (layers,)."""
        found = []
        for task in self._tasks():
            if task.path[:2] == ("own", str(side)):
                moments = _moments(self._state, task)
                spread = moments.a / moments.n - (moments.sx / moments.n).square().sum()
                hsic = self._hsic(task).flatten()
                found.append(torch.where(hsic > _CANCELLATION * spread**2, hsic, float("nan")))
        return torch.cat(found)

    def _hsic(self, task: _Task) -> Tensor:
        moments = _moments(self._state, task)
        if moments.n < minimum_samples(self.debiased):
            return torch.full_like(moments.q, float("nan"))
        widths_x = self.widths(task.side_x)[task.layers_x]
        widths_y = self.widths(task.side_y)[task.layers_y]
        return moments.hsic(widths_x, widths_y, self.debiased)

    def _tasks(self) -> Iterator[_Task]:
        return _tasks(self.pairs, {side: len(self.widths(side)) for side in self.sides})

    def _add(self, state: TensorDict) -> None:
        """Merge moments: those of the other's samples are moved to the centres kept here."""
        if self._state.is_empty() or state.is_empty():
            super()._add(state)
            return
        widths = {side: self.widths(side) for side in self.sides}
        moved: dict[int, tuple[Tensor, ...]] = {}
        for side in self.sides:
            name = str(side)
            if not torch.equal(state["widths", name].cpu(), self._state["widths", name].cpu()):
                raise ShapeError(
                    f"widths of side {side}: expected {widths[side]}, got "
                    f"{state['widths', name].tolist()}. Every block must have the same layers."
                )
            theirs = state["centres", name].to(self._state["centres", name].device)
            moved[side] = (theirs - self._state["centres", name]).split(widths[side])
        joined = self._state.clone()
        for task in self._tasks():
            theirs = _moments(state, task).shifted(
                torch.cat(moved[task.side_x][task.layers_x]),
                torch.cat(moved[task.side_y][task.layers_y]),
                widths[task.side_x][task.layers_x],
                widths[task.side_y][task.layers_y],
            )
            joined[task.path] = TensorDict(_moments(self._state, task).plus(theirs)._asdict())
        self._state = joined


class _CovarianceSums(BlockSums):
    """The moments of one block about its own means; needs no strips."""

    def __init__(self, block: Block, pairs: Sequence[SidePair], sides: Sequence[int]) -> None:
        self._block = block
        self._sides = sides
        self._widths = {side: [len(layer.mean) for layer in self._layers(side)] for side in sides}
        counts = {side: len(widths) for side, widths in self._widths.items()}
        self._tasks = list(_tasks(pairs, counts))
        self._check_size()

    def strip(self, strip: Strip) -> None:
        """Nothing is looked at in a strip."""

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's moments about its own means, in the form of the accumulator's state."""
        state = TensorDict()
        for side, widths in self._widths.items():
            means = [layer.mean for layer in self._layers(side)]
            state["widths", str(side)] = means[0].new_tensor(widths)
            state["centres", str(side)] = torch.cat(means)
        for task, moments in zip(self._tasks, self._moments(), strict=True):
            state[task.path] = TensorDict(moments._asdict())
        return state

    def _moments(self) -> list[Moments]:
        """The moments of every task, by as many rows at a time as fit the budget."""
        n = self._block.n
        columns = sum(sum(widths) for widths in self._widths.values())
        height = max(_FEWEST_ROWS, _ROW_ELEMENTS // columns)
        found: list[Moments] = []
        for start in range(0, n, height):
            rows = {side: self._rows(side, start, min(start + height, n)) for side in self._sides}
            new = (self._moments_of(task, rows) for task in self._tasks)
            found = [a.plus(b) for a, b in zip(found, new, strict=True)] if found else list(new)
        return found

    def _moments_of(self, task: _Task, rows: Mapping[int, Tensor]) -> Moments:
        x, widths_x = _part(rows[task.side_x], self._widths[task.side_x], task.layers_x)
        y, widths_y = _part(rows[task.side_y], self._widths[task.side_y], task.layers_y)
        return Moments.of(x, y, widths_x, widths_y)

    def _layers(self, side: int) -> list[LayerGram]:
        return [self._block.grams[stored] for stored in self._block.stored(side)]

    def _rows(self, side: int, start: int, stop: int) -> Tensor:
        """Rows of all layers of a side, minus their means, side by side, (stop - start, d)."""
        parts = (layer.centred(start, stop) * layer.scale for layer in self._layers(side))
        return torch.cat(list(parts), 1)

    def _check_size(self) -> None:
        """Refuse layers whose moments would not fit the budget."""
        elements = 0
        for task in self._tasks:
            widths_x = self._widths[task.side_x][task.layers_x]
            widths_y = self._widths[task.side_y][task.layers_y]
            d_x, d_y = sum(widths_x), sum(widths_y)
            elements += d_x * d_y + len(widths_x) * d_y + d_x * len(widths_y)
        if 8 * elements > _STATE_BUDGET:
            raise ConfigError(
                f"exact=True: the moments of these layers take {8 * elements:,} bytes, more than "
                f"{_STATE_BUDGET:,}. Use fewer or narrower layers, or exact=False (blocks)."
            )


def _tasks(pairs: Sequence[SidePair], layers: Mapping[int, int]) -> Iterator[_Task]:
    """The moments to keep for sides of so many layers."""
    for side, count in layers.items():
        for layer in range(count):
            one = slice(layer, layer + 1)
            yield _Task(("own", str(side), str(layer)), side, one, side, one)
    for pair in pairs:
        if not pair.aligned:
            every = slice(None)
            yield _Task(("pairs", _key(pair)), pair.a, every, pair.b, every)
            continue
        for layer in range(layers[pair.a]):
            one = slice(layer, layer + 1)
            yield _Task(("pairs", _key(pair), str(layer)), pair.a, one, pair.b, one)


def _key(pair: SidePair) -> str:
    return f"{pair.a},{pair.b}"


def _moments(state: TensorDict, task: _Task) -> Moments:
    return Moments(**{name: state[(*task.path, name)] for name in Moments._fields})


def _part(rows: Tensor, widths: list[int], layers: slice) -> tuple[Tensor, list[int]]:
    """The columns of some layers of rows that stand side by side, and their widths."""
    start = sum(widths[: layers.start or 0])
    return rows[:, start : start + sum(widths[layers])], widths[layers]
