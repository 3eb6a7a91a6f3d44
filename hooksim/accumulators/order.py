"""Sums that tell whether the samples came sorted, by how far the blocks lie apart."""

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from hooksim.accumulators.base import Accumulator, BlockSums, SideNames, SidePair
from hooksim.accumulators.merging import check_same_layers
from hooksim.blocks.block import Block
from hooksim.blocks.strip import Strip
from hooksim.errors import Note

__all__ = ["OrderAccumulator"]

_RATIO = 4.0
_RATIO_OF_FEW = 10.0  # below four blocks the ratio varies widely by chance
_FEW_BLOCKS = 4


class OrderAccumulator(Accumulator):
    """The variance of the block means over that within the blocks, layer by layer.

    About 1 for shuffled samples. Far above it the samples came in an order, by class as image
    folders do, and what is measured within blocks is not what holds for all of them.

    State:
        blocks: `()`. sides.S.{samples, within, between}: `(layers of S,)`. sides.S.means.L: `(d,)`
        for layer L of side S. All float64; co-moments about the mean, merged as such.

    Args:
        pairs: Pairs of sides whose layers are looked at.

    Example:
        >>> rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
        >>> shuffled, ordered = OrderAccumulator(), OrderAccumulator()
        >>> for part in range(4):
        ...     block = rows[part * 10 : part * 10 + 10]
        ...     _ = shuffled.update([block], [block])
        ...     _ = ordered.update([block + 5 * part], [block])
        >>> bool(shuffled.compute()[0] < 4), bool(ordered.compute()[0] > 100)
        (True, True)

    Source: Fisher's F statistic, with squared distances for squares.
    """

    def __init__(self, *, pairs: Sequence[SidePair] = (SidePair(0, 1),)) -> None:
        super().__init__(pairs)

    @property
    def minimum(self) -> int:
        """The fewest samples that a block may have."""
        return 1

    def options(self) -> dict[str, Any]:
        """What two accumulators must have in common to be merged."""
        return {}

    def begin(self, block: Block) -> "_OrderSums":
        """What takes the means of a block for this accumulator."""
        return _OrderSums(block, self.sides)

    def compute(self, pair: int = 0) -> Tensor:
        """The ratio F of every layer of side A of a pair, then of side B.

        Args:
            pair: Position in `pairs`.

        Returns:
            `(layers of A + layers of B,)` float64; infinite where all variation is between the
            blocks; NaN for a single block, or where nothing varies.
        """
        self._check_begun()
        a, b, _ = self.pairs[pair]
        return torch.cat([self.ratios(side) for side in dict.fromkeys((a, b))])

    def notes(self, names: Sequence[SideNames]) -> list[Note]:
        """A warning if the samples came sorted, with the layer that shows it most."""
        if self._state.is_empty():
            return []
        blocks = int(self._state["blocks"])
        worst = max(
            (ratio, names[side].describe(layer))
            for side in self.sides
            for layer, ratio in enumerate(self.ratios(side).nan_to_num(0.0, torch.inf).tolist())
        )
        bound = _RATIO if blocks >= _FEW_BLOCKS else _RATIO_OF_FEW
        if blocks < 2 or worst[0] <= bound:
            return []
        text = (
            f"the samples seem to come in an order: the means of the {blocks} blocks differ "
            f"{worst[0]:.1f} times as much as those of shuffled samples would ({worst[1]}). "
            "Values of sorted samples are wrong; shuffle them."
        )
        return [Note("order", text)]

    def ratios(self, side: int) -> Tensor:
        """F of every layer of a side, (layers,)."""
        blocks, sums = self._state["blocks"], self._state["sides", str(side)]
        vectors = torch.stack([sums[name] for name in ("samples", "within", "between")])
        # Sums that were loaded may be of fewer layers than there are means.
        samples, within, between = vectors.view(3, len(sums["means"].keys()))
        between = between / (blocks - 1)  # 0 / 0 for a single block
        found: Tensor = between / (within / (samples - blocks))
        return found.cpu()

    def _add(self, state: TensorDict) -> None:
        """Merge co-moments: the shift between two means becomes a part of `between`."""
        if state.is_empty():
            return
        if self._state.is_empty():
            self._state = _copied(state)
            return
        check_same_layers(self._state, state)
        device = self._state["blocks"].device
        sides = self._state["sides"].items()
        self._state = TensorDict(
            {
                "blocks": self._state["blocks"] + state["blocks"].to(device),
                "sides": {
                    side: _merged(mine, state["sides", side].to(device)) for side, mine in sides
                },
            }
        )


def _copied(state: TensorDict) -> TensorDict:
    """The same in memory of its own; layers that share a tensor go on sharing one."""
    leaves: dict[Any, Any] = dict(state.items(True, True))
    copies = {id(each): each.clone() for each in leaves.values()}
    return TensorDict({name: copies[id(each)] for name, each in leaves.items()})


def _merged(mine: TensorDict, theirs: TensorDict) -> dict[str, Any]:
    """The co-moments of two sets of blocks of one side."""
    samples = mine["samples"] + theirs["samples"]
    share = theirs["samples"] / samples
    ones, others = (dict(each["means"].items()) for each in (mine, theirs))
    # Some layers are one tensor. Both means are held, so that no other ones get their ids.
    found: dict[tuple[int, int], tuple[Tensor, Tensor, tuple[Tensor, Tensor]]] = {}
    means, apart = {}, []
    for layer, own_share in zip(map(str, range(len(ones))), share, strict=True):
        one, other = ones[layer], others[layer]  # what was loaded is in any order
        which = id(one), id(other)
        if which not in found:
            found[which] = one, other, _merged_means(one, other, own_share)
        means[layer], distance = found[which][-1]
        apart.append(distance)
    between = mine["between"] + theirs["between"] + torch.stack(apart) * mine["samples"] * share
    return {
        "samples": samples,
        "within": mine["within"] + theirs["within"],
        "between": between,
        "means": means,
    }


def _merged_means(one: Tensor, other: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of two, of which the other has some share, and their squared distance."""
    shift = other - one
    return one + shift * share, shift.dot(shift)


class _OrderSums(BlockSums):
    """The mean of one block, and how far its samples lie from it; needs no strips."""

    def __init__(self, block: Block, sides: Sequence[int]) -> None:
        self._block = block
        self._sides = sides

    def strip(self, strip: Strip) -> None:
        """Nothing is looked at in a strip."""

    def end(self, counts: Sequence[int]) -> TensorDict:
        """The block's co-moments, in the form of the accumulator's state."""
        sides = {}
        for side in self._sides:
            samples, means, squares = zip(*self._block.spreads(side), strict=True)
            within = torch.stack(squares)
            sides[str(side)] = {
                "samples": torch.stack(samples),
                "within": within,
                "between": torch.zeros_like(within),
                "means": {str(layer): mean for layer, mean in enumerate(means)},
            }
        return TensorDict({"blocks": self._block.scale.new_ones(()), "sides": sides})
