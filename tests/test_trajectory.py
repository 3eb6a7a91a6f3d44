"""The checkpoints of a run, from outside: what `compare` gives for each pair, in one pass."""

import itertools
import logging

import pytest
import torch
from torch import nn

import hooksim
from hooksim.results import Trajectory
from hooksim.trajectory import compare_checkpoints

STEPS = [0, 10, 30]
N_SAMPLES = 230
KEYS = ["cka", "information_imbalance_a_to_b", "information_imbalance_b_to_a"]


def batches(size: int = 32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return list(torch.randn(N_SAMPLES, 6, generator=generator).split(size))


def at_step(step: int) -> nn.Sequential:
    """A model that moves away from its beginning, its last layer the most."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 5))
    torch.manual_seed(1)
    with torch.no_grad():
        for depth, layer in enumerate((model[0], model[2], model[4]), start=1):
            layer.weight += 0.01 * depth * step * torch.randn_like(layer.weight)
    return model


def other_model() -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 4))


def trajectory(load=at_step, steps=STEPS, loader=None, **options) -> Trajectory:
    loader = batches() if loader is None else loader
    return compare_checkpoints(load, steps, loader, progress=False, **options)


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


class Counting(nn.Module):
    """Counts the samples that pass it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return self.inner(x)


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


def failing(step):
    if step in (0, 30):
        raise OSError(f"no weights of {step}\nand more lines")
    return at_step(step)


def test_a_checkpoint_that_cannot_be_loaded_is_named():
    with pytest.raises(hooksim.HooksimError) as raised:
        trajectory(failing)
    assert str(raised.value) == (
        "checkpoints: '0' cannot be loaded: OSError: no weights of 0. skip_failed leaves such "
        "checkpoints out."
    )
    assert isinstance(raised.value.__cause__, OSError)

    def refuse(step):
        raise hooksim.MissingWeightsError("no weights.")

    message = r"checkpoints: '0' cannot be loaded: no weights\. skip"
    with pytest.raises(hooksim.MissingWeightsError, match=message):
        trajectory(refuse)


def test_it_is_left_out_on_request_and_said(caplog):
    with caplog.at_level(logging.WARNING, logger="hooksim"):
        result = trajectory(failing, [0, 10, 20, 30], skip_failed=True)
    assert result.steps == [10, 20]
    assert result.metadata["reference_step"] == 10
    codes = [(each["code"], each["text"]) for each in result.metadata["warnings"]]
    assert codes == [
        ("skipped_checkpoint", "checkpoints: '0' cannot be loaded: OSError: no weights of 0; it is left out."),  # noqa: E501
        ("skipped_checkpoint", "checkpoints: '30' cannot be loaded: OSError: no weights of 30; it is left out."),  # noqa: E501
    ]  # fmt: skip
    assert [record.getMessage() for record in caplog.records] == [text for _, text in codes]
    assert "warning (skipped_checkpoint): " in str(result)
    assert [each["code"] for each in result.at(20).metadata["warnings"]] == [codes[0][0]] * 2


def test_too_few_that_can_be_loaded():
    with pytest.raises(hooksim.ConfigError, match=r"at least 2, got 1\. 2 could not.*'0' cannot"):
        trajectory(failing, skip_failed=True)


def test_an_interruption_is_no_failure_to_load():
    def interrupted(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trajectory(interrupted, skip_failed=True)


def in_place():
    model = at_step(0)

    def load(step):
        model.load_state_dict(at_step(step).state_dict())
        return model

    return load


def in_new_wrappers():
    model = at_step(0)

    def load(step):
        model.load_state_dict(at_step(step).state_dict())
        return nn.Sequential(*model)

    return load


def test_parts_of_one_storage_are_different_weights():
    stacked = torch.stack([at_step(step)[0].weight.detach() for step in STEPS])

    def load(step):
        model = nn.Sequential(nn.Linear(6, 9, bias=False))
        model[0].weight = nn.Parameter(stacked[STEPS.index(step)])
        return model

    drift = trajectory(load, layers_a="0", measures="cka").drift("cka")
    assert drift.values[2, 0] < 1 - 1e-6


def test_models_without_weights_share_none():
    result = trajectory(lambda step: nn.Sequential(nn.Tanh()), layers_a="0", measures="cka")
    assert result["cka"].shape == (3, 1, 1)


def test_weights_that_are_not_made_yet_are_no_shared_ones():
    options = {"layers_a": "0", "measures": "cka"}
    result = trajectory(lambda step: nn.Sequential(nn.LazyLinear(3)), **options)
    assert result["cka"].shape == (3, 1, 1)


RECORDING = hooksim.Recording.from_tensors({"x": torch.zeros(8, 2)})

WRONG = {
    "one model filled again and again": (
        lambda: trajectory(in_place()),
        "load: gave one and the same object for step 0 and for '10'. All checkpoints",
    ),
    "one model in new wrappers": (
        lambda: trajectory(in_new_wrappers()),
        "load: gave one and the same object for step 0 and for '10'. All checkpoints",
    ),
    "no model": (
        lambda: trajectory(lambda step: {}),
        "load: expected a torch.nn.Module or a hooksim.Recording for '0', got dict.",
    ),
    "one checkpoint": (
        lambda: trajectory(steps=[3]),
        "checkpoints: expected at least 2, got 1. hooksim.compare takes two.",
    ),
    "a folder": (
        lambda: trajectory(steps="runs/demo"),
        "checkpoints: expected a sequence such as [100, 200, 300] or a list of paths, got 'runs/",
    ),
    "a step twice": (
        lambda: trajectory(steps=["a/checkpoint-10", "b/checkpoint-10"]),
        "checkpoints: 'a/checkpoint-10' and 'b/checkpoint-10' are both step 10. Give every step",
    ),
    "an option": (
        lambda: trajectory(block_sizes=64),
        "compare_checkpoints: no option 'block_sizes'. Close names: 'block_size'. hooksim.compare",
    ),
    "a wrong value": (
        lambda: trajectory(block_size=1),
        "block_size: CKA (linear, debiased) needs at least 4 samples",
    ),
    "a typo": (
        lambda: trajectory(reference="frist"),
        "reference: expected 'first', 'last', 'all', a torch.nn.Module or a hooksim.Recording, got "
        "'frist', did you mean 'first'?",
    ),
    "a reference that is no side": (lambda: trajectory(reference=3), "reference: expected 'first'"),
    "two kinds of layers": (
        lambda: trajectory(reference="all", layers_a="0", layers_b="2"),
        "layers_b: with reference='all' every checkpoint is both A and B: choose the layers of",
    ),
    "two kinds of rows": (
        lambda: trajectory(reference="all", rows=("auto", "flatten")),
        "rows: with reference='all' every checkpoint is both A and B: expected one policy, got two",
    ),
    "a layer of the reference": (
        lambda: trajectory(layers_a="7"),
        "no layer of model A (Sequential) matches '7'.",
    ),
    "a layer of a checkpoint": (
        lambda: trajectory(layers_b="7"),
        "no layer of model B at step 0 (Sequential) matches '7'.",
    ),
    "a layer of each": (
        lambda: trajectory(reference="all", layers_a="7"),
        "no layer of model at step 0 (Sequential) matches '7'.",
    ),
    "no loader": (
        lambda: compare_checkpoints(at_step, STEPS, reference="all"),
        "loader: expected an iterable of batches, got None.",
    ),
    "a mapping for a loader": (
        lambda: trajectory(loader={"x": 1}, reference="all"),
        "loader: expected an iterable of batches, got dict.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_one_line(name):
    call, message = WRONG[name]
    with pytest.raises(hooksim.HooksimError) as raised:
        call()
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_an_activation_that_is_not_finite_names_the_step():
    def broken(step):
        model = at_step(step)
        if step == 30:
            model[2].weight.data[0] = float("nan")
        return model

    with pytest.raises(hooksim.NonFiniteError, match=r"model B at step 30 \(Sequential\)"):
        trajectory(broken)
