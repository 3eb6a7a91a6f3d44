"""Trajectories: put together, taken apart, kept on disk."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hooksim.errors import ConfigError, HooksimError, ShapeError, UnknownKeyError
from hooksim.results import Comparison, MatrixStack, Meaning, SimilarityMatrix, Trajectory
from hooksim.storage import sealed

KEYS = ("cka", "ii_a_to_b", "ii_b_to_a")
STEPS = [1, 10, "=final"]
LAYERS = ["b.0", "=1+1"]
ROWS = {"policy": "auto", "mask": None}


def comparison(
    seed: int, layers_a: list[str] = LAYERS, layers_b: list[str] = LAYERS, **metadata: object
) -> Comparison:
    generator = torch.Generator().manual_seed(seed)
    matrices = {}
    for key in KEYS:
        values = torch.rand(len(layers_a), len(layers_b), generator=generator, dtype=torch.float64)
        meaning = Meaning("CKA", "max") if key == "cka" else Meaning("II", "min", (0, 1), key[3:])
        matrices[key] = SimilarityMatrix(key, values, values / 7, layers_a, layers_b, meaning)
    known = {
        "blocks": [42], "layers_a": layers_a, "layers_b": layers_b, "model_b": f"Net{seed}",
        "model_a": "Ref", "rows": {"a": ROWS, "b": ROWS},
    }  # fmt: skip
    return Comparison(matrices, 42, {**known, **metadata})


@pytest.fixture
def made() -> list[Comparison]:
    return [comparison(seed) for seed in range(3)]


@pytest.fixture
def trajectory(made: list[Comparison]) -> Trajectory:
    return Trajectory.from_comparisons(STEPS, made, "first")


@pytest.fixture
def pairs() -> Trajectory:
    return Trajectory.from_comparisons([1, 2, 3], [comparison(seed) for seed in range(6)], "all")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pictures and page out where they do not matter."""
    monkeypatch.setattr("hooksim.results.trajectory_files._write_pictures", lambda *_: None)
    monkeypatch.setattr(Trajectory, "report", lambda *_: None)


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.equal(first.view(torch.int64), second.view(torch.int64))


def test_a_history_becomes_a_trajectory_and_comes_apart_again(
    made: list[Comparison], trajectory: Trajectory
) -> None:
    assert trajectory["cka"].shape == (3, 2, 2)
    for step, one in zip(STEPS, made, strict=True):
        found = trajectory.at(step)
        assert found.metadata == {**one.metadata, "warnings": []}
        for key in KEYS:
            assert same_bits(found[key].values, one[key].values)
            assert same_bits(found[key].stderr, one[key].stderr)


def test_what_differs_from_step_to_step_stays_with_it() -> None:
    order, rows = {"code": "order", "text": "sorted."}, {"code": "few", "text": "few rows."}
    made = [
        comparison(0, seconds=1.0, warnings=[order]),
        comparison(1, seconds=2.0, warnings=[order, rows]),
    ]
    trajectory = Trajectory.from_comparisons([1, 2], made, "initial")
    assert trajectory.metadata["warnings"] == [order, rows]
    assert "seconds" not in trajectory.metadata
    assert [trajectory.at(step).metadata["seconds"] for step in (1, 2)] == [1.0, 2.0]
    assert [trajectory.at(step).metadata["warnings"] for step in (1, 2)] == [[order], [order, rows]]
    assert trajectory.metadata["reference_step"] is None
    assert trajectory.metadata["reference_side"] == {
        "model": "Ref", "layers": LAYERS, "rows": ROWS,
    }  # fmt: skip


def test_a_reference_that_changes_stays_with_its_step() -> None:
    made = [comparison(0, name_a="step 0"), comparison(1, name_a="step 1")]
    trajectory = Trajectory.from_comparisons([1, 2], made, "previous")
    assert trajectory.metadata["reference_side"] is None
    assert [trajectory.at(step).metadata["name_a"] for step in (1, 2)] == ["step 0", "step 1"]


def test_pairs_are_the_upper_triangle_row_by_row(pairs: Trajectory) -> None:
    order = [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    for seed, (a, b) in enumerate(order):
        one = comparison(seed)
        assert same_bits(pairs.at(a, b)["ii_a_to_b"].values, one["ii_a_to_b"].values)
        if a != b:
            assert same_bits(
                pairs.at(b, a)["ii_a_to_b"].stderr, one["ii_b_to_a"].stderr.T.contiguous()
            )
            assert same_bits(pairs.at(b, a)["cka"].values, one["cka"].values.T.contiguous())


def test_layers_are_matched_by_name() -> None:
    made = [comparison(0, layers_b=["x", "b.0"]), comparison(1, layers_b=["b.0", "y"])]
    trajectory = Trajectory.from_comparisons([1, 2], made, "first")
    assert trajectory["cka"].layers_b == ["x", "b.0", "y"]
    assert trajectory["cka"].values.isnan().any(1).tolist() == [
        [False, False, True], [True, False, False],
    ]  # fmt: skip
    assert trajectory.at(1)["cka"].layers_b == ["x", "b.0"]
    drift = trajectory.drift("cka")
    assert drift.values[:, 0].tolist() == [
        made[0]["cka"].values[0, 1].item(), made[1]["cka"].values[0, 0].item(),
    ]  # fmt: skip
    assert drift.values[:, 1].isnan().all() and drift.stderr[:, 1].isnan().all()


@pytest.mark.parametrize(
    ("steps", "made", "reference", "message"),
    [
        ([1, 2], [comparison(0)], "first", "expected 2 comparisons for 2 steps, got 1"),
        ([1, 2], [comparison(0)] * 2, "all", "expected 3 comparisons for 2 steps, got 2"),
        ([], [], "first", "At least one step"),
        ([1, 1], [comparison(0)] * 2, "first", "every step once, got 1 twice"),
        ([1, 2], [comparison(0), Comparison({}, 42, {})], "first", "step 2 has nothing, step 1 has 'cka'"),  # noqa: E501
        ([1, 2], [comparison(0), Comparison({key: comparison(0)[key] for key in KEYS}, 43, {})], "first", "step 2 rests on 43 samples, step 1 on 42"),  # noqa: E501
    ],
)  # fmt: skip
def test_what_does_not_belong_together(steps, made, reference, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Trajectory.from_comparisons(steps, made, reference)


def changed(key: str, **meaning: object) -> Comparison:
    """The comparison of the seed 1 with another meaning of one matrix."""
    made = comparison(1)
    matrices = {each: made[each] for each in made}
    matrices[key] = replace(made[key], meaning=replace(made[key].meaning, **meaning))
    return Comparison(matrices, 42, made.metadata)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (changed("cka", label="CKA (biased)"), "'cka' of step 9 is CKA (biased) (max is closest, 0 to 1), that of step 1 CKA (max"),  # noqa: E501
        (changed("cka", best="min"), "'cka' of step 9 is CKA (min is closest, 0 to 1), that of"),
        (changed("ii_b_to_a", range=(0, 2)), "'ii_b_to_a' of step 9 is II, b_to_a (min is closest, 0 to 2)"),  # noqa: E501
        (comparison(1, measures=[{"name": "cka", "debiased": False}]), "step 9 was measured by [{'name': 'cka', 'debiased': False}], step 1 by [{'name': 'cka'}]. All"),  # noqa: E501
        (comparison(1, measures=[{"name": "cka"}], rows={"a": ROWS, "b": {"policy": "cls", "mask": None}}), "step 9 has rows by {'b': {'policy': 'cls'}}, step 1 by {'b': {'policy': 'auto'}}. All"),  # noqa: E501
        (comparison(1, measures=[{"name": "cka"}], blocks=[21, 21]), "step 9 has blocks of [21, 21] rows, step 1 of [42]. 'ii_a_to_b' is compared at equal blocks"),  # noqa: E501
    ],
)  # fmt: skip
@pytest.mark.parametrize("reference", ["first", "all"])
def test_values_that_cannot_be_compared(other, message, reference) -> None:
    first = comparison(0, measures=[{"name": "cka"}])
    made = [first, other] if reference == "first" else [first, first, other]
    message = message.replace("step 9", "step 9 and 9") if reference == "all" else message
    with pytest.raises(ConfigError) as caught:
        Trajectory.from_comparisons([1, 9], made, reference)
    assert str(caught.value).startswith(f"trajectory: {message}")


def test_only_ranks_need_equal_blocks() -> None:
    made = [comparison(seed, blocks=blocks) for seed, blocks in enumerate(([42], [21, 21]))]
    alone = [Comparison({"cka": one["cka"]}, 42, one.metadata) for one in made]
    result = Trajectory.from_comparisons([1, 2], alone, "first")
    assert [result.at(step).metadata["blocks"] for step in (1, 2)] == [[42], [21, 21]]


def test_names_alone_make_no_directions() -> None:
    def renamed(seed: int) -> Comparison:
        made = comparison(seed)
        one, other = made["cka"], made["ii_a_to_b"]
        biased = Meaning("CKA (biased)", "max")
        return Comparison(
            {
                "x_a_to_b": replace(one, key="x_a_to_b"),
                "x_b_to_a": replace(other, key="x_b_to_a", meaning=biased),
            },
            42, made.metadata,
        )  # fmt: skip

    pairs = Trajectory.from_comparisons([1, 2], [renamed(seed) for seed in range(3)], "all")
    assert pairs.directed() == [] and renamed(0).directed() == []
    for key in pairs:
        assert torch.equal(pairs[key].values[1, 0], pairs[key].values[0, 1].T)


def test_it_reads_like_a_comparison(trajectory: Trajectory, pairs: Trajectory) -> None:
    assert trajectory.keys() == list(trajectory) == list(KEYS) and len(trajectory) == 3
    assert "cka" in trajectory and trajectory.directed() == ["ii"]
    lines = str(trajectory).splitlines()
    assert lines[0] == "3 steps: 1, 10, =final; against the first, step 1"
    assert lines[1].startswith("cka: 3 x 2 x 2 (steps x A x B), n = 42 in one block, 0.")
    assert str(pairs).startswith("3 steps: 1, 2, 3; each with each\ncka: 3 x 3 x 2 x 2 (steps x st")
    many = Trajectory.from_comparisons(range(20), [comparison(0)] * 20, "elsewhere")
    assert str(many).startswith("20 steps: 0, 1, 2, ..., 18, 19; against Ref\n")
    assert repr(trajectory["cka"]).startswith("MatrixStack 'cka': CKA, 3 x 2 x 2 (steps x A x B), ")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one, _: one["ck"], r"the trajectory has no matrix 'ck'\. It has: 'cka'"),
        (lambda one, _: one.drift("ck"), "no matrix 'ck'"),
        (lambda one, _: one.at(11), r"at: no step 11; there are 1, 10, '=final'\.$"),
        (lambda one, _: one.at("fnal"), r"at: no step 'fnal'; .*, did you mean '=final'\?$"),
        (lambda one, _: one.at(1, 10), "at: expected one step, got two"),
        (lambda _, all_of_them: all_of_them.at(1), r"at: expected two steps, at\(step_a, step_b\)"),
        (lambda one, _: one.drift("cka", 10), "drift: against=10: .* reference='all'"),
        (lambda _, all_of_them: all_of_them.drift("cka", 9), "drift: no step 9"),
    ],
)
def test_what_is_not_there(trajectory, pairs, call, message) -> None:
    with pytest.raises((ConfigError, UnknownKeyError), match=message):
        call(trajectory, pairs)


def test_a_skipped_step_says_so_and_why(trajectory: Trajectory, tmp_path: Path) -> None:
    reason = "'run/5' cannot be loaded: no weights"
    trajectory.metadata["skipped"] = [{"step": 5, "reason": reason}]
    again = Trajectory.load(trajectory.save(tmp_path / "run"))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "run/5&#39; cannot be loaded: no weights" in page
    for result in (trajectory, again):
        with pytest.raises(ConfigError) as caught:
            result.at(5)
        assert str(caught.value) == f"at: step 5 was skipped: {reason}."
        assert "skipped" not in result.at(1).metadata


def test_many_steps_are_not_all_listed() -> None:
    many = Trajectory.from_comparisons(range(100), [comparison(0)] * 100, "first")
    with pytest.raises(ConfigError, match=r"at: no step -1; there are 0, 1, .*, 39 and 60 more\.$"):
        many.at(-1)


def test_a_drift_reads_as_a_table_of_curves() -> None:
    many = Trajectory.from_comparisons(range(20), [comparison(0)] * 20, "elsewhere")
    lines = repr(many.drift("cka")).splitlines()
    assert lines[0].startswith("Drift 'cka' against the reference: 20 steps x 2 layers, 0.")
    assert lines[1] == "step: 0, 1, 2, ..., 18, 19"
    value = f"{comparison(0)['cka'].values[0, 0].item():.3f}"
    assert lines[2] == f"b.0: {value}, {value}, {value}, ..., {value}, {value}"
    assert str(many.drift("cka")) == repr(many.drift("cka"))
    wide = [str(i) for i in range(30)]
    one = Trajectory.from_comparisons([1, 2], [comparison(0, wide, wide)] * 2, "first")
    lines = repr(one.drift("cka")).splitlines()
    assert lines[0].startswith("Drift 'cka' against step 1: 2 steps x 30 layers, ")
    assert [line.partition(":")[0] for line in lines[2:]] == ["0", "1", "2", "...", "28", "29"]


def test_curves_say_what_they_are_drawn_against(pairs: Trajectory) -> None:
    other = Trajectory.from_comparisons([1, 2], [comparison(0)] * 2, "initial")
    for figure, step in ((pairs.plot("cka", 2)[0], "step 2"), (other.plot()[0], "the reference")):
        caption = " ".join(figure.get_supxlabel().split())
        assert caption.startswith(f"Each layer of {step} with the layer of the same name")
        assert ("Dashed line: step 2, which all are" in caption) == (step == "step 2")


def test_the_fixed_reference_may_be_named(trajectory: Trajectory) -> None:
    assert same_bits(trajectory.drift("cka", 1).values, trajectory.drift("cka").values)


def test_long_tables(trajectory: Trajectory, pairs: Trajectory) -> None:
    table = trajectory.to_pandas()
    assert list(table) == ["step", "measure", "layer_a", "layer_b", "value", "stderr"]
    assert len(table) == 3 * 3 * 2 * 2
    chosen = table[(table.step == 10) & (table.measure == "ii_a_to_b") & (table.layer_a == "=1+1")]
    assert chosen.value.tolist() == trajectory["ii_a_to_b"].values[1, 1].tolist()
    table = pairs.to_pandas()
    assert list(table)[:3] == ["step_a", "step_b", "measure"] and len(table) == 3 * 9 * 4
    chosen = table[(table.step_a == 3) & (table.step_b == 2) & (table.measure == "cka")]
    assert chosen.stderr.tolist() == pairs["cka"].stderr[2, 1].flatten().tolist()


def test_shapes_that_do_not_fit() -> None:
    meaning, values = Meaning("CKA", "max"), torch.zeros(3, 1, 2)
    with pytest.raises(ShapeError, match=r"stack 'x': stderr of shape \(2, 1, 2\), expected \(st"):
        MatrixStack("x", values, values[:2], ["a"], ["b", "c"], meaning)
    stack = MatrixStack("x", values, values, ["a"], ["b", "c"], meaning)
    with pytest.raises(ShapeError, match=r"stack 'x' of shape \(3, 1, 2\) for 2 steps"):
        Trajectory([1, 2], {"x": stack}, 1, {})


@pytest.mark.parametrize("kind", ["trajectory", "pairs"])
def test_saved_and_loaded_are_the_same_bit_for_bit(
    kind: str, tmp_path: Path, quick: None, request: pytest.FixtureRequest
) -> None:
    result: Trajectory = request.getfixturevalue(kind)
    result["cka"].values[0, 0] = math.nan
    again = Trajectory.load(result.save(tmp_path / "new" / "run"))
    assert (again.steps, again.n_samples, again.keys()) == (result.steps, 42, list(KEYS))
    assert again.metadata == result.metadata and str(again) == str(result)
    for key in KEYS:
        assert same_bits(again[key].values, result[key].values)
        assert same_bits(again[key].stderr, result[key].stderr)
        assert again[key].meaning == result[key].meaning
        assert again[key].layers_b == LAYERS
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run"]


def test_the_folder_holds_curves_and_the_page(trajectory: Trajectory, tmp_path: Path) -> None:
    folder = trajectory.save(tmp_path / "run")
    names = sorted(path.name for path in folder.iterdir())
    expected = ["matrices.safetensors", "metadata.json", "report.html"]
    for key in KEYS:
        expected += [f"{key}.curves.png", f"{key}.drift.csv", f"{key}.drift.stderr.csv"]
    assert names == sorted(expected)
    description = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert description["files"] == names and description["schema_version"] == 2
    assert description["format"] == "hooksim trajectory"
    assert (folder / "cka.curves.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "cka.drift.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["step / layer", "b.0", "'=1+1"]
    assert [row[0] for row in rows[1:]] == ["1", "10", "'=final"]
    assert float(rows[2][2]) == trajectory.drift("cka").values[1, 1].item()


def test_results_of_either_kind_replace_each_other_on_request_only(
    trajectory: Trajectory, made: list[Comparison], tmp_path: Path, quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    folder = made[0].save(tmp_path / "run")
    with pytest.raises(ConfigError, match="already holds a result"):
        trajectory.save(folder)
    trajectory.save(folder, overwrite=True)
    with pytest.raises(ConfigError, match="already holds a result"):
        trajectory.save(folder)
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"not part of the result \('thesis\.tex'\)"):
        made[0].save(folder, overwrite=True)
    (folder / "thesis.tex").unlink()
    made[0].save(folder, overwrite=True)
    assert Comparison.load(folder).keys() == list(KEYS)


def test_each_kind_says_who_reads_it(
    trajectory: Trajectory, made: list[Comparison], tmp_path: Path, quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    folder = trajectory.save(tmp_path / "run")
    message = "holds a trajectory, not a comparison: hooksim.Trajectory.load reads it"
    with pytest.raises(ConfigError, match=message):
        Comparison.load(folder)
    folder = made[0].save(tmp_path / "one")
    message = "holds a comparison, not a trajectory: hooksim.Comparison.load reads it"
    with pytest.raises(ConfigError, match=message):
        Trajectory.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 3}, r"newer hooksim \(schema 3, this one reads up to 2\)"),
        ({"steps": [1, 2]}, "damaged: metadata.json: metadata.checkpoints are not those of the st"),
        ({"steps": [1, 2], "metadata": {}}, r"its parts do not .*shape \(3, 2, 2\) for 2 steps"),
        ({"steps": None}, "damaged: metadata.json: steps: Input should be a valid array"),
        ({"matrices": [{"key": "x"}]}, "damaged: metadata.json: matrices.0.label: Field required"),
        ({"format": "a recording"}, "metadata.json is of another kind"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(
    trajectory: Trajectory, tmp_path: Path, quick: None, change: dict[str, object], message: str
) -> None:
    file = trajectory.save(tmp_path / "run") / "metadata.json"
    file.write_text(json.dumps(sealed({**json.loads(file.read_text()), **change})))
    with pytest.raises(HooksimError, match=message) as caught:
        Trajectory.load(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_the_page_holds_every_bit_of_the_stacks(trajectory: Trajectory, pairs: Trajectory) -> None:
    from hooksim.results.trajectory_payload import trajectory_payload

    for result in (trajectory, pairs):
        payload = trajectory_payload(result)
        assert list(payload.steps) == result.steps
        for matrix, curves in zip(payload.matrices, payload.curves, strict=True):
            assert same_bits(torch.from_numpy(matrix.values), result[matrix.key].values)
            assert same_bits(torch.from_numpy(curves.values), result.drift(matrix.key).values)
        assert [plane.a_to_b for plane in payload.planes] == ["ii_a_to_b"]
    assert trajectory_payload(trajectory).models[0].name == "step 1"
    assert trajectory_payload(pairs).models[1].name == "3 checkpoints"
