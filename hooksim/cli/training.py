"""Small vision transformers trained on the digits in seconds, checkpoints kept along the way."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hooksim.cli.digits import Digits, read_digits
from hooksim.loading.checkpoint import transformers_messages_off

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ViTForImageClassification

__all__ = ["CHECKPOINTS", "train_digits"]

CHECKPOINTS = (10, 20, 30, 50, 70, 100, 200, 300)
"""Steps after which a checkpoint is kept; training ends with the last."""

_BATCH_SIZE = 64
_PEAK_LEARNING_RATE = 3e-3

_log = logging.getLogger("hooksim.cli")


def train_digits(
    folder: str | Path,
    *,
    seed: int,
    checkpoints: Sequence[int] = CHECKPOINTS,
    watch: Callable[["ViTForImageClassification", int], None] | None = None,
) -> float:
    """Train one small vision transformer and keep checkpoints in the Hugging Face format.

    The same seed gives the same weights however many cores there are; torch's own random state and
    number of threads are left as they were.

    Args:
        folder: Where `checkpoint-10`, `checkpoint-20`, ... go; those of an earlier training there
            are removed.
        seed: Of the initial weights and of the order of the pictures.
        checkpoints: Steps after which a checkpoint is kept, in rising order.
        watch: Called with the model and 0 before the first step, and at each checkpoint.

    Returns:
        Share of the test pictures that the last checkpoint names rightly.

    Raises:
        HooksimError: scikit-learn is not installed.
    """
    import torch

    train, test = read_digits("train"), read_digits("test")
    for old in Path(folder).glob("checkpoint-*"):
        shutil.rmtree(old)
    with torch.random.fork_rng(devices=[]), _one_thread(), transformers_messages_off():
        torch.manual_seed(seed)
        model = _new_model()
        if watch is not None:
            watch(model, 0)
        for step in _steps(model, train, checkpoints[-1]):
            if step in checkpoints:
                model.save_pretrained(Path(folder) / f"checkpoint-{step}")
                if watch is not None:
                    watch(model, step)
                _log.debug("seed %d, step %d: accuracy %.3f", seed, step, _accuracy(model, test))
    return _accuracy(model, test)


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


def _steps(model: "ViTForImageClassification", data: Digits, n_steps: int) -> Iterator[int]:
    """Train, and give the number of each step once it is done."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=_PEAK_LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _PEAK_LEARNING_RATE, total_steps=n_steps
    )
    samples = _shuffled(len(data.labels))
    for step in range(1, n_steps + 1):
        batch = next(samples)
        model.train()
        loss = model(pixel_values=data.images[batch], labels=data.labels[batch]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield step


def _shuffled(n_samples: int) -> Iterator["Tensor"]:
    """Give batches of positions without end, every sample once an epoch but for a remainder."""
    import torch

    while True:
        order = torch.randperm(n_samples)
        yield from order[: n_samples - n_samples % _BATCH_SIZE].view(-1, _BATCH_SIZE)


def _accuracy(model: "ViTForImageClassification", data: Digits) -> float:
    import torch

    model.train(False)
    with torch.no_grad():
        named = model(pixel_values=data.images).logits.argmax(-1)
    return float((named == data.labels).double().mean())
