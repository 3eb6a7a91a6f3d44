"""A callback for Lightning's Trainer: measures a model while it is trained."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch.utils._pytree import tree_leaves

from hooksim.callbacks.figures import show_heatmaps
from hooksim.callbacks.watch import Every, Measured, Watch, only_one
from hooksim.errors import ConfigError, Note
from hooksim.probe import Probe

__all__ = ["SimilarityCallback"]


class SimilarityCallback(Callback):
    """Compares the module with a probe's references at each validation, checkpoint, or N steps.

    It changes nothing of the training. Everything goes into `<output_dir>/hooksim/`: a result for
    each step in `step-N/` (with several references `step-N/NAME/`), a line for each in
    `history.jsonl` (`step`, `epoch`, `scalars`, `seconds`), and the references, so that a run that
    goes on from a checkpoint compares with what it began with (`run.json` says what that was); what
    an earlier run left there goes. One process writes. The sanity check before training is passed
    over.

    The scalars go to all loggers of the Trainer, as `hooksim_NAME_cka_diagonal_mean` and so on, and
    to its `callback_metrics`. At the end of training there are two more for the loggers:
    `hooksim_seconds`, how long measuring and writing took since the training began or went on, and
    `hooksim_share_of_time`, their share of the time since then, from 0 to 1.

    `hooksim.callbacks.load_run("<output_dir>/hooksim")` gives the run as a `Trajectory`, as
    `probe.trajectory()` does while it lasts; `hooksim report <output_dir>/hooksim` makes its page.

    The measured model is the LightningModule, so its layers have their names there: give the same
    module as the reference. Where the Trainer's precision converts what goes into a step, as
    "bf16-true" does, it converts the samples of the probe too, and each result has a note of it;
    the reference stays as it was recorded.

    Args:
        probe: What measures.
        every: `"eval"`, `"save"`, or a number of steps; then also after the last step.
        pictures: Draw heatmaps: into `step-N/`, and for loggers that take images. Takes several
            seconds each time, where a measurement may take a fraction of one.
        output_dir: Folder of the run, the same where it goes on; None for the Trainer's
            `default_root_dir`.

    Raises:
        ConfigError: `every` is something else; or, as a Trainer begins and before anything is
            written, it has another such callback, validates nothing where it should, or a run that
            goes on was begun with other references, measures, rows, layers or blocks.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> callback = SimilarityCallback(Probe([torch.randn(50, 4)], reference=model), every=100)
        >>> # lightning.Trainer(callbacks=[callback]).fit(module, loader)
    """

    def __init__(
        self,
        probe: Probe,
        every: Every = "eval",
        *,
        pictures: bool = False,
        output_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._watch = Watch(probe, every, pictures=pictures)
        self._output_dir = output_dir
        self._lines: list[dict[str, Any]] = []
        self._awaited: int | None = None
        self._epoch: float | None = None
        # A Trainer that is given two of one key fails without saying what to do about it.
        self._key = f"{super().state_key}-{id(self)}"
        self._converted: list[Note] = []

    @property
    def state_key(self) -> str:
        """Name of the state in a checkpoint, once `setup` found that the Trainer has no other."""
        return self._key

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a second one."""
        for each in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(each, SimilarityCallback) and each is not self:
                raise ConfigError(only_one(each._folder(trainer)))
        self._key = super().state_key

    def state_dict(self) -> dict[str, Any]:
        """Give the history so far to a checkpoint, its epoch, and the step yet to be validated.

        Returns:
            Plain data.
        """
        return {"history": self._watch.lines, "awaited": self._awaited, "epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the history of a checkpoint, for a run that goes on.

        Args:
            state_dict: What `state_dict` gave.
        """
        self._lines = list(state_dict["history"])
        self._awaited = state_dict.get("awaited")
        self._epoch = state_dict.get("epoch")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a run or go on with one."""
        if self._watch.every == "eval" and not trainer.enable_validation:
            raise ConfigError(
                "SimilarityCallback: every='eval' measures nothing, since this run validates "
                "nothing. Give fit a loader for validation, or `every` a number of steps."
            )
        told = self._watch.begin(
            self._folder(trainer).parent,
            trainer.global_step,
            writes=trainer.is_global_zero,
            lines=self._lines,
            awaited=self._awaited,
        )
        for text in told:
            rank_zero_warn(text)
        if self._watch.overdue:
            # By now the Trainer may be in the epoch after it.
            self._measure(trainer, pl_module, epoch=self._epoch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure where it is time."""
        if not trainer.sanity_checking and self._watch.due("eval", trainer.global_step):
            self._measure(trainer, pl_module, in_log=True)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Measure where it is time."""
        self._epoch = float(trainer.current_epoch)
        if self._watch.every == "eval" and _validates_after(trainer, batch_idx):
            # Checkpoints are written before it, and nobody repeats it where a run goes on.
            self._awaited = trainer.global_step
        if self._watch.due("step", trainer.global_step):
            self._measure(trainer, pl_module, in_log=True)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Measure where it is time."""
        if self._watch.due("save", trainer.global_step):
            self._measure(trainer, pl_module)
        with self._watch.timed():
            self._watch.saved(trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the run, and say how long measuring took."""
        if self._watch.due("step", trainer.global_step, last=True):
            self._measure(trainer, pl_module)
        for logger in trainer.loggers:
            logger.log_metrics(self._watch.shares(), step=trainer.global_step)
        rank_zero_info(self._watch.end())
        if self._watch.idle:
            rank_zero_warn(self._watch.idle)

    def _folder(self, trainer: Trainer) -> Path:
        """Where everything goes."""
        given = trainer.default_root_dir if self._output_dir is None else self._output_dir
        return Path(given) / "hooksim"

    def _measure(
        self,
        trainer: Trainer,
        module: LightningModule,
        *,
        in_log: bool = False,
        epoch: float | None = None,
    ) -> None:
        with self._watch.timed():
            epoch = float(trainer.current_epoch) if epoch is None else epoch
            with _converted_as_in_training(trainer, module) as notes:
                measured = self._watch.measure(module, trainer.global_step, epoch, notes)
            for note in notes:
                if note not in self._converted:
                    self._converted.append(note)
                    rank_zero_info(f"SimilarityCallback: {note.text}")
            if measured is not None:
                self._tell(trainer, module, measured, in_log=in_log)

    def _tell(
        self, trainer: Trainer, module: LightningModule, measured: Measured, *, in_log: bool
    ) -> None:
        if measured.error:
            rank_zero_warn(f"step {measured.step} could not be measured: {measured.error}")
        if in_log:
            # For callbacks that watch a metric. Loggers are told below, since this way they would
            # hear of one step in log_every_n_steps.
            module.log_dict(measured.scalars, logger=False, rank_zero_only=True)
        for logger in trainer.loggers:
            if measured.scalars:
                logger.log_metrics(measured.scalars, step=measured.step)
        if self._watch.pictures:
            sinks = [
                each if hasattr(each, "log_image") else getattr(each, "experiment", None)
                for each in trainer.loggers
            ]
            show_heatmaps(sinks, measured.results, measured.step)


@contextmanager
def _converted_as_in_training(trainer: Trainer, module: LightningModule) -> Iterator[list[Note]]:
    """Convert what goes into the module as the Trainer's precision does with a training batch.

    Yields:
        What to say of it, filled by the first forward.
    """
    convert = trainer.precision_plugin.convert_input
    notes: list[Note] = []

    def given(_module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        converted = convert((inputs, named))
        before, after = _precisions((inputs, named)), _precisions(converted)
        if before != after and not notes:
            text = (
                f"the samples of the probe are converted from {before} to {after}, as "
                f"precision={trainer.precision!r} converts those of the training; references are "
                "as they were recorded."
            )
            notes.append(Note("converted_inputs", text))
        return converted

    handle = module.register_forward_pre_hook(given, with_kwargs=True)
    try:
        yield notes
    finally:
        handle.remove()


def _precisions(inputs: Any) -> str:
    found = {
        str(each.dtype).removeprefix("torch.")
        for each in tree_leaves(inputs)
        if isinstance(each, torch.Tensor) and each.is_floating_point()
    }
    return ", ".join(sorted(found))


def _validates_after(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation comes after this batch, as far as the Trainer's settings say."""
    epochs, batches = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if not trainer.enable_validation or (epochs and (trainer.current_epoch + 1) % epochs):
        return False
    if batches is None:
        return False
    if batches == float("inf"):  # how many there are is not known
        limit = trainer.limit_train_batches
        ends = isinstance(limit, int) and (batch_idx + 1) % limit == 0
        return ends or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
    done = batch_idx if epochs else trainer.fit_loop.total_batch_idx
    return (done + 1) % batches == 0
