"""A small classifier of digits and transformers' Trainer for it; also a script that kills itself.

`python digits_run.py FOLDER STEP` trains in FOLDER and is killed after STEP.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from hooksim.callbacks.huggingface import SimilarityCallback
from hooksim.cli.digits import digits_batches, read_digits
from hooksim.probe import Probe

STEPS = 24


class Classifier(nn.Module):
    """Dropout makes its training depend on torch's random numbers."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 32)
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(32, 10)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.first(pixel_values.flatten(1)).relu()
        logits = self.head(self.dropout(self.second(x).relu()))
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def samples(n: int = 128) -> list[dict[str, Tensor]]:
    digits = read_digits("train")
    pairs = zip(digits.images[:n], digits.labels[:n], strict=True)
    return [{"pixel_values": image, "labels": label} for image, label in pairs]


def probe(model: nn.Module, **options: Any) -> Probe:
    """Of 96 digits that the model is not trained on."""
    options = {"reference": model, "max_samples": 96, **options}
    loader = options.pop("loader", None)
    return Probe(loader or digits_batches(({}, {}), split="test", batch_size=48), **options)


def make_trainer(folder: Path, model: nn.Module, **options: Any) -> Trainer:
    options = {
        "max_steps": STEPS, "per_device_train_batch_size": 16, "learning_rate": 0.01, "seed": 3,
        "eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 12,
        "logging_steps": 1, "report_to": "none", "disable_tqdm": True, "use_cpu": True, **options,
    }  # fmt: skip
    data = samples()
    arguments = TrainingArguments(str(folder), **options)
    return Trainer(model, arguments, train_dataset=data, eval_dataset=data[:32])


class Stop(TrainerCallback):
    """Ends a run in its midst: by an error, or as `kill -9` does."""

    def __init__(self, step: int, *, kill: bool = False) -> None:
        self.step, self.kill = step, kill

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("the run is stopped")


def history(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run, without how long they took."""
    text = (folder / "hooksim" / "history.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
    return lines


def watched(folder: Path, every: Any = "eval", *, seed: int = 0, **options: Any):
    """A Trainer with the callback, attached; some options are those of the Trainer."""
    of_callback = {key: options.pop(key) for key in ("pictures",) if key in options}
    of_probe = {
        key: options.pop(key) for key in ("reference", "measures", "loader") if key in options
    }
    others = options.pop("callbacks", [])
    model = Classifier(seed)
    if of_probe.get("reference") == "both":
        of_probe["reference"] = {"initial": model, "last": "previous"}
    trainer = make_trainer(folder, model, **options)
    for each in others:
        trainer.add_callback(each)
    callback = SimilarityCallback(probe(model, **of_probe), every, **of_callback)
    return trainer, callback.attach(trainer)


def steps(folder: Path) -> list[int]:
    return [line["step"] for line in history(folder)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = Classifier()
    trainer = make_trainer(Path(sys.argv[1]), made)
    trainer.add_callback(Stop(int(sys.argv[2]), kill=True))
    given = {"initial": made, "last": "previous"}
    SimilarityCallback(probe(made, reference=given)).attach(trainer)
    trainer.train()
