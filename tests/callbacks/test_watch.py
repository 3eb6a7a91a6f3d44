import pytest
import torch

from hooksim import callbacks
from hooksim.callbacks.history import History
from hooksim.callbacks.watch import Watch
from tests.callbacks.digits_run import Classifier, probe
from tests.callbacks.two_processes import say_what_is_overdue


def measured(watch: Watch, steps: list[int], event="step") -> list[int]:
    """The steps at which it would measure."""
    due = []
    for step in steps:
        if watch.due(event, step):
            watch.measure(None, step, None)
            due.append(step)
    return due


@pytest.fixture
def watch(tmp_path) -> Watch:
    """One that does not write, and so does not run a model either."""
    made = Watch(probe(Classifier()), 5, pictures=False)
    made.probe.follow = lambda _model: None
    made.begin(tmp_path, 0, writes=False)
    return made


def test_steps_that_are_counted_several_at_once_are_not_missed(watch):
    assert measured(watch, [2, 4, 6, 8, 10, 12, 14, 16]) == [6, 10, 16]


def test_a_step_is_measured_once(watch):
    assert measured(watch, [4, 5, 5, 5, 6]) == [5]


def test_a_run_that_goes_on_keeps_its_steps(watch, tmp_path):
    watch.begin(tmp_path, 13, writes=False)
    assert measured(watch, list(range(13, 22))) == [15, 20]


@pytest.mark.parametrize("event", ["eval", "save"])
def test_other_events_do_not_count(event, watch):
    assert measured(watch, [5, 10], event) == []


def test_nothing_is_due_before_a_run_or_after_it(watch):
    watch.end()
    assert measured(watch, [5, 10]) == []
    assert not Watch(watch.probe, 5, pictures=False).due("step", 5)


def test_each_callback_loads_when_it_is_asked_for():
    assert callbacks.huggingface.SimilarityCallback.__module__ == "hooksim.callbacks.huggingface"
    assert callbacks.lightning.SimilarityCallback.__module__ == "hooksim.callbacks.lightning"
    with pytest.raises(AttributeError, match="has no attribute 'keras'"):
        _ = callbacks.keras


def test_what_was_not_measured_before_a_checkpoint_is_overdue(watch, tmp_path):
    watch.every = "save"
    for step, expected in ((0, False), (12, True)):
        watch.begin(tmp_path, step, writes=False)
        assert watch.overdue == expected
    History(tmp_path / "hooksim").append({"step": 12})
    watch.begin(tmp_path, 12, writes=False)
    assert not watch.overdue


def test_the_last_step_is_measured_too(watch):
    assert watch.due("step", 3, last=True)
    assert not watch.due("eval", 3, last=True)
    watch.measure(None, 3, None)
    assert not watch.due("step", 3, last=True)
    watch.every = "save"
    assert not watch.due("step", 4, last=True)


def test_the_one_that_writes_speaks_for_all_where_files_are_not_shared(tmp_path):
    torch.multiprocessing.spawn(say_what_is_overdue, (str(tmp_path),), nprocs=2)
    assert [(tmp_path / f"said-{rank}").read_text() for rank in range(2)] == ["True", "True"]
    refused = [(tmp_path / f"refused-{rank}").read_text() for rank in range(2)]
    assert refused[0] == refused[1]
    assert "this run was begun with block_size='auto'; the probe has block_size=4." in refused[1]
