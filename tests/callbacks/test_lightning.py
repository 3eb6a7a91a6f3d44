"""The callback in real runs of Lightning's Trainer."""

import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.precision import Precision
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from hooksim.callbacks.lightning import SimilarityCallback
from hooksim.cli.digits import read_digits
from hooksim.errors import ConfigError
from hooksim.functional import cka
from hooksim.probe import Probe
from hooksim.results import Comparison
from tests.callbacks.digits_run import history

STEPS = 24  # of 3 epochs, with a validation at the end of every half
CKA = "hooksim_reference_cka_diagonal_mean"
SEEN = list(range(4, STEPS + 1, 4))

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        "The .* does not have many workers",
        "Checkpoint directory .* exists and is not empty",
        "You're resuming from a checkpoint that ended before the epoch ended",
        ".*isinstance.treespec, LeafSpec.. is deprecated",
        "The number of training batches .* is smaller than the logging interval",
        "The dirpath has changed",
    )
]


class Module(LightningModule):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10)
        )
        self.losses: list[float] = []

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, index):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


def loaders() -> tuple[DataLoader, DataLoader]:
    digits = read_digits("train")
    training = TensorDataset(digits.images[:128], digits.labels[:128])
    validation = TensorDataset(digits.images[128:160], digits.labels[128:160])
    return DataLoader(training, 16, shuffle=True), DataLoader(validation, 32)


def probe(module: nn.Module, **options: Any) -> Probe:
    loader = DataLoader(read_digits("test").images[:96], 48)
    return Probe(loader, **{"reference": module, **options})


def make_trainer(folder: Path, *callbacks: Callback, **options: Any) -> Trainer:
    options = {
        "max_steps": STEPS, "val_check_interval": 4, "logger": False, "accelerator": "cpu",
        "enable_progress_bar": False, "enable_model_summary": False, **options,
    }  # fmt: skip
    kept = ModelCheckpoint(
        folder / "kept", every_n_train_steps=12, save_top_k=-1, filename="{step}"
    )
    return Trainer(default_root_dir=folder, callbacks=[*callbacks, kept], **options)


def fitted(folder: Path, *others: Callback, every: Any = "eval", seed: int = 0, **options: Any):
    """A module after a run with the callback, or without one for `every=None`."""
    of_callback = {key: options.pop(key) for key in ("pictures", "output_dir") if key in options}
    of_probe = {key: options.pop(key) for key in ("reference", "measures") if key in options}
    ckpt_path = options.pop("ckpt_path", None)
    module = Module(seed)
    if of_probe.get("reference") == "both":
        of_probe["reference"] = {"initial": module, "last": "previous"}
    seed_everything(5, verbose=False)
    callbacks = list(others)
    if every is not None:
        callbacks.append(SimilarityCallback(probe(module, **of_probe), every, **of_callback))
    trainer = make_trainer(folder, *callbacks, **options)
    trainer.fit(module, *loaders(), ckpt_path=ckpt_path, weights_only=True)
    return module


class Stop(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, *args):
        if trainer.global_step == self.step:
            raise RuntimeError("the run is stopped")


def steps(folder: Path) -> list[int]:
    return [line["step"] for line in history(folder)]


@pytest.mark.parametrize("every", ["eval", "save", 2])
def test_a_run_ends_with_the_same_bits(every, tmp_path):
    plain = fitted(tmp_path / "plain", every=None)
    watched = fitted(tmp_path / "watched", every=every)
    assert watched.losses == plain.losses
    for one, two in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("every", "expected"), [("eval", SEEN), ("save", [12, 24]), (7, [7, 14, 21, 24])]
)
def test_a_line_and_a_result_for_each_measurement(every, expected, tmp_path):
    fitted(tmp_path, every=every)
    assert steps(tmp_path) == expected
    folders = {path.name for path in (tmp_path / "hooksim").iterdir()}
    results = {f"step-{step}" for step in expected}
    assert folders == {"history.jsonl", "run.json", "reference-reference", *results}
    result = Comparison.load(tmp_path / "hooksim" / f"step-{expected[-1]}")
    assert result["cka"].layers_b == ["net.1", "net.4"]


def test_steps_that_are_taken_together_are_measured_once(tmp_path):
    fitted(tmp_path, every=2, accumulate_grad_batches=3, max_steps=6, val_check_interval=1.0)
    assert steps(tmp_path) == [2, 4, 6]


def test_another_folder(tmp_path):
    fitted(tmp_path / "root", every=STEPS, output_dir=tmp_path / "mine")
    assert steps(tmp_path / "mine") == [STEPS]
    assert not (tmp_path / "root" / "hooksim").exists()


def test_the_curves_and_pictures_are_in_tensorboards_file(tmp_path):
    logger = TensorBoardLogger(tmp_path / "board", name=None, version="")
    files = CSVLogger(tmp_path / "files", name=None, version="")
    fitted(tmp_path, every=12, logger=[logger, files], pictures=True, measures="cka")
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    points = events.Scalars(CKA)
    expected = [line["scalars"]["reference_cka_diagonal_mean"] for line in history(tmp_path)]
    assert [point.step for point in points] == [12, 24]
    assert [point.value for point in points] == pytest.approx(expected, rel=1e-6)
    assert [image.step for image in events.Images("hooksim/reference")] == [12, 24]
    for name in ("hooksim_seconds", "hooksim_share_of_time"):
        assert [point.step for point in events.Scalars(name)] == [STEPS]
    assert CKA in (tmp_path / "files" / "metrics.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("every", ["eval", 4])
def test_callbacks_may_watch_a_scalar(every, tmp_path):
    kept = ModelCheckpoint(tmp_path / "best", monitor=CKA, mode="min", filename="{step}")
    trainers = []

    class Grab(Callback):
        def on_train_end(self, trainer, pl_module):
            trainers.append(trainer)

    fitted(tmp_path, kept, Grab(), every=every)
    last = history(tmp_path)[-1]["scalars"]["reference_cka_diagonal_mean"]
    assert trainers[0].callback_metrics[CKA].item() == pytest.approx(last)
    assert kept.best_model_score.item() < 1


def interrupted(folder: Path, at: int, **options: Any) -> None:
    with pytest.raises(RuntimeError, match="the run is stopped"):
        fitted(folder, Stop(at), **options)


@pytest.mark.parametrize("every", ["eval", "save", 5])
def test_the_history_goes_on_without_gap_or_repeat(every, tmp_path):
    fitted(tmp_path / "whole", every=every, reference="both")
    interrupted(tmp_path / "cut", 18, every=every, reference="both")
    # Other weights: the reference must be that of the interrupted run, not of this module.
    checkpoint = tmp_path / "cut" / "kept" / "step=12.ckpt"
    fitted(tmp_path / "cut", every=every, reference="both", seed=9, ckpt_path=checkpoint)
    lines, expected = history(tmp_path / "cut"), history(tmp_path / "whole")
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    # Lightning begins an interrupted epoch anew, so only what came before it has the same values.
    before = [line for line in expected if line["step"] <= 12]
    assert lines[: len(before)] == before
    assert [list(line["scalars"]) for line in lines] == [list(line["scalars"]) for line in expected]
    assert lines[-1]["scalars"]["initial_cka_diagonal_mean"] < 0.98


def test_a_checkpoint_brings_the_history_along(tmp_path):
    interrupted(tmp_path / "cut", 18, every=4)
    checkpoint = tmp_path / "cut" / "kept" / "step=12.ckpt"
    with (
        pytest.warns(UserWarning, match="^reference: .*reference-reference' is missing"),
        pytest.warns(UserWarning, match="has no result of step 4, 8, 12, so probe.trajectory"),
    ):
        fitted(tmp_path / "moved", every=4, ckpt_path=checkpoint)
    assert steps(tmp_path / "moved") == SEEN
    state = torch.load(checkpoint, weights_only=True)["callbacks"]
    [lines] = [each["history"] for name, each in state.items() if "Similarity" in name]
    assert [line["step"] for line in lines] == [4, 8, 12]


def test_the_sanity_check_and_other_validations_are_passed_over(tmp_path):
    module = Module()
    callback = SimilarityCallback(probe(module))
    trainer = make_trainer(tmp_path, callback, num_sanity_val_steps=1, max_steps=4)
    _, validation = loaders()
    trainer.validate(module, validation, verbose=False)
    trainer.fit(module, *loaders())
    trainer.validate(module, validation, verbose=False)
    assert steps(tmp_path) == [4]


def test_only_one_process_writes(tmp_path):
    module = Module()
    callback = SimilarityCallback(probe(module), 4, output_dir=tmp_path)
    trainer = SimpleNamespace(
        is_global_zero=False, global_step=0, default_root_dir=tmp_path, current_epoch=0,
        precision_plugin=Precision(),
    )  # fmt: skip
    callback.on_train_start(trainer, module)
    trainer.global_step = 4
    callback.on_train_batch_end(trainer, module, None, None, 3)
    callback.on_save_checkpoint(trainer, module, {})
    assert not (tmp_path / "hooksim").exists()
    assert callback.state_dict() == {"history": [], "awaited": None, "epoch": 0.0}


def test_the_share_of_time_is_in_the_log(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fitted(tmp_path, every=12)
    assert any(
        text.startswith("hooksim: 2 measurements took ")
        and "% of the run's time; the results are in '" in text
        and text.endswith("/hooksim'` makes the page")
        for text in caplog.messages
    )


def test_a_module_that_diverges_is_trained_on(tmp_path):
    class Broken(Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            if trainer.global_step == 10:
                pl_module.net[1].weight.data.fill_(float("nan"))

    with pytest.warns(UserWarning, match=r"step (16|24) could not be measured: .* NaN or infinity"):
        fitted(tmp_path, Broken(), every=8)
    lines = history(tmp_path)
    assert [line["step"] for line in lines] == [8, 16, 24]
    assert "hold NaN or infinity" in lines[-1]["error"]


def test_what_is_no_interval_is_refused():
    with pytest.raises(ConfigError, match="every: expected 'eval', 'save' or a number of steps"):
        SimilarityCallback(probe(Module()), "epoch")


def test_lines_are_plain_data(tmp_path):
    fitted(tmp_path, every=12)
    text = (tmp_path / "hooksim" / "history.jsonl").read_text()
    line = json.loads(text.splitlines()[0])
    assert list(line) == ["step", "epoch", "scalars", "seconds"]


def test_a_validation_that_was_to_come_after_the_checkpoint_is_made_up_for(tmp_path):
    class Killed(Callback):
        def on_validation_start(self, trainer, pl_module):
            if trainer.global_step == 12:
                raise RuntimeError("the run is stopped")

    with pytest.raises(RuntimeError, match="the run is stopped"):
        fitted(tmp_path, Killed())
    assert steps(tmp_path) == [4, 8]
    fitted(tmp_path, ckpt_path=tmp_path / "kept" / "step=12.ckpt")
    assert steps(tmp_path) == SEEN


class Unsized(IterableDataset):
    def __iter__(self):
        return iter(loaders()[0].dataset)


@pytest.mark.parametrize("unsized", [True, False])
def test_so_is_one_at_the_end_of_an_epoch(unsized, tmp_path):
    class Killed(Callback):
        def on_validation_start(self, trainer, pl_module):
            if trainer.global_step == 16:
                raise RuntimeError("the run is stopped")

    def fit(folder: Path, *others: Callback, **options: Any) -> None:
        module = Module()
        training, validation = loaders()
        training = DataLoader(Unsized() if unsized else training.dataset, 16)
        kept = ModelCheckpoint(folder / "own", every_n_train_steps=8, save_top_k=-1)
        own = SimilarityCallback(probe(module, measures="cka"))
        trainer = make_trainer(
            folder, *others, own, kept, val_check_interval=None, num_sanity_val_steps=0
        )
        seed_everything(5, verbose=False)
        trainer.fit(module, training, validation, weights_only=True, **options)

    fit(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="the run is stopped"):
        fit(tmp_path / "cut", Killed())
    [checkpoint] = (tmp_path / "cut" / "own").glob("*step=16.ckpt")
    fit(tmp_path / "cut", ckpt_path=checkpoint)
    whole, cut = history(tmp_path / "whole"), history(tmp_path / "cut")
    assert [(line["step"], line["epoch"]) for line in whole] == [(8, 0.0), (16, 1.0), (24, 2.0)]
    assert cut[:2] == whole[:2]
    assert [(line["step"], line["epoch"]) for line in cut[2:]] == [(24, 2.0)]


@pytest.mark.parametrize("folder", [None, "mine"])
def test_a_second_one_is_refused_before_anything_is_written(folder, tmp_path):
    own = None if folder is None else tmp_path / folder
    second = SimilarityCallback(probe(Module()), 4, output_dir=own)
    place = re.escape(str(tmp_path / "hooksim"))
    match = rf"another one of this Trainer writes to '{place}', .* Give one probe several referen"
    with pytest.raises(ConfigError, match=match):
        fitted(tmp_path, second, every=4)
    assert not list(tmp_path.rglob("hooksim"))


class TestPrecision:
    def test_samples_are_converted_as_those_of_the_training_are(self, tmp_path, caplog):
        with caplog.at_level(logging.INFO):
            module = fitted(tmp_path, every=12, precision="bf16-true", measures="cka")
        assert module.net[1].weight.dtype == torch.bfloat16
        assert not module._forward_pre_hooks
        text = "the samples of the probe are converted from float32 to bfloat16, as precision="
        assert sum(text in each for each in caplog.messages) == 1
        for step in (12, 24):
            result = Comparison.load(tmp_path / "hooksim" / f"step-{step}")
            [note] = [n for n in result.metadata["notes"] if n["code"] == "converted_inputs"]
            assert note["text"].startswith(text + "'bf16-true' converts those of the training;")
            assert result["cka"].values.isfinite().all()

    def test_the_values_are_those_of_the_module_on_converted_samples(self, tmp_path):
        module = fitted(tmp_path, every=STEPS, precision="bf16-true", measures="cka")
        samples = read_digits("test").images[:96]
        with torch.no_grad():
            rows = module.eval()(samples.bfloat16()).float()
            expected = cka(Module().eval()(samples), rows)
        result = Comparison.load(tmp_path / "hooksim" / f"step-{STEPS}")
        assert result["cka"].values[1, 1].item() == pytest.approx(expected.item(), abs=1e-5)

    def test_nothing_is_said_where_nothing_is_converted(self, tmp_path):
        fitted(tmp_path, every=STEPS, precision="bf16-mixed", measures="cka")
        result = Comparison.load(tmp_path / "hooksim" / f"step-{STEPS}")
        assert "converted_inputs" not in [note["code"] for note in result.metadata["notes"]]


def test_a_run_that_validates_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="every='eval' measures nothing, since this run valid"):
        fitted(tmp_path, every="eval", limit_val_batches=0)
    assert not (tmp_path / "hooksim").exists()
