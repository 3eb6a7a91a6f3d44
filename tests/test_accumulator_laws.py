"""The laws hold for a correct toy accumulator and catch each way of being wrong."""

from typing import NamedTuple, Self

import pytest
import torch
from torch import Tensor

from hooksim.errors import ConfigError, NonFiniteError, NotEnoughSamplesError, ShapeError
from tests.accumulator_laws import AccumulatorLaws


class Mean(NamedTuple):
    values: Tensor
    stderr: Tensor


class Toy:
    """Mean over samples of |x_i|^2 |y_i|^2 for every pair of layers."""

    def __init__(self, power: float = 2.0) -> None:
        self.power = power
        self.state: dict[str, Tensor] = {}

    def update(self, rows_a: list[Tensor], rows_b: list[Tensor]) -> Self:
        counts = {len(rows) for rows in (*rows_a, *rows_b)}
        if len(counts) > 1:
            raise ShapeError("matching sample counts")
        (n,) = counts
        if n < 2:
            raise NotEnoughSamplesError("expected at least 2")
        bad = sum(int((~rows.isfinite()).any(1).sum()) for rows in (*rows_a, *rows_b))
        if bad:
            raise NonFiniteError(f"{bad} of {n} rows hold NaN or infinity")
        a, b = (
            torch.stack([r.double().pow(self.power).sum(1) for r in s]) for s in (rows_a, rows_b)
        )
        self.add({"n": torch.tensor(float(n), dtype=torch.float64), "sum": a @ b.T})
        return self

    def add(self, other: dict[str, Tensor]) -> None:
        if not self.state:
            self.state = {name: value.clone() for name, value in other.items()}
        elif other:
            if other["sum"].shape != self.state["sum"].shape:
                raise ShapeError("Every block must have the same layers.")
            for name, value in other.items():
                self.state[name] += value

    def merge(self, other: Self) -> Self:
        if self.power != other.power:
            raise ConfigError(f"merge: expected {self.power}, got {other.power}.")
        self.add(other.state)
        return self

    def compute(self) -> Mean:
        if not self.state:
            raise NotEnoughSamplesError("no samples yet")
        values = self.state["sum"] / self.state["n"]
        return Mean(values, torch.full_like(values, float("nan")))

    def reset(self) -> Self:
        self.state = {}
        return self

    def state_dict(self) -> dict[str, Tensor]:
        power = torch.tensor(self.power, dtype=torch.float64)
        return {"power": power, **{name: value.clone() for name, value in self.state.items()}}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        if state["power"] != self.power:
            raise ConfigError(f"state: expected options {self.power}, got {state['power']}.")
        self.state = {name: value.clone() for name, value in state.items() if name != "power"}
        return self


class ToyLaws(AccumulatorLaws):
    """The suite for the toy, not collected by itself."""

    kind = Toy

    def make(self):
        return self.kind()

    def make_other(self):
        return self.kind(3.0)

    def cell(self, blocks):
        products = [x.double().square().sum(1) * y.double().square().sum(1) for x, y in blocks]
        return [(torch.cat(products).mean().item(), float("nan"))]


class TestToy(ToyLaws):
    pass


class Aliasing(Toy):
    def merge(self, other):
        if not self.state and self.power == other.power:
            self.state = other.state
            return self
        return super().merge(other)


class Consuming(Toy):
    def merge(self, other):
        super().merge(other)
        other.reset()
        return self


class Careless(Toy):
    def merge(self, other):
        self.add(other.state)
        return self


class LastOnly(Toy):
    def update(self, rows_a, rows_b):
        self.state = {}
        return super().update(rows_a, rows_b)


class Leaking(Toy):
    def state_dict(self):
        return {"power": torch.tensor(self.power, dtype=torch.float64), **self.state}


class Borrowing(Toy):
    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.state = {name: value for name, value in state.items() if name != "power"}
        return self


class ResettingCompute(Toy):
    def compute(self):
        result = super().compute()
        self.reset()
        return result


class HandingOutState(Toy):
    def compute(self):
        return Mean(super().compute().values, self.state["sum"])


class MeanOfMeans(Toy):
    def add(self, other):
        if not self.state or not other:
            return super().add(other)
        self.state["sum"] = (self.compute().values + other["sum"] / other["n"]) / 2
        self.state["n"] = torch.ones((), dtype=torch.float64)
        return None


class Half(Toy):
    def state_dict(self):
        return {name: value.float() for name, value in super().state_dict().items()}


class Growing(Toy):
    def update(self, rows_a, rows_b):
        super().update(rows_a, rows_b)
        self.state[f"kept{len(self.state)}"] = torch.zeros(1, dtype=torch.float64)
        return self


class BeforeChecking(Toy):
    def update(self, rows_a, rows_b):
        if self.state:
            self.state["n"] += len(rows_a[0])
            super().update(rows_a, rows_b)
            self.state["n"] -= len(rows_a[0])
            return self
        return super().update(rows_a, rows_b)


@pytest.mark.parametrize(
    ("kind", "law", "arguments"),
    [
        (Aliasing, "test_peers_stay_as_they_are", (True,)),
        (Consuming, "test_peers_stay_as_they_are", (False,)),
        (Careless, "test_another_configuration_is_refused", ()),
        (LastOnly, "test_dense_truth", (2,)),
        (LastOnly, "test_merging_is_updating_with_all_blocks", ()),
        (Leaking, "test_state_is_a_copy", ()),
        (Borrowing, "test_state_is_a_copy", ()),
        (ResettingCompute, "test_compute_twice", ()),
        (ResettingCompute, "test_update_after_compute", ()),
        (HandingOutState, "test_compute_twice", ()),
        (MeanOfMeans, "test_merging_is_associative", ()),
        (MeanOfMeans, "test_order_does_not_matter", ()),
        (Half, "test_state_is_float64_and_does_not_grow", ()),
        (Half, "test_state_round_trip", ()),
        (Growing, "test_state_is_float64_and_does_not_grow", ()),
        (BeforeChecking, "test_a_refused_block_leaves_no_trace", ()),
    ],
)
def test_the_laws_catch(kind, law, arguments):
    suite = ToyLaws()
    suite.kind = kind
    with pytest.raises((AssertionError, pytest.fail.Exception, NotEnoughSamplesError)):
        getattr(suite, law)(*arguments)
