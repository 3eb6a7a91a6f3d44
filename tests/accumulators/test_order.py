"""Sums for the order of samples: of whose memory they are, and of which layers."""

import pytest
import torch

from hooksim.accumulators import order
from hooksim.accumulators.order import OrderAccumulator
from hooksim.errors import ConfigError, ShapeError

ROWS = [torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]


def test_merging_shares_no_memory():
    given = OrderAccumulator().update([ROWS[0]], [ROWS[1]])
    taken = OrderAccumulator().merge(given)
    before = {name: value.clone() for name, value in taken.state_dict().items()}
    for value in given._state.values(True, True):
        value += 1
    assert all(torch.equal(value, before[name]) for name, value in taken.state_dict().items())


def test_layers_that_are_one_tensor_are_merged_once(monkeypatch):
    merged, merge = [], order._merged_means
    monkeypatch.setattr(order, "_merged_means", lambda *given: merged.append(1) or merge(*given))
    shared = OrderAccumulator()
    for rows in ROWS:
        shared.update([rows, rows, rows + 1], [rows])
    assert len(merged) == 2 * 3
    assert shared.compute()[0] == shared.compute()[1]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([ROWS[0], ROWS[1]], r"sums sides\.0\.\w+: expected shape \(1,\), got \(2,\)"),
        ([ROWS[0][:, :1]], r"sums sides\.0\.means\.0: expected shape \(3,\), got \(1,\)"),
    ],
    ids=["more", "narrower"],
)
def test_other_layers_are_refused(others, said):
    sums = OrderAccumulator().update([ROWS[0]], [ROWS[1]])
    with pytest.raises(ShapeError, match=said):
        sums.update(others, [ROWS[1]])


def test_sums_that_were_loaded_in_another_order_are_of_the_same_layers():
    layers = [scale * ROWS[0] for scale in range(1, 13)]
    sums = OrderAccumulator().update(layers, [ROWS[1]])
    loaded = OrderAccumulator().load_state_dict(dict(sorted(sums.state_dict().items())))
    more = [scale**2 * ROWS[2] for scale in range(1, 13)], [ROWS[1]]
    torch.testing.assert_close(loaded.update(*more).compute(), sums.update(*more).compute())


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"sides.0.within": state["sides.0.within"][:1]},
        lambda state: {name: each for name, each in state.items() if name != "sides.0.means.1"},
        lambda state: {name: each for name, each in state.items() if ".means." not in name},
    ],
    ids=["shorter", "one mean missing", "no means"],
)
def test_incomplete_sums_are_not_loaded(change):
    sums = OrderAccumulator().update([ROWS[0], ROWS[1]], [ROWS[1], ROWS[2]])
    with pytest.raises(ConfigError, match="do not fit"):
        OrderAccumulator().load_state_dict(change(sums.state_dict()))
