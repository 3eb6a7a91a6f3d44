"""A run that was stopped after any batch and goes on from its state gives the very same bits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import hooksim
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
    block_size=st.sampled_from([4, 7, 16, 64, "batch", "auto", "all"]),
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
        ({"block_size": "all"}, "state: expected an entry 'gatherer', which is missing."),
    ],
)
def test_another_run_is_refused(options, message):
    state = stopped_after(2, batches([9, 9, 9]))
    run, _ = make_run(**options)
    with pytest.raises(ConfigError) as error:
        run.load_state_dict(state)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("budget", [None, 0])
def test_one_block_of_every_sample_stopped_while_it_is_made(budget):
    loader = batches([9, 9, 9])
    options = {"block_size": "all", "memory_budget": budget}
    expected = repr(outcome(*make_run(**options), loader))
    run, _ = make_run(**options)
    states = []

    def on_rows(done, n):
        states.append(run.state_dict())
        raise InterruptError

    with pytest.raises(InterruptError):
        run.execute(loader, on_rows=on_rows)
    again, asked = make_run(**options)
    assert repr(outcome(again.load_state_dict(states[0]), asked, loader)) == expected


def test_token_rows_and_layers_that_share_a_tensor_wait_for_one_block():
    tokens = [torch.randn(3, 4, 5) for _ in range(4)]
    options = {"block_size": "all", "policy": "token"}
    expected = repr(outcome(*make_run(**options), tokens))
    run, asked = make_run(**options)
    state = stopped_after(2, tokens, **options)
    assert repr(outcome(run.load_state_dict(state), asked, tokens)) == expected


def test_a_recorded_side_is_no_part_of_the_state():
    loader = batches([9, 9, 9])
    recording = hooksim.record(model(1), loader, "**", progress=False)

    def made():
        read = read_by([model(0), recording], [View("A", "**"), View("B")])
        asked = MeasureSet(choose_measures("cka"), [SidePair(*read.positions)])
        return Run(read.readers, asked.accumulators, "all", 4, "CKA"), asked

    expected = repr(outcome(*made(), loader))
    run, _ = made()
    states = []

    def on_batch(items):
        states.append(run.state_dict())
        raise InterruptError

    with pytest.raises(InterruptError):
        run.execute(loader, on_batch=on_batch)
    assert not any(name.startswith("tail.1.") for name in states[0])
    again, asked = made()
    assert repr(outcome(again.load_state_dict(states[0]), asked, loader)) == expected


def test_what_was_left_out_is_counted_once():
    loader = batches([9, 9, 9, 9])
    loader[0][3], loader[2][1] = torch.nan, torch.inf
    expected = repr(outcome(*make_run(drops=True), loader))
    run, asked = make_run(drops=True)
    state = stopped_after(2, loader, drops=True)
    assert repr(outcome(run.load_state_dict(state), asked, loader)) == expected
    assert (run.position.dropped, run.position.n_counted) == (2, 34)
    assert run.position.first_dropped[:2] == (0, 3)


class TestTheSameData:
    """A state may keep what tells the samples apart."""

    def state(self, loader):
        return stopped_after(2, loader, keeps_samples=True)

    def go_on(self, state, loader):
        run, asked = make_run(keeps_samples=True)
        return outcome(run.load_state_dict(state), asked, loader)

    def test_the_same_is_gone_on_with(self):
        loader = batches([9, 9, 9])
        state = self.state(loader)
        expected = repr(outcome(*make_run(), loader))
        assert repr(self.go_on(state, loader)) == expected

    def test_other_samples_are_refused(self):
        loader = batches([9, 9, 9])
        state = self.state(loader)
        loader[1] = loader[1].clone()
        loader[1][4, 0] += 1
        text = self.go_on(state, loader)
        assert text.startswith("AlignmentError: sample 13 (float32[5] ")
        assert "is not the one that the saved run had seen there. Go on with the same" in text

    def test_other_samples_later_are_not_known(self):
        loader = batches([9, 9, 9])
        state = self.state(loader)
        assert not isinstance(self.go_on(state, [*loader[:2], loader[2] + 1]), str)

    def test_fewer_samples_are_refused(self):
        loader = batches([9, 9, 9])
        text = self.go_on(self.state(loader), loader[:1])
        assert text.startswith(
            "AlignmentError: the data end after 9 samples, but the saved run had seen 18."
        )

    def test_a_state_of_a_run_that_was_gone_on_with_knows_them_all(self):
        loader = batches([9, 9, 9])
        state = self.state(loader)
        run, _ = make_run(keeps_samples=True)
        assert torch.equal(run.load_state_dict(state).state_dict()["samples"], state["samples"])


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
