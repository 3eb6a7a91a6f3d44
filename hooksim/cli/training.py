"""Small vision transformers trained on the digits in seconds, checkpoints kept along the way."""

import logging
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.cli.digits import Digits, read_digits
from hooksim.errors import HooksimError
from hooksim.loading.checkpoint import transformers_messages_off

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback, ViTForImageClassification

    from hooksim.callbacks.huggingface import SimilarityCallback

__all__ = ["CHECKPOINTS", "train_digits"]

CHECKPOINTS = (10, 20, 30, 50, 70, 100, 200, 300)
"""Steps after which a checkpoint is kept; training ends with the last."""

_BATCH_SIZE = 64
_PEAK_LEARNING_RATE = 3e-3
_WARM_UP = 0.3  # of the steps

_log = logging.getLogger("hooksim.cli")


def train_digits(
    folder: str | Path,
    *,
    seed: int,
    checkpoints: Sequence[int] = CHECKPOINTS,
    watch: Callable[["ViTForImageClassification"], "SimilarityCallback"] | None = None,
) -> float:
    """Train one small vision transformer with transformers' Trainer.

    The same seed gives the same weights however many cores there are; random states and torch's
    number of threads are left as they were.

    Args:
        folder: Where `checkpoint-10`, `checkpoint-20`, ... go; those of an earlier training there
            are removed.
        seed: Of the initial weights and of the order of the pictures.
        checkpoints: Steps after which a checkpoint is kept, in rising order.
        watch: Makes the callback that measures the model, of the model before its first step.

    Returns:
        Share of the test pictures that the last checkpoint names rightly.

    Raises:
        HooksimError: scikit-learn or accelerate is not installed.
    """
    import torch

    train, test = read_digits("train"), read_digits("test")
    _check_accelerate()
    for old in Path(folder).glob("checkpoint-*"):
        shutil.rmtree(old)
    with _random_states_kept(), _one_thread(), transformers_messages_off():
        torch.manual_seed(seed)
        model = _new_model()
        trainer = _new_trainer(folder, model, train, seed, checkpoints)
        if watch is not None:
            watch(model).attach(trainer)
        trainer.train()
    return _accuracy(model, test)


def _check_accelerate() -> None:
    if find_spec("accelerate") is None:
        raise HooksimError(
            "transformers' Trainer needs accelerate, which is not installed: pip install "
            "'hooksim[demo]'"
        )


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Put back what the Trainer seeds: the random states of Python, numpy and torch."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: for matrices this small a second one costs more than it gives."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _new_model() -> "ViTForImageClassification":
    """Make a model of 4 blocks and 64 dimensions for one-channel pictures of 8 x 8 pixels."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(  # type: ignore[call-arg] # num_labels is taken by its base class
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        num_labels=10,
        initializer_range=0.1,  # the usual 0.02 is for wide models; narrow ones learn late with it
    )
    return ViTForImageClassification(config)


def _new_trainer(
    folder: str | Path,
    model: "ViTForImageClassification",
    data: Digits,
    seed: int,
    checkpoints: Sequence[int],
) -> "Trainer":
    """Make a Trainer that writes nothing but checkpoints, and nothing to stdout."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    arguments = TrainingArguments(
        str(folder),
        max_steps=checkpoints[-1],
        per_device_train_batch_size=_BATCH_SIZE,
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        learning_rate=_PEAK_LEARNING_RATE,
        lr_scheduler_type="cosine",
        warmup_steps=round(_WARM_UP * checkpoints[-1]),
        weight_decay=0.05,
        seed=seed,
        use_cpu=True,
        logging_strategy="no",
        save_strategy="no",
        save_only_model=True,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model, arguments, train_dataset=_samples(data), callbacks=[_saver(checkpoints)]
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _samples(data: Digits) -> list[dict[str, Any]]:
    """The pictures one by one, as the Trainer's loader takes them."""
    pairs = zip(data.images, data.labels, strict=True)
    return [{"pixel_values": image, "labels": label} for image, label in pairs]


def _saver(checkpoints: Sequence[int]) -> "TrainerCallback":
    """Ask for a checkpoint at uneven steps, for which the Trainer has no strategy."""
    from transformers import TrainerCallback

    class Saver(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_others: Any) -> None:
            control.should_save = state.global_step in checkpoints

    return Saver()


def _accuracy(model: "ViTForImageClassification", data: Digits) -> float:
    import torch

    model.train(False)
    with torch.no_grad():
        named = model(pixel_values=data.images).logits.argmax(-1)
    return float((named == data.labels).double().mean())
