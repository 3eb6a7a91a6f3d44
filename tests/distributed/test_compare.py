"""Several processes give the matrices of one, or its error; one that fails ends all of them."""

import math

import pytest

import hooksim
from tests.distributed.processes import outcome

EXACT = {"measures": [{"name": "cka", "exact": True}], "block_size": 64}
JOINED = {"block_size": 2048}
CUT = {"block_size": 100}
BATCH = {"block_size": "batch"}
# Two processes have more than one batch each; five have less than one; some have no samples.
SAME = [
    {"n": n, "batch": batch, "options": options}
    for n, batch in [(0, 50), (1, 50), (3, 2), (7, 3), (200, 50), (1003, 50)]
    for options in (EXACT, JOINED)
] + [
    {"n": 120, "batch": 50, "options": BATCH},  # the last batch is joined to that of another
    {"n": 203, "batch": 50, "options": BATCH},
    {"n": 203, "batch": 50, "options": BATCH | {"max_samples": 101}},
    {"n": 300, "recorded": True, "options": JOINED},
    {"n": 300, "options": JOINED | {"pairs": "same_name"}},
    {"n": 200, "bad": 120, "options": BATCH},
    {"n": 120, "bad": 110, "batch": 30, "options": JOINED},
    {"n": 300, "fails": 170, "kind": "failing", "options": JOINED},
]
ALL = {"block_size": "all"}
RING = {"block_size": "all", "memory_budget": 0}  # Gram matrices that do not fit
RBF = {"measures": [{"name": "cka", "kernel": "rbf"}]}
SEVERAL = {"measures": ["cka", {"name": "information_imbalance", "k": 3}]}
DROP = {"on_nonfinite": "drop"}
CKA = {"measures": "cka"}
WHOLE = [
    {"n": 203, "bad": 110, "batch": 30, "options": JOINED | DROP, "left": 202},
    {"n": 203, "bad": 40, "batch": 30, "options": ALL | DROP, "left": 202},
    *({"n": n, "batch": batch, "options": ALL} for n, batch in [(0, 50), (3, 2), (7, 3)]),
    {"n": 1003, "batch": 50, "options": ALL},
    {"n": 90, "batch": 20, "options": ALL | {"rows": "token"}, "tokens": True},
    {"n": 203, "batch": 30, "options": ALL | {"measures": "cka", "pairs": "same_name"}},
    {"n": 120, "bad": 110, "batch": 30, "options": ALL},
    {"n": 1003, "batch": 50, "options": RING, "unit": 64},
    {"n": 203, "batch": 30, "options": RING | RBF, "unit": 20},
    {"n": 203, "batch": 30, "options": RING | SEVERAL, "unit": 16, "tied": True},
    {"n": 90, "batch": 20, "options": RING | {"rows": "token"}, "unit": 33, "tokens": True},
    {"n": 300, "recorded": True, "options": RING, "unit": 40},
    {"n": 203, "batch": 30, "options": ALL | SEVERAL, "single": True},
    {"n": 203, "batch": 30, "options": ALL | SEVERAL, "single": True, "tied": True},
]
NEAR = {"n": 1003, "batch": 50, "options": CUT}


def differences(got, expected, *, exact):
    """Cells that are not the same; the errors of exact CKA come from blocks, which differ."""
    tolerance = 1e-10 if exact else 1e-9
    return [
        (key, one, two)
        for key in expected
        for place in ((0,) if exact else (0, 1))
        for row, other in zip(got[key][place], expected[key][place], strict=True)
        for one, two in zip(row, other, strict=True)
        if not (math.isnan(one) and math.isnan(two)) and not abs(one - two) <= tolerance
    ]


@pytest.fixture(scope="module")
def alone():
    """What one process gives for each job."""
    return [outcome(0, job) for job in [*SAME, *WHOLE, NEAR]]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_so_many_processes_give_what_one_gives(in_processes, alone, size):
    found = in_processes(size, [*SAME, *WHOLE, NEAR])
    for number, job in enumerate([*SAME, *WHOLE]):
        one = alone[number]
        for told in found:
            (kind, *got), _, _ = told[number]
            assert kind == one[0], (job, got, one)
            if kind == "error":
                assert got[:2] == list(one[1:3]), job
                continue
            exact = job["options"] is EXACT
            assert differences(got[0], one[1], exact=exact) == [], job
            counted = job.get("left", job["options"].get("max_samples", job["n"]))
            assert got[1] == one[2] == counted
            assert got[2]["warnings"] == one[3]["warnings"], job
            assert sum(got[2]["blocks"]) == got[1] * (3 if job.get("tokens") else 1)
            assert repr(got[0]) == repr(found[0][number][0][1])  # the same bits on all
    _, tables, n_samples, meta = alone[-1]
    for told in found:
        (_, got, count, said), _, _ = told[-1]
        assert (count, sum(said["blocks"])) == (n_samples, n_samples)
        for key, (values, errors) in tables.items():
            for row, other, error in zip(got[key][0], values, errors, strict=True):
                for one, two, spread in zip(row, other, error, strict=True):
                    assert abs(one - two) <= 3 * spread + 1e-9
        assert said["layers_a"] == meta["layers_a"]


FAILURES = [
    ({"n": 200, "shuffled": 1}, "AlignmentError", "sample 0 is not the same in process 0, which"),
    ({"n": 200, "short": 1}, "AlignmentError", "sample 150 is not the same in process 0, which"),
    ({"n": 200, "extra": 1}, "ConfigError", "model B: '3.weight' is not the same in process 0 and"),
    ({"n": 200, "seed": 1}, "ConfigError", "model B: '0.weight' is not the same in process 0 and"),
    ({"n": 200, "breaks": 1}, "ConfigError", "a: expected a torch.nn.Module or"),
    ({"n": 200, "emptied": 1}, "AlignmentError", "sample 0 is not the same in process 0, which"),
    ({"n": 200, "emptied": 0}, "AlignmentError", "sample 0 is not the same in process 0, which"),
    ({"n": 200, "own": {1: {"max_samples": 7}}}, "ConfigError", "max_samples: None in process 0,"),
    (
        {"n": 200, "own": {1: {"memory_budget": 0}}, "options": ALL},  # else they would wait
        "ConfigError",
        "memory_budget: None in process 0, 0 in process 1. Every process must be given the same",
    ),
    ({"n": 200, "own": {0: {"pairs": "same_name"}}}, "ConfigError", "pairs: 'same_name' in proc"),
    ({"n": 200, "own": {1: {"rows": "flatten"}}}, "ConfigError", "rows.a.policy: 'auto' in proce"),
    ({"n": 200, "own": {1: DROP}}, "ConfigError", "on_nonfinite: 'error' in process 0, 'drop' in"),
    ({"n": 200, "own": {1: {"block_size": 9}}}, "ConfigError", "block_size: 'auto' in process 0,"),
    (
        {"n": 200, "own": {1: {"measures": hooksim.CKA(debiased=False)}}, "options": CKA},
        "ConfigError",
        "measures.cka.debiased: True in process 0, False in process 1. Every process",
    ),
    (
        {"n": 200, "wrapped": "fsdp", "shuffled": 1},
        "AlignmentError",
        "sample 0 is not the same in process 0, which was given 200 samples, and in process 1",
    ),
    (
        {"n": 200, "wrapped": "fsdp", "short": 1},
        "AlignmentError",
        "sample 150 is not the same in process 0, which was given 200 samples, and in process 1",
    ),
    *(
        (
            {"n": 43, "ids": True, "batch": 5, "wrapped": "fsdp", "only": only, "options": EXACT},
            "ConfigError",
            f"loader: only some processes are given a batch {number}, but all must run it: each",
        )
        for only, number in (([0], 0), ([1], 0), ([1, 1, 0], 3))
    ),
    (
        {"n": 200, "options": EXACT | {"block_size": "all"}},
        "ConfigError",
        "block_size='all' and exact=True need all rows in one process, but 2 compare together.",
    ),
    ({"n": 200, "fails": 170, "kind": "failing", "options": ALL}, "RuntimeError", "this model"),
    *(
        ({"n": 200, "full": rank, "unit": 20, "options": RING}, "HooksimError", "out of memory (7")
        for rank in (0, 1)
    ),
    ({"n": 2000, "batch": 10, "kind": "slow", "breaks": 1}, "ConfigError", "a: expected"),
]


def test_a_process_that_fails_ends_all_with_its_error(in_processes):
    found = in_processes(2, [*(job for job, _, _ in FAILURES), {"n": 100}])
    for told in found:
        for (got, _, _), (job, kind, message) in zip(told, FAILURES, strict=False):
            assert got[:2] == ("error", kind), (job, got)
            assert got[2].startswith(message), (job, got)
            assert "\n" not in got[2]
        assert told[-1][0][0] == "result"  # and the group is as good as before


def test_only_the_first_process_logs(in_processes):
    first, second = in_processes(2, [{"n": 8, "options": {"measures": "cka"}}])
    assert any("too few" in text for text in first[0][1]) and second[0][1] == []
    assert first[0][0][3]["warnings"] == second[0][0][3]["warnings"] != []


def test_a_process_that_dies_ends_the_others_with_one_line(in_processes):
    found = in_processes(3, [{"n": 300, "fails": 60, "kind": "dying"}], dead=(1,))
    for told in found:
        kind, name, text, _ = told[-1][0]
        assert (kind, name) == ("error", "HooksimError")
        ended = ("process 1 has ended (told by ", "another process has ended, or does not answer")
        assert any(each in text for each in ended) and "\n" not in text
