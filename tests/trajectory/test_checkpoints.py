"""Checkpoints that cannot be loaded, or not together, and wrong calls."""

import logging

import pytest
import torch
from torch import nn

import hooksim
from hooksim.trajectory import compare_checkpoints
from tests.trajectory.runs import STEPS, at_step, trajectory


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


def test_a_question_is_not_followed_by_a_full_stop():
    def asking(step):
        if step:
            raise hooksim.ConfigError("no 'modle', did you mean 'model'?")
        return at_step(step)

    with pytest.raises(hooksim.ConfigError, match=r"'model'\? skip_failed leaves such"):
        trajectory(asking, [0, 10, 20])
    with pytest.raises(hooksim.ConfigError, match=r"got 1 of 2: .*'model'\?$"):
        trajectory(asking, [0, 10], skip_failed=True)


def test_it_is_left_out_on_request_and_said(caplog):
    with caplog.at_level(logging.WARNING, logger="hooksim"):
        result = trajectory(failing, [0, 10, 20, 30], skip_failed=True)
    assert result.steps == [10, 20]
    assert result.metadata["reference_step"] == 10
    codes = [(each["code"], each["text"]) for each in result.metadata["warnings"]]
    assert codes == [
        ("skipped_checkpoint", "checkpoints: '0' cannot be loaded: OSError: no weights of 0; it is left out."),  # noqa: E501
        ("skipped_checkpoint", "checkpoints: '30' cannot be loaded: OSError: no weights of 30; it is left out."),  # noqa: E501
        ("moved_reference", "reference: the first checkpoint, step 0, is left out; it is step 10."),
    ]  # fmt: skip
    assert [record.getMessage() for record in caplog.records] == [text for _, text in codes]
    assert "warning (skipped_checkpoint): " in str(result)
    assert len(result.at(20).metadata["warnings"]) == 3
    assert result.metadata["skipped"] == [
        {"step": step, "reason": f"'{step}' cannot be loaded: OSError: no weights of {step}"}
        for step in (0, 30)
    ]
    message = r"^at: step 30 was skipped: '30' cannot be loaded: OSError: no weights of 30\.$"
    with pytest.raises(hooksim.ConfigError, match=message):
        result.at(30)


@pytest.mark.parametrize(
    ("reference", "moved"),
    [("first", ["first checkpoint, step 0"]), ("last", ["last checkpoint, step 30"]), ("all", [])],
)
def test_a_reference_that_moves_is_said(reference, moved):
    result = trajectory(failing, [0, 10, 20, 30], skip_failed=True, reference=reference)
    texts = [each["text"] for each in result.metadata["warnings"]]
    assert [text[15:].partition(", is")[0] for text in texts if "is left out; it is s" in text] == (
        moved
    )
    stays = trajectory(failing, [10, 0, 20], skip_failed=True)
    assert "moved_reference" not in [each["code"] for each in stays.metadata["warnings"]]


def test_too_few_that_can_be_loaded():
    with pytest.raises(hooksim.ConfigError) as raised:
        trajectory(failing, skip_failed=True)
    assert str(raised.value) == (
        "checkpoints: expected at least 2 that can be loaded, got 1 of 3: '0' cannot be loaded: "
        "OSError: no weights of 0, and 1 more."
    )
    message = r"got 0 of 2: '0' cannot be loaded: OSError: no weights of 0, and 1 more\.$"
    with pytest.raises(hooksim.ConfigError, match=message):
        trajectory(failing, [0, 30], skip_failed=True)


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


WRONG = {
    "one model filled again and again": (
        lambda: trajectory(in_place()),
        "load: gave one and the same object for step 0 and for step 10. All checkpoints",
    ),
    "one model in new wrappers": (
        lambda: trajectory(in_new_wrappers()),
        "load: gave one and the same object for step 0 and for step 10. All checkpoints",
    ),
    "no model": (
        lambda: trajectory(lambda step: {}),
        "load: expected a torch.nn.Module or a hooksim.Recording for '0', got dict.",
    ),
    "one checkpoint": (
        lambda: trajectory(steps=[3]),
        "checkpoints: expected at least 2, got 1. hooksim.compare takes two.",
    ),
    "no checkpoints": (
        lambda: trajectory(steps=[]),
        "checkpoints: expected at least 2, got none. Give what `load` takes, such as [100, 200",
    ),
    "no function": (
        lambda: trajectory(STEPS, at_step),
        "load: expected a function that is given a checkpoint and returns its model or recording,",
    ),
    "a path for a reference": (
        lambda: trajectory(reference="runs/checkpoint-10"),
        "reference: expected 'first', 'last', 'all', a torch.nn.Module or a hooksim.Recording, got "
        "'runs/checkpoint-10'. For a checkpoint give its model: "
        "reference=load('runs/checkpoint-10').",
    ),
    "a step for a reference": (
        lambda: trajectory(reference=30),
        "reference: expected 'first', 'last', 'all', a torch.nn.Module or a hooksim.Recording, got "
        "30. For a checkpoint give its model: reference=load(30).",
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
    "no side for a reference": (lambda: trajectory(reference={}), "reference: expected 'first'"),
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
        "loader: expected an iterable of batches, got dict. Put a batch in a list.",
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
