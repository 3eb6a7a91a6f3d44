"""hooksim beside the stored values of other tools: the same where these are right."""

import json
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from hooksim.functional import information_imbalance
from scripts.conformance import NEIGHBOURS, SEVERAL_K, Cell, from_plain
from tests.conformance.columns import CASES, REFERENCES, TOOLS, fingerprint, outcome, same_inputs
from tests.datasets import related

pytestmark = pytest.mark.conformance

STORED = json.loads((Path(__file__).parent / "peers.json").read_text(encoding="utf-8"))
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

BENIGN = ("offset 0", "width 1", "width 2", "width 64", "width 768")
GRAM32 = 1e-5  # Grams in float32, not centred: up to 6e-6 away on benign rows
SAME_RANKS = 1e-6  # one rank more or less is at least 2 / (200^2 * 10) = 5e-6
TOLERANCES = {
    "pytorch-cka": GRAM32,
    "torch_cka": GRAM32,
    "ckatorch": 1e-6,
    "tdhook-cka": 1e-6,
    "dadapy": SAME_RANKS,
    "tdhook-imbalance": SAME_RANKS,
}
BY_QUANTITY = {
    "debiased CKA": "hooksim-cka",
    "biased CKA": "hooksim-cka-estimator",
    "imbalance": "hooksim-imbalance",
}

# What the README says of the others: the error is at least this, infinity where there is no value.
WRONG = {
    ("pytorch-cka", "offset 10"): 0.01,
    ("pytorch-cka", "offset 100"): 0.5,
    ("pytorch-cka", "constant dimension of 3000"): 0.1,
    ("pytorch-cka", "scale 1e-12"): 0.5,
    ("pytorch-cka", "float16"): math.inf,
    ("torch_cka", "offset 10"): 0.1,
    ("torch_cka", "offset 100"): math.inf,
    ("torch_cka", "float16"): math.inf,
    ("tdhook-cka", "float16"): math.inf,
    ("tdhook-cka", "scale 1e-12"): math.inf,
    ("tdhook-cka", "bfloat16"): 1e-3,
    ("tdhook-imbalance", "offset 1000"): 0.1,
    ("tdhook-imbalance", "two tight clusters"): 0.1,
    ("tdhook-imbalance", "near-duplicate clusters"): 0.1,
    ("tdhook-imbalance", "duplicated rows"): 0.01,
    ("dadapy", "duplicated rows"): 0.1,
    ("dadapy", "three-valued"): 0.1,
}


def stored_cell(tool: str, case: str) -> Cell:
    truth = STORED["references"][case][TOOLS[tool].quantity]
    return Cell.of(from_plain(STORED["values"][case][tool]), truth)


def agree(ours: Sequence[float], theirs: Sequence[float], tolerance: float) -> bool:
    return len(ours) == len(theirs) and all(
        abs(a - b) <= tolerance for a, b in zip(ours, theirs, strict=True)
    )


def own_values(quantity: str, case: str) -> list[float]:
    values = outcome(TOOLS[BY_QUANTITY[quantity]], *CASES[case]())
    assert isinstance(values, list), values
    return values


class TestInputs:
    @pytest.mark.parametrize("case", CASES)
    def test_the_others_were_given_the_same_rows(self, case):
        """Bit for bit on the same kind of processor, up to rounding on another."""
        assert case in STORED["inputs"], "run scripts/conformance.py peers again"
        for side, stored in zip(CASES[case](), STORED["inputs"][case], strict=True):
            assert same_inputs(side, stored), f"other rows than with {STORED['surroundings']}"

    @pytest.mark.parametrize("case", CASES)
    def test_the_stored_float64_values_are_those_of_here(self, case):
        for quantity, stored in STORED["references"][case].items():
            assert agree(list(REFERENCES[quantity](*CASES[case]())), stored, 1e-5), quantity

    def test_no_stored_case_is_left_over(self):
        assert set(STORED["inputs"]) == set(STORED["values"]) == set(CASES)

    def test_versions_are_those_of_the_extra(self):
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
        for requirement in project["optional-dependencies"]["bench"]:
            assert requirement.replace("==", " ") in STORED["surroundings"].split(", ")

    def test_other_rows_are_found(self):
        for offset in (0.0, 1000.0):
            stored = fingerprint(related(50, 20, seed=1)[0] + offset)
            assert not same_inputs(related(50, 20, seed=2)[0] + offset, stored)
        stored = fingerprint(related(50, 20, seed=1)[0])
        assert not same_inputs(related(50, 20, seed=1)[0] + 1e-3, stored)
        assert not same_inputs(related(51, 20, seed=1)[0], stored)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_rounding_is_let_pass(self, dtype):
        rows = related(50, 20, seed=1)[0].to(dtype)
        other = rows * (1 + torch.finfo(dtype).eps)
        assert fingerprint(other)["sha256"] != fingerprint(rows)["sha256"]
        assert same_inputs(other, fingerprint(rows))


class TestAgreement:
    @pytest.mark.parametrize("case", BENIGN)
    @pytest.mark.parametrize("tool", TOLERANCES)
    def test_where_they_are_right(self, tool, case):
        theirs = from_plain(STORED["values"][case][tool])
        ours = own_values(TOOLS[tool].quantity, case)
        assert agree(ours, theirs, TOLERANCES[tool]), (ours, theirs)

    @pytest.mark.parametrize("k", NEIGHBOURS)
    @pytest.mark.parametrize("case", SEVERAL_K)
    def test_dadapy_with_several_neighbours(self, case, k):
        theirs = STORED["neighbours"][case][str(k)]
        ours = [value.item() for value in information_imbalance(*CASES[case](), k=k)]
        assert agree(ours, theirs, SAME_RANKS), (ours, theirs)

    def test_every_peer_is_held_against(self):
        assert set(TOLERANCES) == {name for name, tool in TOOLS.items() if not tool.ours}

    def test_it_can_fail(self):
        value = own_values("imbalance", "offset 0")
        a_rank_more = [value[0] + 2 / 200**2, value[1]]
        assert not agree(value, a_rank_more, SAME_RANKS)
        assert not agree(value, value[::-1], SAME_RANKS)
        assert not agree([math.nan], [math.nan], 1.0)
        theirs = from_plain(STORED["values"]["offset 100"]["pytorch-cka"])
        assert not agree(own_values("debiased CKA", "offset 100"), theirs, GRAM32)
        biased = own_values("biased CKA", "offset 0")
        assert not agree(own_values("debiased CKA", "offset 0"), biased, GRAM32)


class TestFaults:
    @pytest.mark.parametrize(("tool", "case"), WRONG)
    def test_where_they_are_wrong(self, tool, case):
        cell = stored_cell(tool, case)
        bound = WRONG[tool, case]
        assert not cell.has_value if math.isinf(bound) else cell.error > bound
        truth = STORED["references"][case][TOOLS[tool].quantity]
        assert agree(own_values(TOOLS[tool].quantity, case), truth, 1e-5)

    def test_dadapy_is_wrong_nowhere_else(self):
        wrong = {case for case in CASES if not stored_cell("dadapy", case).right}
        assert wrong == {"duplicated rows", "three-valued"}

    def test_they_are_right_on_benign_rows(self):
        assert all(stored_cell(tool, case).right for tool in TOLERANCES for case in BENIGN)
