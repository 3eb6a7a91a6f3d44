"""The callback in runs of transformers' Trainer that are interrupted, or in trouble."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerCallback

import hooksim
from hooksim.callbacks import load_run
from hooksim.callbacks.huggingface import SimilarityCallback
from hooksim.errors import ConfigError, LayerNotFoundError
from tests.callbacks.digits_run import (
    STEPS,
    Classifier,
    Stop,
    history,
    make_trainer,
    probe,
    steps,
    watched,
)

# torch's own loader asks for an accelerator that is not there.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")


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

    def test_the_probe_has_the_whole_history(self, tmp_path):
        whole, one = watched(tmp_path / "whole", 5, reference="both")
        whole.train()
        interrupted(tmp_path / "cut", 5, 17, reference="both")
        trainer, two = watched(tmp_path / "cut", 5, seed=9, reference="both")
        trainer.train(resume_from_checkpoint=True)
        probes = [each._watch.probe for each in (one, two)]
        assert probes[0].history == probes[1].history
        assert [step for step, _ in probes[1].history] == [5, 10, 15, 20, 24]
        assert len(probes[1].seconds) == 5
        for name in ("initial", "last"):
            values = [each.trajectory(name)["cka"].values for each in probes]
            assert torch.equal(*values)
            assert torch.equal(
                load_run(tmp_path / "cut" / "hooksim", name)["cka"].values, values[0]
            )

    def test_what_of_the_history_is_gone_is_said(self, tmp_path):
        interrupted(tmp_path, 3, 17)
        folder = tmp_path / "hooksim"
        shutil.rmtree(folder / "step-6")
        (folder / "step-9" / "matrices.safetensors").unlink()
        _, callback = watched(tmp_path, 3)
        damaged, gone = callback._watch.begin(tmp_path, 12, writes=True)
        assert "step-9' is damaged: matrices.safetensors is missing" in damaged
        assert "has no result of step 6, 9, so probe.trajectory() goes without" in gone
        assert [step for step, _ in callback._watch.probe.history] == [3, 6, 9, 12]
        assert callback._watch.probe.trajectory().steps == [3, 12]

    def test_a_second_training_begins_anew_and_says_what_goes(self, tmp_path, caplog):
        trainer, callback = watched(tmp_path, 12)
        load = []
        for _ in range(2):
            assert "held the results of an earlier run" not in caplog.text
            trainer.train()
            load.append(callback._watch.probe.history)
        assert (
            "held the results of an earlier run, which are deleted now (step 12, 24)."
            in caplog.text
        )
        assert [step for step, _ in load[1]] == [12, 24]
        assert load[0] != load[1]

    def test_after_a_step_that_could_not_be_measured(self, tmp_path):
        class Broken(TrainerCallback):
            def on_step_end(self, args, state, control, model, **kwargs):
                self.kept = model.first.bias.data.clone()
                if state.global_step == 9:
                    model.first.bias.data.fill_(float("nan"))

            def on_evaluate(self, args, state, control, model, **kwargs):
                model.first.bias.data.copy_(self.kept)  # after ours has measured

        def broken(folder: Path):
            trainer, _ = watched(folder, reference="both", save_steps=9)
            trainer.add_callback(Broken())
            return trainer

        broken(tmp_path / "whole").train()
        lines = history(tmp_path / "whole")
        assert ["error" in line for line in lines[:4]] == [False, False, True, False]
        trainer = broken(tmp_path / "cut")
        trainer.add_callback(Stop(11))
        with pytest.raises(RuntimeError, match="the run is stopped"):
            trainer.train()
        kept = tmp_path / "cut" / "hooksim" / "reference-last"
        # What the one after the broken step is compared with, wherever the run goes on from.
        assert [path.name for path in kept.iterdir()] == ["step-6"]
        broken(tmp_path / "cut").train(resume_from_checkpoint=True)
        assert history(tmp_path / "cut") == lines
        [warning] = load_run(tmp_path / "cut" / "hooksim", "last").metadata["warnings"]
        assert warning["text"].startswith("step 9 could not be measured: ")

    def test_killed_between_checkpoint_and_measurement_it_measures_at_once(self, tmp_path):
        interrupted(tmp_path, 100, 17)  # which leaves a checkpoint, and no measurement
        trainer, _ = watched(tmp_path, "save")
        trainer.train(resume_from_checkpoint=True)
        assert steps(tmp_path) == [12, 24]

    @pytest.mark.parametrize("every", ["save", "eval", 4])
    def test_the_log_of_the_trainer_is_whole_too(self, every, tmp_path):
        def entries(trainer: Trainer) -> list[dict[str, Any]]:
            wanted = ("step", "epoch", "loss", "eval_loss")
            return [
                {key: line[key] for key in line if key in wanted or "_mean" in key}
                for line in trainer.state.log_history
                if "train_runtime" not in line and "hooksim_seconds" not in line
            ]

        whole, _ = watched(tmp_path / "whole", every)
        whole.train()
        interrupted(tmp_path / "cut", every, 17)
        trainer, _ = watched(tmp_path / "cut", every, seed=9)
        trainer.train(resume_from_checkpoint=True)
        assert entries(trainer) == entries(whole)
        assert any("hooksim_reference_cka_diagonal_mean" in each for each in entries(whole))

    def test_a_run_that_goes_on_with_something_else_is_refused(self, tmp_path):
        interrupted(tmp_path, 5, 17)
        lines = history(tmp_path)
        trainer, _ = watched(tmp_path, 5, measures="cka")
        with pytest.raises(ConfigError, match=r"was begun with measures=.* or another output_dir"):
            trainer.train(resume_from_checkpoint=True)
        trainer, _ = watched(tmp_path, 5, reference="both")
        with pytest.raises(ConfigError, match=r"with references=\['reference'\]; the probe"):
            trainer.train(resume_from_checkpoint=True)
        assert history(tmp_path) == lines

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
        assert steps(tmp_path) == [5, 10, 15, 20, 24]


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

    @pytest.mark.parametrize("attached", [True, False])
    def test_a_second_callback_is_refused_before_the_first_begins(self, attached, tmp_path):
        before = watched(tmp_path, 12)[0]
        before.train()
        lines = history(tmp_path)
        model = Classifier()
        trainer = make_trainer(tmp_path, model)
        first = SimilarityCallback(probe(model), 6)
        if attached:
            first.attach(trainer)
        else:
            trainer.add_callback(first)
        trainer.add_callback(SimilarityCallback(probe(model), 6))
        with pytest.raises(ConfigError, match=r"another one of this Trainer .* several references"):
            trainer.train()
        assert history(tmp_path) == lines
        assert first._watch.folder is None

    def test_a_second_one_is_not_attached(self, tmp_path):
        trainer, _ = watched(tmp_path, 12)
        with pytest.raises(ConfigError, match=r"another one of this Trainer writes to .*/hooksim'"):
            SimilarityCallback(probe(Classifier()), 6).attach(trainer)

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

    def test_what_may_never_come_is_warned_of_at_the_beginning(self, tmp_path, monkeypatch):
        said: list[str] = []
        monkeypatch.setattr(f"{SimilarityCallback.__module__}._log.warning", said.append)
        model = Classifier()
        trainer = make_trainer(tmp_path, model, eval_strategy="no")
        trainer.add_callback(SimilarityCallback(probe(model)))
        trainer.add_callback(Stop(0))
        with pytest.raises(RuntimeError, match="the run is stopped"):
            trainer.train()
        assert "every='eval' measures nothing where eval_strategy='no'" in said[0]

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
