"""The checkpoints of a run, from outside: what `compare` gives for each pair, in one pass."""

import itertools

import pytest
import torch

import hooksim
from hooksim.trajectory import compare_checkpoints
from tests.trajectory.runs import (
    KEYS,
    N_SAMPLES,
    STEPS,
    Counting,
    at_step,
    batches,
    other_model,
    trajectory,
)


def assert_same(found: hooksim.Comparison, expected: hooksim.Comparison) -> None:
    assert found.keys() == expected.keys()
    for key in expected:
        for name in ("values", "stderr"):
            torch.testing.assert_close(
                getattr(found[key], name), getattr(expected[key], name), rtol=0, atol=1e-7
            )
        assert found[key].layers_a == expected[key].layers_a
        assert found[key].layers_b == expected[key].layers_b
        assert found[key].meaning == expected[key].meaning


REFERENCES = {
    "first": ("first", lambda: at_step(STEPS[0])),
    "last": ("last", lambda: at_step(STEPS[-1])),
    "a model": (other_model(), other_model),
    "a recording": (hooksim.record(other_model(), batches(), progress=False), other_model),
}


@pytest.mark.parametrize("block_size", ["auto", 64, "batch", "all"])
@pytest.mark.parametrize("name", REFERENCES)
def test_every_step_is_what_compare_gives(name, block_size):
    reference, model = REFERENCES[name]
    result = trajectory(reference=reference, block_size=block_size)
    assert result.steps == STEPS
    assert result.keys() == KEYS
    for place, step in enumerate(STEPS):
        options = {"block_size": block_size, "progress": False}
        expected = hooksim.compare(model(), at_step(step), batches(), **options)
        assert_same(result.at(step), expected)
        assert torch.equal(result["cka"].values[place], result.at(step)["cka"].values)


def test_each_with_each_is_what_compare_gives_both_ways():
    result = trajectory(reference="all")
    assert result["cka"].shape == (3, 3, 3, 3)
    for a, b in itertools.product(STEPS, STEPS):
        expected = hooksim.compare(at_step(a), at_step(b), batches(), progress=False)
        assert_same(result.at(a, b), expected)
    cka, forth, back = (result[key] for key in KEYS)
    for kind in ("values", "stderr"):
        values = getattr(cka, kind)
        assert torch.equal(values[2, 1], values[1, 2].T)
        assert torch.equal(getattr(forth, kind)[2, 1], getattr(back, kind)[1, 2].T)
        assert torch.equal(getattr(back, kind)[2, 0], getattr(forth, kind)[0, 2].T)


@pytest.mark.parametrize("reference", ["first", "all"])
def test_a_step_has_the_metadata_of_its_comparison(reference):
    result = trajectory(reference=reference)
    found = result.at(0, 30) if reference == "all" else result.at(30)
    expected = hooksim.compare(at_step(0), at_step(30), batches(), progress=False)
    names = {"name_a": "step 0", "name_b": "step 30"}
    for each in (found, expected):
        del each.metadata["seconds"]
    assert repr(sorted(found.metadata.items())) == repr(sorted((expected.metadata | names).items()))
    assert found["cka"].label_b == "model B: step 30"
    itself = result.at(0, 0) if reference == "all" else result.at(0)
    assert itself.metadata["matched_by"] == "one source"


@pytest.mark.parametrize("block_size", [64, "batch", "all"])
@pytest.mark.parametrize("reference", ["first", "last", "all", "one of them"])
def test_each_sample_passes_each_checkpoint_exactly_once(reference, block_size):
    models = {step: Counting(at_step(step)) for step in STEPS}
    chosen = models[10] if reference == "one of them" else reference
    trajectory(models.__getitem__, reference=chosen, block_size=block_size)
    assert {step: model.seen for step, model in models.items()} == dict.fromkeys(STEPS, N_SAMPLES)


def test_checkpoints_may_be_recordings_and_then_need_no_loader():
    recorded = {step: hooksim.record(at_step(step), batches(), progress=False) for step in STEPS}
    result = compare_checkpoints(recorded.get, STEPS, progress=False)
    live = trajectory()
    for key in KEYS:
        assert torch.equal(result[key].values, live[key].values)
    mixed = trajectory(lambda step: recorded[step] if step else at_step(step))
    assert torch.equal(mixed["cka"].values, live["cka"].values)


def test_options_for_a_are_the_reference_s_and_those_for_b_the_checkpoints():
    result = trajectory(layers_a="0", layers_b=["2", "4"], rows=("auto", hooksim.Rows("flatten")))
    assert (result["cka"].layers_a, result["cka"].layers_b) == (["0"], ["2", "4"])
    same = trajectory(layers_a=["4", "0"], pairs="same_name", measures="cka")
    assert same["cka"].layers_a == same["cka"].layers_b == ["4", "0"]
    assert same["cka"].values[0, 0, 1].isnan()


def test_each_model_takes_its_own_input():
    loader = [hooksim.PairedBatch(batch, 2 * batch) for batch in batches()]
    expected = hooksim.compare(other_model(), at_step(10), loader, progress=False)
    result = trajectory(loader=loader, reference=other_model())
    assert_same(result.at(10), expected)
    for reference in ("first", "last", "all"):
        with pytest.raises(hooksim.ConfigError, match=r"loader: a PairedBatch .* another model as"):
            trajectory(loader=loader, reference=reference)


@pytest.mark.parametrize("reference", ["first", "last", "all", "one of them"])
def test_a_pair_of_one_input_serves_for_its_ids_and_runs_once(reference):
    loader = [hooksim.PairedBatch(batch, batch) for batch in batches()]
    models = {step: Counting(at_step(step)) for step in STEPS}
    chosen = models[10] if reference == "one of them" else reference
    trajectory(models.__getitem__, loader=loader, reference=chosen)
    assert {step: model.seen for step, model in models.items()} == dict.fromkeys(STEPS, N_SAMPLES)


def test_a_loader_may_change_to_pairs_only_where_no_model_is_both():
    first, *others = batches()
    mixed = [hooksim.PairedBatch(first, first), *(hooksim.PairedBatch(x, 2 * x) for x in others)]
    with pytest.raises(hooksim.ConfigError, match=r"loader: a PairedBatch .* another model as"):
        trajectory(loader=mixed)
    assert trajectory(loader=mixed, reference=other_model()).n_samples == N_SAMPLES


def test_the_drift_is_that_of_equally_named_layers():
    result = trajectory()
    drift = result.drift("cka")
    assert (drift.steps, drift.layers, drift.against) == (STEPS, ["0", "2", "4"], 0)
    torch.testing.assert_close(drift.values, result["cka"].values.diagonal(0, 1, 2))
    torch.testing.assert_close(drift.stderr, result["cka"].stderr.diagonal(0, 1, 2))
    assert (drift.values[0] > 1 - 1e-6).all()
    assert (drift.values[2] < drift.values[1]).all()
    pairs = trajectory(reference="all")
    torch.testing.assert_close(pairs.drift("cka").values, drift.values, rtol=0, atol=1e-7)
    last = trajectory(reference="last").drift("cka").values
    torch.testing.assert_close(pairs.drift("cka", 30).values, last, rtol=0, atol=1e-7)


def test_a_reference_may_have_other_layers():
    reference = other_model()  # has 0 and 2, not 4; its layer 2 is another one
    result = trajectory(reference=reference, layers_a="*", layers_b=["2", "4"])
    assert result["cka"].shape == (3, 3, 2)
    drift = result.drift("cka")
    assert drift.layers == ["0", "1", "2"]
    assert drift.values[:, :2].isnan().all()
    assert drift.values[:, 2].isfinite().all()


def test_checkpoints_may_gain_layers():
    def growing(step):
        return at_step(step) if step else at_step(step)[:3]

    result = trajectory(growing, reference="last")
    assert result["cka"].layers_b == ["0", "2", "4"]
    assert result["cka"].values[0, :, 2].isnan().all()
    assert result.at(0)["cka"].layers_b == ["0", "2"]
    assert result.at(0)["cka"].values.isfinite().all()
    pairs = trajectory(growing, reference="all")
    assert pairs.at(10, 0)["cka"].values.shape == (3, 2)
    assert pairs.drift("cka").layers == ["0", "2"]
