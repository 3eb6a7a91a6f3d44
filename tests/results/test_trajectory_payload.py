"""What the page of a trajectory is given."""

import pytest
import torch

from hooksim.report import Model
from hooksim.results import Comparison, Meaning, SimilarityMatrix, Trajectory
from hooksim.results.trajectory_payload import trajectory_payload

NAMES = ["0", "1"]


def compared(seed: int, **metadata: object) -> Comparison:
    generator = torch.Generator().manual_seed(seed)
    values, stderr = torch.rand((2, 2, 2), generator=generator, dtype=torch.float64)
    matrix = SimilarityMatrix("cka", values, stderr, NAMES, NAMES, Meaning("CKA", "max"))
    return Comparison({"cka": matrix}, 450, {"model_a": "ViT", "model_b": "ViT", **metadata})


def run(reference: str, steps: tuple[int | str, ...] = (10, 20, 3000), **own: object) -> Trajectory:
    count = len(steps) * (len(steps) + 1) // 2 if reference == "all" else len(steps)
    return Trajectory.from_comparisons(steps, [compared(i, **own) for i in range(count)], reference)


@pytest.mark.parametrize(
    ("reference", "own", "name", "kind"),
    [
        ("first", {"name_a": "step 10"}, "step 10", "the first checkpoint · ViT"),
        ("last", {"name_a": "step 3000"}, "step 3,000", "the last checkpoint · ViT"),
        ("last", {"name_a": "runs/b"}, "step 3,000", "the last checkpoint, runs/b · ViT"),
        ("initial", {"name_a": "initial"}, "initial", "the reference · ViT"),
        ("reference", {"name_a": "reference"}, "the reference", "ViT"),
        ("model", {"name_a": "seed-1/checkpoint-300"}, "seed-1/checkpoint-300",
         "the reference · ViT"),
        ("model", {}, "ViT", "the reference"),
        ("previous", {"model_a": ""}, "the step before", "the reference"),
        ("last", {"name_a": "last", "reference_kind": "previous"},
         "last, the measurement before each step", "ViT"),
        ("reference", {"name_a": "reference", "reference_kind": "previous"},
         "the measurement before each step", "ViT"),
    ],
)  # fmt: skip
def test_the_head_says_what_the_reference_is(reference, own, name, kind):
    models = trajectory_payload(run(reference, **own)).models
    assert models[0] == Model(name, kind)
    assert models[1] == Model("3 checkpoints", "step 10 to step 3,000 · ViT")


def test_all_pairs_are_of_one_run():
    shown = trajectory_payload(run("all"))
    assert shown.models == (Model("3 checkpoints", "step 10 to step 3,000 · ViT"),) * 2
    assert shown.reference_step is None and shown.matrices[0].values.shape == (3, 3, 2, 2)


def test_one_step_and_steps_that_are_words():
    assert trajectory_payload(run("x", (5,))).models[1] == Model("1 checkpoint", "step 5 · ViT")
    assert trajectory_payload(run("x", (5,))).facts == "n = 450 · 1 step · 2 x 2 layers"
    named = trajectory_payload(run("last", ("early", "main")))
    assert named.models[0].name == "main" and named.models[1].kind == "early to main · ViT"


@pytest.mark.parametrize(("reference", "place"), [("first", 0), ("last", 2), ("initial", None)])
def test_the_reference_has_a_place_among_the_steps_or_none(reference, place):
    assert trajectory_payload(run(reference)).reference_step == place


def test_what_checkpoints_share_is_said_once_and_what_differs_has_a_table():
    steps = (10, 20)
    several = [
        compared(i, name_b=f"step {step}", device=["cpu", "cpu"], seconds=0.1234 * (i + 1),
                 odd=None if i else [1, 2], wide=list(range(9 + i)), split={"a": i})
        for i, step in enumerate(steps)
    ]  # fmt: skip
    shown = trajectory_payload(Trajectory.from_comparisons(steps, several, "initial"))
    tables = {table.title: table for table in shown.provenance}
    models = dict(tables["Models"].rows)
    assert models["checkpoints.model"] == "ViT" and models["checkpoints.device"] == "cpu"
    assert models["reference"] == "initial" and "checkpoints.name" not in models
    assert tables["Checkpoints"].columns == ("checkpoint", "seconds", "odd", "wide", "split")
    assert tables["Checkpoints"].rows == (
        ("step 10", "0.123", "1, 2", "9 entries", "a=0"),
        ("step 20", "0.247", "-", "10 entries", "a=1"),
    )
    assert "Checkpoints" not in {
        table.title for table in trajectory_payload(run("initial")).provenance
    }


@pytest.mark.parametrize(
    ("reference", "titles"),
    [
        ("first", ["Model A: step 10", "Model B: step 3000"]),
        ("last", ["Model A: step 3000", "Model B: step 10"]),
        ("all", ["Model A: step 10", "Model B: step 3000"]),
    ],
)
def test_the_layers_of_both_ends_are_described(reference, titles):
    layer = {"layer": "0", "width": 4} | dict.fromkeys(
        ("rows_per_dimension", "participation_ratio", "duplicate_rows", "largest_share", "order"),
        1.0,
    )
    steps = (10, 3000)
    pairs = [(10, 10), (10, 3000), (3000, 3000)]
    ends = {"all": pairs, "first": pairs[:2], "last": [(3000, 10), (3000, 3000)]}[reference]
    several = [
        compared(i, name_a=f"step {a}", name_b=f"step {b}", layers_a=NAMES, layers_b=NAMES,
                 diagnostics={"a": [layer], "b": [layer]})
        for i, (a, b) in enumerate(ends)
    ]  # fmt: skip
    shown = trajectory_payload(Trajectory.from_comparisons(steps, several, reference))
    assert [table.title for table in shown.tables] == titles
    assert "diagnostics" not in str(shown.provenance)


def test_curves_have_the_names_of_the_saved_tables():
    shown = trajectory_payload(run("first"))
    assert [curves.file for curves in shown.curves] == ["cka.drift"]
