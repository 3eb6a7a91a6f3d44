"""Contestants take turns, each where its tool is, and the numbers are those that were measured."""

import math

import pytest

from scripts.benchmarks import turns
from scripts.benchmarks.bench import Bench
from scripts.benchmarks.table import as_json, markdown
from scripts.benchmarks.turns import assigned, joined, measure
from tests.benchmarks.clockwork import Clock, case_of


class Environment(Bench):
    """A bench that says what is installed, and remembers what it was asked."""

    def __init__(self, cases, modules=("torch", "hooksim")):
        super().__init__(cases)
        self.modules = modules
        self.requests = []

    def ask(self, request):
        self.requests.append(dict(request))
        answer = super().ask(request)
        if request["do"] == "surroundings":
            answer["modules"] = list(self.modules)
        return answer

    @property
    def ran(self):
        return [request["name"] for request in self.requests if request["do"] == "run"]


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def measured(make, *environments, repeats=3):
    return measure("x", make(False), environments, small=False, repeats=repeats)


class TestTurns:
    def test_one_after_the_other_is_one_table(self, clock):
        parts = [
            measured(make, Environment({"x": make}))
            for make in (case_of(clock.taking(name, 2.0)) for name in "ab")
        ]
        found = joined(parts)
        assert list(found.outcomes) == ["a", "b"]
        assert found.load == (parts[0].load[0], parts[1].load[1])

    def test_a_b_c_a_b_c(self, clock):
        make = case_of(*(clock.taking(name, 1.0) for name in "abc"))
        measured(make, Environment({"x": make}), repeats=2)
        assert "".join(clock.order) == "abcabc"

    def test_a_b_c_over_two_environments(self, clock):
        make = case_of(
            clock.taking("a", 1.0), clock.taking("b", 1.0, module="cka"), clock.taking("c", 1.0)
        )
        own, peers = Environment({"x": make}), Environment({"x": make}, ["torch", "cka"])
        measured(make, own, peers, repeats=2)
        assert "".join(clock.order) == "abcabc"
        assert (own.ran, peers.ran) == (["a", "c"] * 2, ["b"] * 2)

    def test_best_and_ratio(self, clock):
        make = case_of(clock.taking("a", 3.0, 2.0, 4.0), clock.taking("b", 9.0, 7.0, 5.0))
        found = measured(make, Environment({"x": make}))
        assert found.outcomes["a"].seconds == [3.0, 2.0, 4.0]
        assert found.outcomes["b"].best / found.outcomes["a"].best == 2.5
        case = make(False)
        assert case.limits[0].value(found.outcomes) == 2.5
        assert case.limits[0].kept(found.outcomes) is False
        text = markdown(case, found)
        assert "| b | `b()` | 5 |" in text
        assert "- second / first: 2.5, promised <= 2: **missed**" in text
        assert as_json(case, found)["outcomes"]["b"]["seconds"] == [9.0, 7.0, 5.0]

    def test_some_pairs_stand_for_all(self, clock):
        some = {"pairs": [(0, 0), (1, 1)], "values": {"cka": [0.1, 0.4]}, "quantities": ["right"]}
        make = case_of(
            clock.taking("forward", 2.0),
            clock.taking("with a forward", 5.0, above="forward", **some),
            clock.taking("alone", 5.0, **some),
            parts=20,
            references={"right": lambda inputs: {"cka": [[0.1, 9.0], [9.0, 0.5]]}},
        )
        found = measured(make, Environment({"x": make}))
        assert found.outcomes["with a forward"].best == 2.0 + 3.0 * 10
        assert found.outcomes["alone"].best == 50.0
        assert found.outcomes["alone"].seconds == [5.0] * 3
        assert found.outcomes["alone"].error == pytest.approx(0.1)
        assert "| alone | `alone()`; 2 of 20 pairs timed, scaled | 50 |" in markdown(
            make(False), found
        )

    def test_one_that_fails(self, clock):
        make = case_of(
            clock.taking("a", 1.0), clock.taking("b", 1.0, MemoryError("too\nmuch"), 1.0)
        )
        found = measured(make, Environment({"x": make}), repeats=4)
        assert "".join(clock.order) == "ababaa"
        assert found.outcomes["b"].failure == "MemoryError: too"
        assert "| b | `b()` | **MemoryError** |" in markdown(make(False), found)
        assert "- second / first: promised <= 2: not measured" in markdown(make(False), found)

    def test_one_that_is_nowhere(self, clock):
        make = case_of(clock.taking("a", 1.0), clock.taking("b", 1.0, module="dadapy"))
        found = measured(make, Environment({"x": make}))
        assert list(found.outcomes) == ["a"]
        assert make(False).limits[0].kept(found.outcomes) is None
        assert "\n| b |" not in markdown(make(False), found)

    def test_where_nothing_runs_nothing_is_prepared(self, clock):
        make = case_of(clock.taking("a", 1.0))
        peers = Environment({"x": make}, ["torch", "cka"])
        measured(make, Environment({"x": make}), peers)
        assert [request["do"] for request in peers.requests] == ["surroundings"]


class TestPlaces:
    def test_hooksim_only_in_its_own(self, clock):
        make = case_of(clock.taking("a", 1.0, module="hooksim"))
        own, peers = Environment({}, ["torch"]), Environment({}, ["torch", "hooksim"])
        assert assigned(make(False), [own, peers]) == {"a": own}

    def test_the_first_that_has_it(self, clock):
        make = case_of(clock.taking("a", 1.0, module="cka"), clock.taking("b", 1.0))
        own, peers = Environment({}, ["torch"]), Environment({}, ["torch", "cka"])
        assert assigned(make(False), [own, peers]) == {"a": peers, "b": own}

    def test_one_that_runs_apart(self, clock):
        make = case_of(
            clock.taking("a", 1.0, module="cka"), clock.taking("b", 1.0, module="cka", apart=True)
        )
        own, peers, others = (
            Environment({}, ["torch", *extra]) for extra in ([], ["cka"], ["cka"])
        )
        assert assigned(make(False), [own, peers, others]) == {"a": peers, "b": others}
        assert assigned(make(False), [own, peers]) == {"a": peers, "b": peers}


class TestInputs:
    def test_others_are_refused(self, clock):
        first = case_of(clock.taking("a", 1.0), fingerprint=lambda inputs: [1.0, 2.0])
        other = case_of(
            clock.taking("a", 1.0),
            clock.taking("b", 1.0, module="cka"),
            fingerprint=lambda inputs: [1.0, 2.1],
        )
        environments = [Environment({"x": first}), Environment({"x": other}, ["torch", "cka"])]
        with pytest.raises(RuntimeError, match=r"case 'x': the environments made different inputs"):
            measured(other, *environments)

    @pytest.mark.parametrize("other", [[1.0], [1.0, math.nan], [1.0, 2.001]])
    def test_how_far_apart(self, other):
        turns.check_same("x", [[1.0, 2.0], [1.0, 2.0 + 1e-9]])
        with pytest.raises(RuntimeError, match="Install the same torch and transformers in both"):
            turns.check_same("x", [[1.0, 2.0], other])
