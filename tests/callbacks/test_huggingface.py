"""The callback in real runs of transformers' Trainer."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

from hooksim.callbacks.huggingface import SimilarityCallback
from hooksim.recording import Recording
from hooksim.results import Comparison
from tests.callbacks.digits_run import (
    STEPS,
    Classifier,
    history,
    make_trainer,
    probe,
    samples,
    steps,
    watched,
)

CKA = "hooksim_reference_cka_diagonal_mean"
SEEN = list(range(3, STEPS + 1, 3))

# torch's own loader asks for an accelerator that is not there.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")


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
        ("every", "expected"), [("eval", SEEN), ("save", [12, 24]), (7, [7, 14, 21, 24])]
    )
    def test_a_line_and_a_result_for_each_measurement(self, every, expected, tmp_path):
        trainer, callback = watched(tmp_path, every)
        trainer.train()
        assert steps(tmp_path) == expected
        assert history(tmp_path)[0]["epoch"] == expected[0] / 8
        folders = {path.name for path in (tmp_path / "hooksim").iterdir()}
        results = {f"step-{step}" for step in expected}
        assert folders == {"history.jsonl", "run.json", "reference-reference", *results}
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

    def test_without_attach_files_only_which_is_said_once(self, tmp_path, monkeypatch):
        said: list[str] = []
        monkeypatch.setattr(f"{SimilarityCallback.__module__}._log.warning", said.append)
        model = Classifier()
        trainer = make_trainer(tmp_path, model)
        trainer.add_callback(SimilarityCallback(probe(model), 12))
        trainer.train()
        [line] = said
        assert line.startswith("SimilarityCallback: it is not attached, so results go to '")
        assert line.endswith("Call callback.attach(trainer) before trainer.train() for these.")
        assert steps(tmp_path) == [12, 24]
        assert not any("hooksim" in key for line in trainer.state.log_history for key in line)

    def test_the_last_step_is_measured_where_the_training_is_stopped(self, tmp_path):
        class Stopping(TrainerCallback):
            def __init__(self, event: str) -> None:
                self.event = event

            def on_step_end(self, args, state, control, **kwargs):
                control.should_training_stop |= self.event == "step" and state.global_step == 8

            def on_evaluate(self, args, state, control, **kwargs):
                control.should_training_stop |= self.event == "eval" and state.global_step == 9

        for event, last in (("step", 8), ("eval", 9)):
            trainer, _ = watched(tmp_path / event, 7, callbacks=[Stopping(event)])
            trainer.train()
            assert steps(tmp_path / event) == [7, last]

    def test_more_steps_than_there_are(self, tmp_path):
        trainer, _ = watched(tmp_path, 1000, max_steps=3)
        trainer.train()
        assert steps(tmp_path) == [3]

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
        callback.on_epoch_begin(trainer.args, state, trainer.control, model=trainer.model)
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

    def test_the_end_says_where_the_results_are(self, tmp_path, monkeypatch):
        said: list[str] = []
        monkeypatch.setattr(f"{SimilarityCallback.__module__}._log.info", said.append)
        trainer, _ = watched(tmp_path, 12)
        trainer.train()
        [line] = said
        place = f"'{tmp_path}/hooksim'"
        assert line.startswith("hooksim: 2 measurements took ")
        assert line.endswith(
            f"the results are in {place}, and `hooksim report {place}` makes the page"
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
