import pytest

from hooksim.callbacks.history import History
from hooksim.errors import HooksimError


@pytest.fixture
def history(tmp_path) -> History:
    made = History(tmp_path / "run")
    for step in (5, 10, 15):
        made.append({"step": step, "scalars": {"a": step / 10}})
    return made


def steps(history: History) -> list[int]:
    """What a reader finds in the file, which is what the writer thinks is there."""
    read = History(history.path.parent).lines
    assert read == history.lines
    return [line["step"] for line in read]


def test_lines_are_appended(history):
    assert steps(history) == [5, 10, 15]
    assert history.last_step == 15
    assert History(history.path / "none").last_step is None


def test_a_run_goes_on_from_a_step(history):
    history.resume(12)
    assert steps(history) == [5, 10]
    history.append({"step": 15})
    assert steps(history) == [5, 10, 15]


def test_lines_of_a_checkpoint_fill_gaps_only(history):
    others = [{"step": step, "of": "the checkpoint"} for step in (3, 5, 20)]
    history.resume(12, others)
    assert steps(history) == [3, 5, 10]
    assert "of" not in history.lines[1]


def test_a_new_run_begins_anew(history):
    history.clear()
    assert steps(history) == []
    assert [path.name for path in history.path.parent.iterdir()] == ["history.jsonl"]


def test_a_last_line_without_its_end_does_not_count(history):
    with history.path.open("a") as file:
        file.write('{"step": 20, "scal')
    read = History(history.path.parent)
    assert [line["step"] for line in read.lines] == [5, 10, 15]
    read.resume(15)
    assert steps(read) == [5, 10, 15]


@pytest.mark.parametrize("text", ["not json", "[1]", '{"epoch": 1}', '{"step": "5"}'])
def test_any_other_damage_is_an_error(text, history):
    lines = history.path.read_text().splitlines()
    history.path.write_text("\n".join([lines[0], text, lines[2], ""]))
    with pytest.raises(
        HooksimError, match=r"line 2 is no measurement of a run\. Move the file away"
    ):
        History(history.path.parent)


def test_a_line_may_hold_what_other_texts_end_lines_with(history):
    history.append({"step": 20, "error": "layer 'a\u2028b'"})
    assert steps(history) == [5, 10, 15, 20]
