"""A run that was stopped after any batch and goes on from its state gives the very same bits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hooksim.accumulators.base import SidePair
from hooksim.capture.reader import View
from hooksim.capture.rows import Rows
from hooksim.errors import ConfigError, HooksimError
from hooksim.measures.choice import choose_measures
from hooksim.measures.measure_set import MeasureSet
from hooksim.run import Run
from hooksim.sides import read_by


class InterruptError(Exception):
    """Raised by a test between two batches."""


def model(seed: int, width: int = 6) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, width), nn.Identity(), nn.ReLU(), nn.Linear(width, 3))


def batches(sizes) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(sizes))
    return [torch.randn(size, 5, generator=generator) for size in sizes]


def make_run(
    block_size=8, names=("cka", "information_imbalance"), other=1, policy="auto", **options
):
    rows = Rows(policy)
    views = [View("A", "**", rows), View("B", "**", rows)]
    read = read_by([model(0), model(other)], views)
    asked = MeasureSet(choose_measures(names), [SidePair(*read.positions)])
    most = asked.most_demanding
    run = Run(read.readers, asked.accumulators, block_size, most.minimum, most.title, **options)
    return run, asked


def outcome(run, asked, loader, **options):
    """Every sum and count at the end, or the error."""
    try:
        run.execute(loader, **options)
    except InterruptError:
        raise
    except HooksimError as error:
        return f"{type(error).__name__}: {error}"
    states = [accumulator.state_dict() for accumulator in asked.accumulators]
    sums = [{name: state[name].tolist() for name in sorted(state)} for state in states]
    return sums, run.position


def stopped_after(count, loader, **options):
    """The state of a run that was stopped after so many batches."""
    run, _ = make_run(**options)
    seen, states = [], []

    def on_batch(items):
        seen.append(items)
        if len(seen) == count:
            states.append(run.state_dict())
            raise InterruptError

    with pytest.raises(InterruptError):
        run.execute(loader, on_batch=on_batch)
    return states[0]


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(4, 20), min_size=1, max_size=7),
    last=st.integers(1, 20),
    block_size=st.sampled_from([4, 7, 16, 64, "batch", "auto"]),
    data=st.data(),
)
def test_stopped_anywhere_and_continued_is_never_stopped(sizes, last, block_size, data):
    loader = batches([*sizes, last])
    stop = data.draw(st.integers(1, len(loader)))
    expected = repr(outcome(*make_run(block_size), loader))
    state = stopped_after(stop, loader, block_size=block_size)
    run, asked = make_run(block_size)
    assert repr(outcome(run.load_state_dict(state), asked, loader)) == expected


def test_stopped_twice_and_with_exact_cka():
    loader = batches([9, 9, 9, 9, 5])
    names = [{"name": "cka", "exact": True}]
    expected = repr(outcome(*make_run(8, names), loader))
    state = stopped_after(2, loader, block_size=8, names=names)
    run, _ = make_run(8, names)
    run.load_state_dict(state)
    seen, states = [], []

    def on_batch(items):
        seen.append(items)
        if len(seen) == 4:
            states.append(run.state_dict())
            raise InterruptError

    with pytest.raises(InterruptError):
        run.execute(loader, on_batch=on_batch)
    run, asked = make_run(8, names)
    assert repr(outcome(run.load_state_dict(states[0]), asked, loader)) == expected


def test_a_state_is_not_changed_by_who_goes_on_from_it():
    loader = batches([9, 9, 9])
    state = stopped_after(2, loader)
    kept = {name: part.clone() for name, part in state.items()}
    run, asked = make_run()
    outcome(run.load_state_dict(state), asked, loader)
    assert all(torch.equal(part, kept[name]) for name, part in state.items())


def test_a_finished_run_goes_on_to_itself():
    loader = batches([9, 9])
    run, asked = make_run()
    expected = repr(outcome(run, asked, loader))
    again, sums = make_run()
    assert repr(outcome(again.load_state_dict(run.state_dict()), sums, loader)) == expected


def test_only_what_is_left_is_run():
    loader = batches([9, 9, 9, 9])
    calls = []
    run, asked = make_run()
    run.load_state_dict(stopped_after(3, loader))
    for reader in run._readers:
        reader.model.register_forward_pre_hook(lambda *_: calls.append(1))
    outcome(run, asked, loader)
    assert len(calls) == 4  # the first batch, which settles the layers, and the last; two models


def test_token_rows_keep_their_sequences():
    tokens = [torch.randn(3, 4, 5) for _ in range(4)]
    expected = repr(outcome(*make_run(8, policy="token"), tokens))
    state = stopped_after(2, tokens, block_size=8, policy="token")
    run, asked = make_run(8, policy="token")
    assert repr(outcome(run.load_state_dict(state), asked, tokens)) == expected


def test_what_the_parts_noted_is_kept():
    loader = [(batch, torch.zeros(9)) for batch in batches([9, 9, 9])]
    run, _ = make_run()
    run.load_state_dict(stopped_after(2, loader))
    assert [note.code for note in run.notes] == ["ignored_inputs"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 9}, "state: expected blocks of block_size=9, got block_size=8."),
        ({"names": ("cka",)}, "state: expected blocks of dtype='float32', got dtype='float64'."),
        (
            {"names": ("cka", {"name": "information_imbalance", "k": 2})},
            "state: expected options ",
        ),
        ({"block_size": "all"}, "state: a run with block_size='all' holds recordings"),
    ],
)
def test_another_run_is_refused(options, message):
    state = stopped_after(2, batches([9, 9, 9]))
    run, _ = make_run(**options)
    with pytest.raises(ConfigError) as error:
        run.load_state_dict(state)
    assert str(error.value).startswith(message)


def test_other_layers_are_refused():
    loader = batches([9, 9, 9])
    state = stopped_after(2, loader)
    run, _ = make_run()
    run._readers[1]._layers[0].selected.pop()
    run.load_state_dict(state)
    with pytest.raises(ConfigError, match="state: expected the 3 layers of model B"):
        run.execute(loader)


@pytest.mark.parametrize("missing", ["run", "tail.blocker", "tail.tail.rows.0", "0.n"])
def test_a_state_with_something_missing_is_refused(missing):
    state = stopped_after(1, batches([9, 9]))
    if missing == "0.n":
        state = stopped_after(2, batches([9, 9]))
    del state[missing]
    run, _ = make_run()
    with pytest.raises(ConfigError, match="state: "):
        run.load_state_dict(state)
