"""The laws of every accumulator, as one suite to inherit.

class TestGramAccumulator(AccumulatorLaws):
    def make(self): return GramAccumulator()
    def make_other(self): return GramAccumulator(debiased=False)
    def cell(self, blocks): return [reference.block_cka(blocks)]
"""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from hooksim.errors import ConfigError, NonFiniteError, NotEnoughSamplesError, ShapeError

__all__ = ["AccumulatorLaws", "Block", "make_blocks", "matrices"]

Block = tuple[list[Tensor], list[Tensor]]  # rows of each layer of A, and of B


def make_blocks(*sizes: int, seed: int = 0) -> list[Block]:
    """Blocks of two layers of A and three of B that share a signal; rows move off the origin."""
    generator = torch.Generator().manual_seed(seed)
    blocks = []
    for n in sizes:
        signal = torch.randn(n, 5, generator=generator)

        def layer(width: int, signal: Tensor = signal) -> Tensor:
            noise = torch.randn(signal.shape[0], width, generator=generator)
            return signal @ torch.ones(5, width).cumsum(1).sin() + 0.7 * noise + 3.0

        blocks.append(([layer(4), layer(9)], [layer(6), layer(1), layer(3).square()]))
    return blocks


def matrices(result: Any) -> list[Tensor]:
    """What `compute()` gives as a flat list: values, standard errors, of each matrix in turn."""
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in matrices(part)]


def same_bits(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    """Equal in every bit, NaN included."""
    return len(left) == len(right) and all(
        a.dtype == b.dtype
        and a.shape == b.shape
        and torch.equal(a.isnan(), b.isnan())
        and torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in zip(left, right, strict=True)
    )


def snapshot(accumulator: Any) -> dict[str, Tensor]:
    """The state at this moment, in memory of its own."""
    return copy.deepcopy(dict(accumulator.state_dict()))


def same_state(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """The same names and the same bits."""
    names = sorted(left)
    return names == sorted(right) and same_bits(
        [left[name] for name in names], [right[name] for name in names]
    )


class AccumulatorLaws:
    """What must hold for `update`, `merge`, `compute`, `reset` and the state."""

    sizes = (12, 30, 17)
    tolerance = 1e-6  # of the values and errors against the dense truth

    def make(self) -> Any:
        """An empty accumulator."""
        raise NotImplementedError

    def make_other(self) -> Any:
        """An empty one with a configuration that must not be merged with `make()`'s."""
        raise NotImplementedError

    def cell(self, blocks: list[tuple[Tensor, Tensor]]) -> Sequence[tuple[float, float]]:
        """The dense truth of one pair of layers: value and error of each matrix."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------- helpers

    def filled(self, blocks: Sequence[Block]) -> Any:
        accumulator = self.make()
        for rows_a, rows_b in blocks:
            accumulator.update(rows_a, rows_b)
        return accumulator

    def truth(self, blocks: Sequence[Block]) -> list[Tensor]:
        layers_a, layers_b = len(blocks[0][0]), len(blocks[0][1])
        cells = [
            [
                self.cell([(rows_a[i], rows_b[j]) for rows_a, rows_b in blocks])
                for j in range(layers_b)
            ]
            for i in range(layers_a)
        ]
        table = torch.tensor(cells, dtype=torch.float64)  # (layers_a, layers_b, matrices, 2)
        return list(table.permute(2, 3, 0, 1).flatten(0, 1))

    def assert_close(self, got: Any, expected: Any, tolerance: float = 1e-12) -> None:
        for a, b in zip(matrices(got), matrices(expected), strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)

    # ------------------------------------------------------------------------------- the laws

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_dense_truth(self, count):
        blocks = make_blocks(*self.sizes[:count])
        got = matrices(self.filled(blocks).compute())
        assert all(tensor.dtype == torch.float64 for tensor in got)
        assert all(tensor.device.type == "cpu" for tensor in got)
        self.assert_close(got, self.truth(blocks), self.tolerance)

    def test_update_returns_itself_and_leaves_the_rows_alone(self):
        (block,) = make_blocks(12)
        before = copy.deepcopy(block)
        accumulator = self.make()
        assert accumulator.update(*block) is accumulator
        for rows, kept in zip(block, before, strict=True):
            assert same_bits(rows, kept)

    def test_merging_is_updating_with_all_blocks(self):
        blocks = make_blocks(*self.sizes)
        merged = self.filled(blocks[:1])
        merged.merge(self.filled(blocks[1:]))
        self.assert_close(merged.compute(), self.filled(blocks).compute())

    def test_empty_is_the_identity(self):
        blocks = make_blocks(*self.sizes)
        filled = self.filled(blocks)
        right, left = self.filled(blocks), self.make()
        right.merge(self.make())
        left.merge(filled)
        assert same_state(snapshot(right), snapshot(filled))
        assert same_state(snapshot(left), snapshot(filled))
        nothing = self.make()
        nothing.merge(self.make())
        assert same_state(snapshot(nothing), snapshot(self.make()))

    def test_merging_is_associative(self):
        parts = [[block] for block in make_blocks(*self.sizes)]
        first, second, third = (self.filled(part) for part in parts)
        first.merge(second)
        first.merge(third)
        left, middle, right = (self.filled(part) for part in parts)
        middle.merge(right)
        left.merge(middle)
        self.assert_close(first.compute(), left.compute())

    def test_order_does_not_matter(self):
        blocks = make_blocks(*self.sizes)
        self.assert_close(self.filled(blocks).compute(), self.filled(blocks[::-1]).compute())
        left, right = self.filled(blocks[:1]), self.filled(blocks[1:])
        right.merge(left)
        self.assert_close(right.compute(), self.filled(blocks).compute())

    @pytest.mark.parametrize("empty", [True, False])
    def test_peers_stay_as_they_are(self, empty):
        """An empty receiver must not take hold of its first peer's memory and then add to it."""
        blocks = make_blocks(*self.sizes, 20)
        receiver = self.make() if empty else self.filled(blocks[:1])
        peers = [self.filled(blocks[1:2]), self.filled(blocks[2:3])]
        before = [snapshot(peer) for peer in peers]
        for peer in peers:
            receiver.merge(peer)
        receiver.update(*blocks[3])
        receiver.merge(peers[0])
        for peer, kept in zip(peers, before, strict=True):
            assert same_state(snapshot(peer), kept)
        held = snapshot(receiver)
        peers[0].update(*blocks[3])
        peers[1].reset()
        assert same_state(snapshot(receiver), held)

    def test_state_round_trip(self):
        blocks = make_blocks(*self.sizes)
        accumulator, fresh = self.filled(blocks[:2]), self.make()
        fresh.load_state_dict(accumulator.state_dict())
        assert same_bits(matrices(fresh.compute()), matrices(accumulator.compute()))
        for one in (fresh, accumulator):
            one.update(*blocks[2])
        assert same_bits(matrices(fresh.compute()), matrices(accumulator.compute()))

    def test_state_of_an_empty_one(self):
        blocks = make_blocks(12)
        accumulator = self.filled(blocks)
        accumulator.load_state_dict(self.make().state_dict())
        assert same_state(snapshot(accumulator), snapshot(self.make()))

    def test_state_is_a_copy(self):
        blocks = make_blocks(*self.sizes)
        accumulator = self.filled(blocks[:1])
        state = accumulator.state_dict()
        kept = copy.deepcopy(dict(state))
        accumulator.update(*blocks[1])
        accumulator.merge(self.filled(blocks[2:]))
        assert same_state(dict(state), kept)
        loaded = self.make()
        loaded.load_state_dict(state)
        for tensor in state.values():
            tensor.zero_()
        assert same_state(snapshot(loaded), kept)

    def test_state_is_float64_and_does_not_grow(self):
        small, large = (snapshot(self.filled(make_blocks(*s))) for s in ((12,), (40, 50, 12)))
        sums = [tensor for name, tensor in small.items() if name != "options"]
        assert all(tensor.dtype == torch.float64 for tensor in sums)
        assert {name: t.shape for name, t in small.items()} == {
            name: t.shape for name, t in large.items()
        }

    def test_compute_twice(self):
        accumulator = self.filled(make_blocks(*self.sizes))
        before = snapshot(accumulator)
        first = matrices(accumulator.compute())
        for tensor in matrices(accumulator.compute()):
            tensor.fill_(7.0)  # what is handed out is not the state
        assert same_bits(first, matrices(accumulator.compute()))
        assert same_state(snapshot(accumulator), before)

    def test_update_after_compute(self):
        blocks = make_blocks(*self.sizes)
        accumulator = self.filled(blocks[:1])
        accumulator.compute()
        for block in blocks[1:]:
            accumulator.update(*block)
        assert same_bits(matrices(accumulator.compute()), matrices(self.filled(blocks).compute()))

    def test_reset(self):
        blocks = make_blocks(*self.sizes)
        accumulator = self.filled(blocks[1:])
        accumulator.reset()
        assert same_state(snapshot(accumulator), snapshot(self.make()))
        accumulator.update(*blocks[0])
        assert same_bits(
            matrices(accumulator.compute()), matrices(self.filled(blocks[:1]).compute())
        )

    def test_nothing_to_compute_yet(self):
        with pytest.raises(NotEnoughSamplesError, match="no samples yet"):
            self.make().compute()

    def test_another_configuration_is_refused(self):
        (block,) = make_blocks(12)
        accumulator, other = self.filled([block]), self.make_other()
        other.update(*block)
        before = snapshot(accumulator)
        with pytest.raises(ConfigError, match=r"merge: expected .* got "):
            accumulator.merge(other)
        with pytest.raises(ConfigError, match=r"merge: expected .* got "):
            accumulator.merge(self.make_other())
        with pytest.raises(ConfigError, match=r"state: expected options .* got "):
            accumulator.load_state_dict(other.state_dict())
        assert same_state(snapshot(accumulator), before)

    def test_other_layers_are_refused(self):
        (block,) = make_blocks(12)
        rows_a, rows_b = block
        accumulator = self.filled([block])
        before = snapshot(accumulator)
        fewer = self.make()
        fewer.update(rows_a[:1], rows_b)
        with pytest.raises(ShapeError, match="same layers"):
            accumulator.merge(fewer)
        with pytest.raises(ShapeError, match="same layers"):
            accumulator.update(rows_a, rows_b[:2])
        assert same_state(snapshot(accumulator), before)

    def test_a_refused_block_leaves_no_trace(self):
        (first, second) = make_blocks(12, 30)
        accumulator = self.filled([first])
        before = snapshot(accumulator)
        rows_a, rows_b = copy.deepcopy(second)
        rows_b[1][4, 0] = float("nan")
        with pytest.raises(NonFiniteError, match="1 of 30 rows hold NaN or infinity"):
            accumulator.update(rows_a, rows_b)
        with pytest.raises(NotEnoughSamplesError, match="expected at least"):
            accumulator.update(*([rows[:0] for rows in side] for side in second))
        with pytest.raises(ShapeError, match="matching sample counts"):
            accumulator.update(second[0], [rows[:-1] for rows in second[1]])
        assert same_state(snapshot(accumulator), before)
        accumulator.update(*second)
        assert same_bits(
            matrices(accumulator.compute()), matrices(self.filled([first, second]).compute())
        )
