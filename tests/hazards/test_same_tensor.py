"""One module under two names, called several times; and one tensor that two layers return."""

import pytest
import torch
from torch import nn

import hooksim
from tests.hazards.measured import BATCHES, assert_measured, by_hand


class Shared(nn.Module):
    """One layer under two names, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = self.one

    def forward(self, x):
        return self.two(torch.tanh(self.one(x)))

    def firings(self) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            first = self.one(torch.cat(BATCHES))
            return {"#0": first, "#1": self.one(torch.tanh(first))}


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_name_selects_all_its_firings(name):
    model = Shared()
    expected = {name + number: rows for number, rows in model.firings().items()}
    assert_measured(model, expected, layers=name)


def test_both_names_are_accepted_and_one_is_listed():
    model, firings = Shared(), Shared.firings
    expected = {
        f"{name}{number}": rows
        for name in ("one", "two")
        for number, rows in firings(model).items()
    }
    assert_measured(model, expected, layers=["one", "two"])
    assert hooksim.list_layers(model) == ["one"]


def test_single_firings_in_any_order():
    model = Shared()
    rows = model.firings()
    assert_measured(model, {"two#1": rows["#1"], "one#0": rows["#0"]})


def test_two_modules_that_share_their_weight_are_two_layers():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert_measured(model, by_hand(model, BATCHES, ["0", "2"]))


def test_a_container_shares_the_rows_of_its_last_child():
    model = nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.Tanh(), nn.Linear(6, 3)))
    names = ["1", "1.1"]
    assert_measured(model, by_hand(model, BATCHES, names))
    recording = hooksim.record(model, BATCHES, names, progress=False)
    assert recording["1"].data_ptr() == recording["1.1"].data_ptr()


def test_a_container_that_overwrites_its_last_childs_tensor_has_its_own_rows():
    class Overwrites(nn.Sequential):
        def forward(self, x):
            return super().forward(x).relu_()

    model = nn.Sequential(nn.Linear(4, 6), Overwrites(nn.Tanh(), nn.Linear(6, 3)))
    expected = by_hand(model, BATCHES, ["1", "1.1"])
    assert not torch.equal(expected["1"], expected["1.1"])
    assert_measured(model, expected)
