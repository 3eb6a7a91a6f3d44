"""Errors, promises and scaled times."""

import math

import numpy as np
import pytest

from scripts.benchmarks.case import Limit, Outcome, error_of
from scripts.benchmarks.promises import error, extra_memory, faster, ratio


class TestError:
    def test_the_worst_of_all_keys(self):
        values = {"cka": np.array([[0.5, 0.2]]), "a_to_b": np.array([[0.1, 0.1]])}
        truth = {"cka": np.array([[0.5, 0.3]]), "a_to_b": np.array([[0.1, 0.4]])}
        assert error_of(values, truth) == pytest.approx(0.3)

    def test_keys_that_nobody_gave(self):
        assert error_of({"cka": np.ones(1)}, {"cka": np.ones(1), "a_to_b": np.zeros(1)}) == 0.0

    def test_some_pairs(self):
        truth = {"cka": np.array([[0.0, 1.0], [2.0, 3.0]])}
        assert error_of({"cka": np.array([1.0, 2.5])}, truth, [(0, 1), (1, 0)]) == 0.5

    def test_not_a_number(self):
        truth = {"cka": np.array([1.0, math.nan])}
        assert error_of({"cka": np.array([1.0, math.nan])}, truth) == 0.0
        assert math.isnan(error_of({"cka": np.array([math.nan, math.nan])}, truth))
        assert math.isnan(error_of({"cka": np.array([1.0, 2.0])}, truth))

    def test_infinite(self):
        assert error_of({"cka": np.array([math.inf])}, {"cka": np.array([1.0])}) == math.inf

    def test_another_shape_is_no_match(self):
        with pytest.raises(ValueError, match="cannot reshape"):
            error_of({"cka": np.ones(3)}, {"cka": np.ones(4)})


OUTCOMES = {
    "ours": Outcome([3.0, 2.0], peaks=[150, 130], error=1e-6),
    "bare": Outcome([4.0, 5.0], peaks=[100, 90]),
    "theirs": Outcome([8.0], peaks=[1100], factor=10.0),
    "bare there": Outcome([4.0], peaks=[100]),
    "broken": Outcome(failure="MemoryError"),
    "elsewhere": Outcome([1.0], peaks=[None]),
}


class TestPromises:
    def test_numbers(self):
        assert ratio("ours", "bare")(OUTCOMES) == 0.5
        assert faster("ours", "theirs")(OUTCOMES) == 40.0
        assert error("ours")(OUTCOMES) == 1e-6
        memory = extra_memory("ours", "bare", "theirs", "bare there")
        assert memory(OUTCOMES) == 0.05

    @pytest.mark.parametrize("other", ["broken", "missing"])
    def test_what_nobody_measured(self, other):
        assert ratio("ours", other)(OUTCOMES) is None
        assert error(other)(OUTCOMES) is None
        assert extra_memory("ours", "bare", other, "bare there")(OUTCOMES) is None

    def test_memory_where_the_system_does_not_tell(self):
        assert extra_memory("ours", "bare", "elsewhere", "bare")(OUTCOMES) is None

    @pytest.mark.parametrize(("value", "kept"), [(1.9, True), (2.0, True), (2.1, False)])
    def test_at_most_and_at_least(self, value, kept):
        assert Limit("", 2.0, lambda outcomes: value).kept({}) is kept
        assert Limit("", 2.0, lambda outcomes: value, at_least=True).kept({}) is (value >= 2.0)
