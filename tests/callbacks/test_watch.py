import pytest

from hooksim import callbacks
from hooksim.callbacks.history import History
from hooksim.callbacks.watch import Watch
from tests.callbacks.digits_run import Classifier, probe


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


def test_what_is_overdue_is_so_on_every_process(watch, tmp_path, monkeypatch):
    watch.every = "save"
    for step, expected in ((0, False), (12, True)):
        watch.begin(tmp_path, step, writes=False)
        assert watch.overdue == expected
    History(tmp_path / "hooksim" / "history.jsonl").append({"step": 12})
    watch.begin(tmp_path, 12, writes=False)
    assert not watch.overdue
    # Where processes can talk the one that writes is asked, since files may not be shared.
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr(
        "torch.distributed.broadcast_object_list", lambda told, src: told.__setitem__(src, True)
    )
    watch.begin(tmp_path, 12, writes=False)
    assert watch.overdue
