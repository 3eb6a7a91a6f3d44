"""`hooksim compare --resume`: a run that was broken off ends as one that was not."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hooksim import Comparison
from hooksim.cli.main import main
from hooksim.cli.resuming import comparable
from hooksim.comparison.unfinished import Unfinished
from hooksim.errors import HooksimError
from tests.cli.resumed import CONFIG, EVENTS, assert_same, leftovers


@pytest.fixture
def run(folder, monkeypatch):
    """Runs the command; what happens at which batch, and then its words."""
    # Most of the time would go into pictures, which are the business of other tests.
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    (folder / "c.yaml").write_text(CONFIG + 'forward: "events:forward"\n')
    (folder / "events.py").write_text(EVENTS)

    def start(*words, event="none"):
        (folder / "event").write_text(event)
        return main(["compare", "c.yaml", "--set=measures=cka", *words])

    return start


class TestGoingOn:
    @pytest.mark.parametrize(("event", "code"), [("int 5", 130), ("term 5", 143)])
    @pytest.mark.parametrize("size", ["40", "batch", "all"])
    def test_a_run_that_was_told_to_end(self, folder, run, capsys, event, code, size):
        block = f"--set=block_size={size}"
        assert run(block, "--out", "whole") == 0
        capsys.readouterr()
        assert run(block, event=event) == code
        word = {130: "interrupted", 143: "terminated"}[code]
        kept = "result: the run is kept there; --resume goes on with it"
        assert capsys.readouterr().err == f"{kept}\n{word}\n"
        assert run(block, "--resume") == 0
        seen = 64 if size == "batch" else 80  # there one batch is read ahead
        assert f"result: goes on after {seen} samples\n" in capsys.readouterr().err
        assert_same("result", "whole")
        assert leftovers(folder) == []
        ours = Comparison.load("result")
        notes = [note["text"] for note in ours.metadata["notes"]]
        assert f"resumed after {seen} samples" in notes
        assert ours.n_samples == 192
        assert ours.metadata["blocks"] == Comparison.load("whole").metadata["blocks"]

    def test_again_and_again(self, folder, run):
        assert run("--out", "whole") == 0
        assert run("--resume", event="int 3") == 130
        assert run("--resume", event="term 4") == 143
        assert run("--resume", event="int 9") == 130
        assert run("--resume") == 0
        assert_same("result", "whole")

    def test_where_nothing_was_saved_it_begins(self, folder, run, capsys):
        assert run("--resume") == 0
        told = "result: nothing was saved there, so the run starts from the beginning\n"
        assert told in capsys.readouterr().err
        assert Comparison.load("result").n_samples == 192

    def test_where_all_is_done_nothing_is(self, folder, run, capsys):
        assert run() == 0
        before = (folder / "result" / "metadata.json").stat().st_mtime_ns
        capsys.readouterr()
        assert run("--resume", "--set=progress=false", event="fails 0") == 0
        out, error = capsys.readouterr()
        assert out == "result\n"
        assert error.startswith("result: the result is complete already, nothing is left to do\n")
        assert run("--resume", "--json") == 0
        assert json.loads(capsys.readouterr().out)["n_samples"] == 192
        assert (folder / "result" / "metadata.json").stat().st_mtime_ns == before

    def test_a_failed_run_is_saved_if_it_took_long_enough(self, folder, run, capsys):
        assert run(event="fails 5") == 1
        assert not (folder / "result").exists()
        assert run("--checkpoint-every=0", event="fails 5") == 1
        assert (
            "ValueError: sample 17 is broken; in the loader, batch 5 (first sample 80, after "
            in (capsys.readouterr().err)
        )
        assert run("--resume") == 0
        assert run("--out", "whole") == 0
        assert_same("result", "whole")

    def test_a_run_that_replaces_a_result(self, folder, run):
        assert run("--set=max_samples=64") == 0
        assert run("--overwrite", event="int 5") == 130
        assert Comparison.load("result").n_samples == 64
        assert run("--resume") == 0
        assert Comparison.load("result").n_samples == 192
        assert leftovers(folder) == []


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _broken_off(self, run, capsys):
        assert run(event="int 5") == 130
        capsys.readouterr()

    def test_without_a_word_the_run_is_not_lost(self, run, capsys):
        assert run() == 2
        assert capsys.readouterr().err == (
            "c.yaml: output: 'result' holds a run that is not finished. Give --resume to go on "
            "with it, or --overwrite to begin anew\n"
        )
        assert run("--overwrite") == 0

    def test_both_words(self, run, capsys):
        assert run("--resume", "--overwrite") == 2
        assert capsys.readouterr().err.startswith("--resume: not together with --overwrite")

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ("model_b.kwargs.seed=2", "model_b.kwargs.seed: 1 in the run that was saved in "),
            ("block_size=41", "block_size: 40 in the run that was saved in "),
            ("max_samples=100", "max_samples: None in the run that was saved in "),
        ],
    )
    def test_another_configuration(self, run, capsys, change, line):
        assert run("--resume", f"--set={change}") == 2
        error = capsys.readouterr().err
        assert error.startswith(line) and error.count("\n") == 1
        assert error.endswith("Go on with the same, or give --overwrite to begin anew.\n")

    def test_other_data(self, run, capsys, monkeypatch):
        monkeypatch.setenv("FIRST", "1")
        assert run("--resume") == 1
        told = "AlignmentError: sample 0 (1) is not the one that the saved run had seen there. Go"
        assert told in capsys.readouterr().err

    def test_data_that_end_earlier(self, run, capsys, monkeypatch):
        monkeypatch.setenv("FEWER", "9")
        assert run("--resume") == 1
        told = "AlignmentError: the data end after 48 samples, but the saved run had seen 80. Go"
        assert told in capsys.readouterr().err

    def test_other_weights_under_the_same_name(self, run, capsys, monkeypatch):
        monkeypatch.setenv("SEED", "7")
        assert run("--resume") == 2
        told = "c.yaml: model A: '0.weight' is not what the saved run began with. Go on with the"
        assert told in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("name", "value", "line"),
        [
            ("schema", 99, "the form of saved states: 99 in the run that was saved in "),
            ("processes", 3, "the number of processes: 3 in the run that was saved in "),
        ],
    )
    def test_another_form_or_number(self, run, capsys, name, value, line):
        place = Unfinished(Path("result"))
        state = place.read(0)
        place.write(0, {**state.about, name: value}, state.tensors)
        assert run("--resume") == 2
        assert capsys.readouterr().err.startswith(line)

    def test_another_version_is_told(self, run, capsys):
        place = Unfinished(Path("result"))
        state = place.read(0)
        versions = {**state.about["versions"], "torch": "0.1"}
        place.write(0, {**state.about, "versions": versions}, state.tensors)
        assert run("--resume") == 0
        assert "warning: the run began with torch 0.1 and goes on with" in capsys.readouterr().err

    @pytest.mark.parametrize("damage", ["cut", "foreign", "headless", "a number", "its head"])
    def test_a_damaged_state(self, run, capsys, damage):
        file = Path("result/unfinished/process-0.safetensors")
        if damage in ("a number", "its head"):
            content = file.read_bytes()
            place = content.index(b"n_samples") + 13 if damage == "its head" else -3
            file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place:][1:])
        elif damage == "cut":
            file.write_bytes(file.read_bytes()[:-100])
        elif damage == "foreign":
            file.write_text("no tensors")
        else:
            save_file({"x": torch.zeros(1)}, file)
        assert run("--resume") == 1
        error = capsys.readouterr().err
        assert error.startswith(f"HooksimError: '{file}': the saved state cannot be read (")
        assert error.count("\n") == 1
        assert run("--overwrite") == 0

    def test_no_bit_of_a_state_can_change_unseen(self):
        place = Unfinished(Path("result"))
        file = place.folder / "process-0.safetensors"
        content = file.read_bytes()
        for at in range(0, len(content), len(content) // 150):
            file.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            with pytest.raises(HooksimError, match="the saved state cannot be read"):
                place.read(0)

    def test_a_state_of_an_older_form(self, run, capsys):
        file = Path("result/unfinished/process-0.safetensors")
        save_file({"x": torch.zeros(1)}, file, {"hooksim": '{"schema": 1, "processes": 1}'})
        assert run("--resume") == 2
        told = "the form of saved states: 1 in the run that was saved in 'result/unfinished', 2 now"
        assert capsys.readouterr().err.startswith(told)

    def test_files_of_others_beside_the_state(self, run):
        for name in ("process-x.safetensors", "process-.safetensors", "process-0-old.safetensors"):
            Path("result/unfinished", name).write_text("none of ours")
        assert run("--resume") == 0

    def test_a_run_that_is_at_work(self, run, capsys):
        with Unfinished(Path("result")).held():
            for words in (["--resume"], ["--overwrite"], []):
                assert run(*words) == 2
                told = "'result': another run is at work there now. Wait for its end, or choose"
                assert told in capsys.readouterr().err
        assert run("--resume") == 0

    def test_files_of_somebody_else_stay(self, run, capsys):
        Path("result/thesis.txt").write_text("years of work")
        assert run("--resume") == 2
        assert "'result' is not a result" in capsys.readouterr().err
        assert Path("result/thesis.txt").read_text() == "years of work"
        Path("result/thesis.txt").unlink()
        assert run("--resume") == 0


def test_the_result_of_another_configuration_is_not_this_one(run, capsys):
    assert run() == 0
    assert run("--resume", "--set=block_size=20") == 2
    told = "c.yaml: output: 'result' holds the result of another configuration: block_size is 40"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["-1", "soon", "nan", "inf"])
def test_no_time(run, capsys, seconds):
    assert run(f"--checkpoint-every={seconds}") == 2
    told = f"--checkpoint-every: expected seconds, from 0, got {seconds!r}; see hooksim compare"
    assert told in capsys.readouterr().err


def test_it_is_saved_every_so_often(run, monkeypatch):
    saved = []
    write = Unfinished.write
    monkeypatch.setattr(
        Unfinished, "write", lambda *given: (saved.append(given[2]["n_samples"]), write(*given))
    )
    assert run("--checkpoint-every=0") == 0
    assert saved == [16 * number for number in range(1, 13)]
    saved.clear()
    assert run("--overwrite") == 0
    assert saved == []


def test_what_a_process_left_that_was_killed_at_its_very_end_is_removed(folder, run):
    assert run("--out", "whole") == 0
    assert run() == 0
    remains = folder / ".hooksim-result.tmp"
    Unfinished(remains).folder.mkdir(parents=True)
    assert run("--resume") == 0
    assert leftovers(folder) == []
    with Unfinished(remains).held():  # somebody is at it
        assert run("--resume") == 0
        assert remains.exists()


def test_a_run_that_fails_leaves_no_folder(folder, run):
    before = set(folder.rglob("*"))
    assert run("--out", "very/deep/result", event="fails 3") == 1
    left = set(folder.rglob("*")) - before
    assert not any("very" in path.parts for path in left)


def test_a_folder_with_the_longest_of_names(folder, run):
    name = "r" * 250
    assert run("--out", name, event="int 5") == 130
    assert run("--out", name, "--resume") == 0
    assert run("--out", name, "--overwrite") == 0
    assert Comparison.load(name).n_samples == 192 and leftovers(folder) == []


def test_a_folder_behind_a_link(folder, run):
    assert run("--out", "whole") == 0
    (folder / "elsewhere").mkdir()
    (folder / "result").symlink_to(folder / "elsewhere")
    assert run(event="int 5") == 130
    assert run("--resume") == 0
    assert (folder / "result").is_symlink() and leftovers(folder) == []
    assert_same("elsewhere", "whole")


def test_a_run_that_cannot_be_saved_goes_on_and_says_so(run, monkeypatch, capsys):
    def full(*_):
        raise HooksimError("'result/unfinished': the state of the run cannot be saved: disk full.")

    monkeypatch.setattr(Unfinished, "write", full)
    assert run("--checkpoint-every=0") == 0
    told = "warning: 'result/unfinished': the state of the run cannot be saved: disk full.\n"
    assert capsys.readouterr().err.count(told) == 1
    assert run("--overwrite", event="int 5") == 130
    error = capsys.readouterr().err
    assert told in error and "--resume" not in error


def test_an_unwritable_folder_is_said_in_one_line(folder, run, capsys):
    (folder / "result").mkdir()
    (folder / "result" / "unfinished").write_text("")
    assert run() != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "result" in error


def test_what_was_left_out_is_counted(run):
    assert run("--set=on_nonfinite=drop") == 0
    assert Comparison.load("result").metadata["dropped_samples"] == 0


def test_what_is_compared_of_a_configuration():
    assert comparable({"output": "a", "progress": True, "x": (1, 2)}) == {"x": [1, 2]}
