"""The callback in real runs of transformers' Trainer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

import hooksim
from hooksim.callbacks.huggingface import SimilarityCallback
from hooksim.errors import ConfigError, LayerNotFoundError
from hooksim.recording import Recording
from hooksim.results import Comparison
from tests.callbacks.digits_run import (
    STEPS,
    Classifier,
    Stop,
    history,
    make_trainer,
    probe,
    samples,
)

CKA = "hooksim_reference_cka_diagonal_mean"
SEEN = list(range(3, STEPS + 1, 3))

# torch's own loader asks for an accelerator that is not there.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")


def watched(folder: Path, every: Any = "eval", *, seed: int = 0, **options: Any):
    """A Trainer with the callback, attached; some options are those of the Trainer."""
    of_callback = {key: options.pop(key) for key in ("pictures",) if key in options}
    of_probe = {
        key: options.pop(key) for key in ("reference", "measures", "loader") if key in options
    }
    model = Classifier(seed)
    if of_probe.get("reference") == "both":
        of_probe["reference"] = {"initial": model, "last": "previous"}
    trainer = make_trainer(folder, model, **options)
    callback = SimilarityCallback(probe(model, **of_probe), every, **of_callback)
    return trainer, callback.attach(trainer)


def steps(folder: Path) -> list[int]:
    return [line["step"] for line in history(folder)]


class TestTheTraining:
    @pytest.mark.parametrize("every", ["eval", "save", 2])
    def test_it_ends_with_the_same_bits(self, every, tmp_path):
        plain = make_trainer(tmp_path / "plain", Classifier())
        plain.train()
        trainer, _ = watched(tmp_path / "watched", every)
        trainer.train()
        for one, two in zip(plain.model.parameters(), trainer.model.parameters(), strict=True):
            assert torch.equal(one, two)
        kept = ("loss", "eval_loss", "grad_norm", "learning_rate", "epoch", "step")
        logs = [
            [{key: line[key] for key in kept if key in line} for line in each.state.log_history
             if "loss" in line or "eval_loss" in line]
            for each in (plain, trainer)
        ]  # fmt: skip
        assert logs[0] == logs[1]
        assert len(logs[0]) == STEPS + len(SEEN)

    def test_also_with_a_loader_that_draws_random_numbers(self, tmp_path):
        plain = make_trainer(tmp_path / "plain", Classifier())
        plain.train()
        pictures = [each["pixel_values"] for each in samples(96)]
        loader = torch.utils.data.DataLoader(pictures, batch_size=32)
        trainer, _ = watched(tmp_path / "watched", 5, loader=loader)
        trainer.train()
        for one, two in zip(plain.model.parameters(), trainer.model.parameters(), strict=True):
            assert torch.equal(one, two)

    def test_mixed_precision_does_not_move_the_values(self, tmp_path):
        trainer, _ = watched(tmp_path, bf16=True, eval_on_start=True, max_steps=3)
        trainer.train()
        first, last = (line["scalars"]["reference_cka_diagonal_mean"] for line in history(tmp_path))
        assert first == pytest.approx(1, abs=1e-9)
        assert last < 0.99


class TestFiles:
    @pytest.mark.parametrize(
        ("every", "expected"), [("eval", SEEN), ("save", [12, 24]), (7, [7, 14, 21])]
    )
    def test_a_line_and_a_result_for_each_measurement(self, every, expected, tmp_path):
        trainer, callback = watched(tmp_path, every)
        trainer.train()
        assert steps(tmp_path) == expected
        assert history(tmp_path)[0]["epoch"] == expected[0] / 8
        folders = {path.name for path in (tmp_path / "hooksim").iterdir()}
        results = {f"step-{step}" for step in expected}
        assert folders == {"history.jsonl", "reference-reference", *results}
        last = history(tmp_path)[-1]["scalars"]
        result = Comparison.load(tmp_path / "hooksim" / f"step-{expected[-1]}")
        assert result["cka"].label_b == f"model B: step {expected[-1]}"
        mean = result["cka"].values.diagonal().mean().item()
        assert last["reference_cka_diagonal_mean"] == pytest.approx(mean)
        assert callback._watch.probe.history[-1][1] == last

    def test_several_references(self, tmp_path):
        trainer, _ = watched(tmp_path, 12, reference="both")
        trainer.train()
        found = {path.relative_to(tmp_path / "hooksim").as_posix()
                 for path in (tmp_path / "hooksim").glob("*/*") if path.is_dir()}  # fmt: skip
        assert {"step-12/initial", "step-24/initial", "step-24/last"} <= found
        assert "step-12/last" not in found
        assert found >= {"reference-last/step-12", "reference-last/step-24"}
        initial = Recording.load(tmp_path / "hooksim" / "reference-initial")
        probed = probe(Classifier())
        assert torch.equal(initial["first"], probed.references["reference"]["first"])

    def test_without_attach_files_only(self, tmp_path):
        model = Classifier()
        trainer = make_trainer(tmp_path, model)
        trainer.add_callback(SimilarityCallback(probe(model), 12))
        trainer.train()
        assert steps(tmp_path) == [12, 24]
        assert not any("hooksim" in key for line in trainer.state.log_history for key in line)

    def test_pictures_only_where_they_are_asked_for(self, tmp_path):
        for pictures in (False, True):
            folder = tmp_path / str(pictures)
            trainer, _ = watched(folder, STEPS, pictures=pictures, measures="cka")
            trainer.train()
            assert (folder / "hooksim" / f"step-{STEPS}" / "cka.png").exists() == pictures

    def test_a_new_run_replaces_the_last_but_nothing_of_others(self, tmp_path):
        trainer, _ = watched(tmp_path, 6)
        trainer.train()
        mine = tmp_path / "hooksim" / "step-18" / "mine.txt"
        mine.write_text("notes")
        trainer, _ = watched(tmp_path, 12)
        trainer.train()
        assert steps(tmp_path) == [12, 24]
        assert mine.exists()
        assert not (tmp_path / "hooksim" / "step-6").exists()

    def test_only_one_process_writes(self, tmp_path):
        trainer, callback = watched(tmp_path, 12)
        state = SimpleNamespace(is_world_process_zero=False, global_step=0, epoch=0.0)
        callback.on_train_begin(trainer.args, state, trainer.control, model=trainer.model)
        state.global_step = 12
        callback.on_step_end(trainer.args, state, trainer.control, model=trainer.model)
        callback.on_save(trainer.args, state, trainer.control, model=trainer.model)
        assert not (tmp_path / "hooksim").exists()
        assert callback._watch.probe.history == []

    def test_evaluations_that_are_no_new_step_are_not_measured(self, tmp_path):
        trainer, _ = watched(tmp_path, eval_steps=12)
        trainer.evaluate()
        trainer.eval_dataset = {"one": trainer.eval_dataset, "two": trainer.eval_dataset}
        trainer.train()
        trainer.evaluate()
        assert steps(tmp_path) == [12, 24]


class TestTheLog:
    def test_scalars(self, tmp_path):
        trainer, _ = watched(tmp_path)
        trainer.train()
        logged = {line["step"]: line for line in trainer.state.log_history if CKA in line}
        assert sorted(logged) == SEEN
        for line in history(tmp_path):
            entry = logged[line["step"]]
            assert {key: entry[f"hooksim_{key}"] for key in line["scalars"]} == line["scalars"]
            assert all(type(value) in (int, float) for value in entry.values())

    def test_the_share_of_time_comes_with_the_summary(self, tmp_path, caplog):
        trainer, _ = watched(tmp_path, 12)
        trainer.train()
        summary, share = trainer.state.log_history[-2:]
        assert "train_runtime" in summary
        assert 0 < share["hooksim_share_of_time"] < 1
        spent = share["hooksim_seconds"]
        assert spent / summary["train_runtime"] == pytest.approx(
            share["hooksim_share_of_time"], rel=0.2
        )

    def test_the_curves_are_in_tensorboards_file(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
        trainer, _ = watched(tmp_path, 12, report_to="tensorboard", pictures=True, measures="cka")
        trainer.train()
        [file] = (tmp_path / "board").iterdir()
        events = EventAccumulator(str(file)).Reload()
        points = events.Scalars(f"train/{CKA}")
        expected = [line["scalars"]["reference_cka_diagonal_mean"] for line in history(tmp_path)]
        assert [point.step for point in points] == [12, 24]
        assert [point.value for point in points] == pytest.approx(expected, rel=1e-6)
        assert events.Scalars("train/hooksim_share_of_time")
        assert [image.step for image in events.Images("hooksim/reference")] == [12, 24]

    def test_figures_for_weights_and_biases(self, tmp_path):
        logged: list[dict[str, Any]] = []

        class Reporter(TrainerCallback):
            _wandb = SimpleNamespace(Image=lambda fig: hasattr(fig, "savefig"), log=logged.append)

        trainer, _ = watched(tmp_path, STEPS, pictures=True, measures="cka")
        trainer.add_callback(Reporter())
        trainer.train()
        assert logged == [{"hooksim/reference": True, "train/global_step": STEPS}]

    def test_attached_twice_it_is_there_once(self, tmp_path):
        trainer, callback = watched(tmp_path)
        callback.attach(trainer)
        found = [each for each in trainer.callback_handler.callbacks if each is callback]
        assert len(found) == 1


def interrupted(folder: Path, every: Any, at: int, **options: Any) -> None:
    trainer, _ = watched(folder, every, **options)
    trainer.add_callback(Stop(at))
    with pytest.raises(RuntimeError, match="the run is stopped"):
        trainer.train()


class TestResume:
    @pytest.mark.parametrize("every", ["eval", "save", 5])
    def test_the_history_goes_on_without_gap_or_repeat(self, every, tmp_path):
        whole, _ = watched(tmp_path / "whole", every, reference="both")
        whole.train()
        interrupted(tmp_path / "cut", every, 17, reference="both")
        before = steps(tmp_path / "cut")
        # Other weights: the reference must be that of the interrupted run, not of this model.
        trainer, _ = watched(tmp_path / "cut", every, seed=9, reference="both")
        trainer.train(resume_from_checkpoint=True)
        assert history(tmp_path / "cut") == history(tmp_path / "whole")
        assert max(before) in steps(tmp_path / "cut") or every == 5

    def test_a_run_that_was_killed(self, tmp_path):
        environment = os.environ | {"PYTHONPATH": str(Path(hooksim.__file__).parents[1])}
        script = Path(__file__).with_name("digits_run.py")
        ended = subprocess.run(
            [sys.executable, str(script), str(tmp_path / "cut"), "17"],
            env=environment, capture_output=True, check=False,
        )  # fmt: skip
        assert ended.returncode == -9, ended.stderr.decode()
        assert steps(tmp_path / "cut") == [3, 6, 9, 12, 15]
        with (tmp_path / "cut" / "hooksim" / "history.jsonl").open("a") as file:
            file.write('{"step": 16, "ep')  # the end of the last line is missing
        whole, _ = watched(tmp_path / "whole", reference="both")
        whole.train()
        trainer, _ = watched(tmp_path / "cut", seed=9, reference="both")
        trainer.train(resume_from_checkpoint=True)
        assert history(tmp_path / "cut") == history(tmp_path / "whole")

    def test_results_of_later_steps_go(self, tmp_path):
        interrupted(tmp_path, 5, 17)
        assert (tmp_path / "hooksim" / "step-15").exists()
        trainer, _ = watched(tmp_path, 12)
        trainer.train(resume_from_checkpoint=True)
        assert steps(tmp_path) == [5, 10, 24]
        assert not (tmp_path / "hooksim" / "step-15").exists()

    def test_killed_between_checkpoint_and_measurement_it_measures_at_once(self, tmp_path):
        interrupted(tmp_path, 100, 17)  # which leaves a checkpoint, and no measurement
        trainer, _ = watched(tmp_path, "save")
        trainer.train(resume_from_checkpoint=True)
        assert steps(tmp_path) == [12, 24]

    def test_what_is_missing_is_said(self, tmp_path, caplog):
        interrupted(tmp_path, 5, 17, reference="both")
        shutil.rmtree(tmp_path / "hooksim" / "reference-initial")
        shutil.rmtree(tmp_path / "hooksim" / "reference-last")
        trainer, callback = watched(tmp_path, 5, reference="both")
        told = callback._watch.begin(tmp_path, 12, writes=True)
        assert len(told) == 2
        assert (
            "reference-initial' is missing, so the run goes on with what the probe was" in told[0]
        )
        assert "'last': the measurement of step 10 was not kept" in told[1]
        trainer.train(resume_from_checkpoint=True)
        assert steps(tmp_path) == [5, 10, 15, 20]


class TestTrouble:
    def test_a_model_that_diverges_is_trained_on(self, tmp_path):
        trainer, _ = watched(tmp_path, 6, learning_rate=1e38, max_grad_norm=0.0)
        trainer.train()
        lines = history(tmp_path)
        assert [line["step"] for line in lines] == [6, 12, 18, 24]
        assert lines[-1]["scalars"] == {}
        assert "hold NaN or infinity" in lines[-1]["error"]
        assert trainer.state.global_step == STEPS

    def test_a_probe_that_does_not_fit_ends_it_at_the_first_measurement(self, tmp_path):
        model = Classifier()
        callback = SimilarityCallback(probe(model, layers_b="third"), 3)
        trainer = make_trainer(tmp_path, model)
        callback.attach(trainer)
        with pytest.raises(LayerNotFoundError, match="third"):
            trainer.train()
        assert trainer.state.global_step == 3

    @pytest.mark.parametrize("every", ["epoch", 0, -3, 1.5, True, None])
    def test_every(self, every):
        with pytest.raises(ConfigError, match="every: expected 'eval', 'save' or a number of"):
            SimilarityCallback(probe(Classifier()), every)

    def test_the_probe(self):
        with pytest.raises(ConfigError, match=r"probe: expected a hooksim\.Probe, got Classifier"):
            SimilarityCallback(Classifier())

    def test_a_second_callback_is_refused(self, tmp_path):
        trainer, _ = watched(tmp_path, 12)
        trainer.add_callback(SimilarityCallback(probe(Classifier()), 6))
        with pytest.raises(ConfigError, match=r"another one of this Trainer .* several references"):
            trainer.train()

    @pytest.mark.parametrize("every", ["eval", "save"])
    def test_what_never_comes_is_refused_or_warned_of(self, every, tmp_path, monkeypatch):
        options = {f"{every}_strategy": "no", "max_steps": 3}
        trainer, _ = watched(tmp_path, every, **options)
        with pytest.raises(ConfigError, match=rf"every='{every}' .* {every}_strategy='no'"):
            trainer.train()
        trainer, _ = watched(tmp_path, every, **options)
        trainer.add_callback(Stop(99))  # which might ask for one
        said: list[str] = []
        monkeypatch.setattr(f"{SimilarityCallback.__module__}._log.warning", said.append)
        trainer.train()
        assert [text.startswith("hooksim: nothing was measured") for text in said] == [True]

    def test_the_recording_is_kept_before_we_hear_of_the_checkpoint(self, tmp_path):
        class Killed(TrainerCallback):
            def on_save(self, *args, **kwargs):
                raise RuntimeError("the run is stopped")

        model = Classifier()
        trainer = make_trainer(tmp_path, model)
        trainer.add_callback(Killed())
        SimilarityCallback(probe(model, reference="previous")).attach(trainer)
        with pytest.raises(RuntimeError, match="the run is stopped"):
            trainer.train()
        model = Classifier()
        trainer = make_trainer(tmp_path, model)
        SimilarityCallback(probe(model, reference="previous")).attach(trainer)
        trainer.train(resume_from_checkpoint=True)
        assert all(line["scalars"] for line in history(tmp_path)[1:])
