"""Every case at its small size: it runs, and its values are right."""

import pytest

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.registry import CASES
from scripts.benchmarks.table import as_json, markdown
from scripts.benchmarks.turns import measure


@pytest.fixture(scope="module")
def outcomes():
    found = {}

    def of(key):
        if key not in found:
            case = CASES[key](True)
            bench = Bench(CASES)
            found[key] = (case, measure(key, case, [bench], small=True, repeats=1))
        return found[key]

    return of


@pytest.mark.parametrize("key", list(CASES))
class TestEveryCase:
    def test_hooksim_ran(self, key, outcomes):
        case, measured = outcomes(key)
        ours = [each.name for each in case.contestants if each.module in ("hooksim", "torch")]
        assert list(measured.outcomes) == ours
        assert [each.failure for each in measured.outcomes.values()] == [""] * len(ours)
        assert all(len(each.seconds) == 1 for each in measured.outcomes.values())

    def test_its_values_are_right(self, key, outcomes):
        case, measured = outcomes(key)
        for contestant in case.contestants:
            if contestant.quantities and contestant.name in measured.outcomes:
                assert measured.outcomes[contestant.name].error <= 1e-6

    def test_it_can_be_written(self, key, outcomes):
        case, measured = outcomes(key)
        assert markdown(case, measured).startswith(f"### {key}. ")
        assert as_json(case, measured)["title"] == case.title

    def test_small_and_full_have_the_same_contestants(self, key):
        small, full = (CASES[key](size).contestants for size in (True, False))
        if key != "d":  # whose contestants are its sizes
            assert [each.name for each in small] == [each.name for each in full]

    def test_inputs_are_the_same_at_every_call(self, key):
        case = CASES[key](True)
        assert case.fingerprint(case.prepare()) == case.fingerprint(case.prepare())


def test_the_modules_of_the_residual_network(outcomes):
    case, _ = outcomes("b")
    assert len(case.prepare().names) ** 2 == case.parts


def test_growth_is_drawn(outcomes, tmp_path):
    case, measured = outcomes("d")
    assert case.curves(measured.outcomes, tmp_path) == ["growth.png"]
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_help_imports_no_torch(outcomes):
    case, measured = outcomes("g")
    assert case.limits[1].kept(measured.outcomes) is True
