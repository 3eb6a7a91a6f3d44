"""A callback for transformers' Trainer: measures a model while it is trained."""

import re
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import logging

from hooksim.callbacks.figures import show_heatmaps
from hooksim.callbacks.watch import Every, Measured, Watch, logged, only_one
from hooksim.errors import ConfigError
from hooksim.probe import Probe

__all__ = ["SimilarityCallback"]

_log = logging.get_logger(__name__)
_about_to_begin: "WeakSet[SimilarityCallback]" = WeakSet()


class SimilarityCallback(TrainerCallback):
    """Compares the model with a probe's references at each evaluation, checkpoint, or N steps.

    It changes nothing of the training. Everything goes into `<output_dir>/hooksim/`: a result for
    each step in `step-N/` (with several references `step-N/NAME/`), a line for each in
    `history.jsonl` (`step`, `epoch`, `scalars`, `seconds`), and the references, so that a run that
    goes on from a checkpoint compares with what it began with (`run.json` says what that was); what
    an earlier run left there goes. One process writes.

    With `attach`, the scalars go to the Trainer's log too, as `hooksim_NAME_cka_diagonal_mean` and
    so on, and from there to whatever `report_to` names. At the end of training there are two more:
    `hooksim_seconds`, how long measuring and writing took since the training began or went on, and
    `hooksim_share_of_time`, their share of the time since then, from 0 to 1. So the last entry of
    `trainer.state.log_history` is ours then, and the Trainer's own summary the one before it.

    `hooksim.callbacks.load_run("<output_dir>/hooksim")` gives the run as a `Trajectory`, as
    `probe.trajectory()` does while it lasts; `hooksim report <output_dir>/hooksim` makes its page.

    A step whose activations are not finite has an `error` in the history instead of scalars, and
    leaves `"previous"` as it was: the next one is compared with the last that could be measured.

    One Trainer has one callback; a probe may have several references.

    Args:
        probe: What measures.
        every: `"eval"`, `"save"`, or a number of steps; then also after the last step.
        pictures: Draw heatmaps: into `step-N/`, and with `attach` for TensorBoard and Weights &
            Biases. Takes several seconds each time, where a measurement may take a fraction of one.

    Raises:
        ConfigError: `every` is something else; or, as the training begins and before anything is
            written, the Trainer is never going to evaluate or save, it has another such callback,
            or a run that goes on was begun with other references, measures, rows, layers or blocks.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> callback = SimilarityCallback(Probe([torch.randn(50, 4)], reference=model), every=100)
        >>> # callback.attach(trainer); trainer.train()
    """

    def __init__(self, probe: Probe, every: Every = "eval", *, pictures: bool = False) -> None:
        self._watch = Watch(probe, every, pictures=pictures)
        self._trainer: Trainer | None = None
        self._state: TrainerState | None = None
        self._waiting = False

    def attach(self, trainer: Trainer) -> Self:
        """Join a Trainer, and write to its log.

        Args:
            trainer: The Trainer, which may have this callback already.

        Returns:
            The callback.

        Raises:
            ConfigError: The Trainer has another such callback.
        """
        if any(_is_another(each, self) for each in trainer.callback_handler.callbacks):
            raise ConfigError(only_one(_folder(trainer.args)))
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        self._trainer = trainer
        return self

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Refuse what cannot work, before anything is written."""
        # The callbacks of one Trainer are given the same state, and another one in each training.
        if any(each._state is state for each in _about_to_begin if each is not self):
            raise ConfigError(only_one(_folder(args)))
        self._check_events(args)
        self._state, self._waiting = state, True
        _about_to_begin.add(self)
        if self._trainer is None and state.is_world_process_zero:
            _log.warning(
                f"SimilarityCallback: it is not attached, so results go to '{_folder(args)}' only, "
                "and no curves to the Trainer's log, TensorBoard or Weights & Biases. Call "
                "callback.attach(trainer) before trainer.train() for these."
            )

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Begin a run or go on with one."""
        self._begin(args, state, kwargs["model"])

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Measure where it is time."""
        self._begin(args, state, kwargs["model"])  # it may be before the first step
        if self._watch.due("eval", state.global_step):
            self._measure(state, kwargs["model"])

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Measure where it is time."""
        if self._watch.due("step", state.global_step, last=control.should_training_stop):
            self._measure(state, kwargs["model"])

    on_epoch_end = on_step_end  # the training may be stopped after its step

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Measure where it is time."""
        if self._watch.due("save", state.global_step):
            self._measure(state, kwargs["model"])
        with self._watch.timed():
            self._watch.saved(state.global_step, _checkpoints(args))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Log, as the Trainer sums its run up, how long measuring took."""
        # Later, in on_train_end, TensorBoard's file may have been closed already.
        if "train_runtime" not in (logs or {}):
            return
        self._begin(args, state, kwargs["model"])  # where there was no step left
        if state.is_world_process_zero and self._trainer is not None:
            self._log(self._trainer, self._watch.shares())

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """End the run."""
        _log.info(self._watch.end())
        if self._watch.idle:
            _log.warning(self._watch.idle)

    def _check_events(self, args: TrainingArguments) -> None:
        """Refuse to wait for what never comes, or warn where others may make it come."""
        every = self._watch.every
        name = {"eval": "eval_strategy", "save": "save_strategy"}.get(str(every))
        if name is None or getattr(args, name) != "no" or (every == "eval" and args.eval_on_start):
            return
        said = (
            f"SimilarityCallback: every={every!r} measures nothing where {name}='no' in the "
            f"TrainingArguments. Set {name}, or give `every` a number of steps."
        )
        trainer = self._trainer
        if trainer is None:
            _log.warning(said)
            return
        # A subclass may evaluate by itself, and a callback may ask for it.
        homes = {type(each).__module__ for each in (trainer, *trainer.callback_handler.callbacks)}
        if all(home.partition(".")[0] == "transformers" for home in homes - {__name__}):
            raise ConfigError(said)

    def _begin(self, args: TrainingArguments, state: TrainerState, model: Any) -> None:
        """Begin a run or go on with one, once all callbacks have had their chance to refuse."""
        if not self._waiting:
            return
        self._waiting = False
        writes = state.is_world_process_zero
        for told in self._watch.begin(_folder(args).parent, state.global_step, writes=writes):
            _log.warning(told)
        if writes and self._trainer is not None:
            _complete(state.log_history, self._watch.lines)
        if self._watch.overdue:
            self._measure(state, model)

    def _measure(self, state: TrainerState, model: Any) -> None:
        with self._watch.timed():
            measured = self._watch.measure(model, state.global_step, state.epoch)
            if measured is not None:
                self._tell(measured)

    def _log(self, trainer: Trainer, scalars: dict[str, float]) -> None:
        # Whatever is logged takes the place of the Trainer's own line, the loss, if that is due.
        due = trainer.control.should_log
        trainer.log(dict(scalars))
        trainer.control.should_log = due

    def _tell(self, measured: Measured) -> None:
        if measured.error:
            _log.warning("step %d could not be measured: %s", measured.step, measured.error)
        if self._trainer is None:
            return
        if measured.scalars:
            self._log(self._trainer, measured.scalars)
        if self._watch.pictures:
            reporters = self._trainer.callback_handler.callbacks
            sinks = [
                getattr(each, "tb_writer", None) or getattr(each, "_wandb", None)
                for each in reporters
            ]
            show_heatmaps(sinks, measured.results, measured.step)


def _is_another(callback: Any, this: SimilarityCallback) -> bool:
    return isinstance(callback, SimilarityCallback) and callback is not this


def _complete(log: list[dict[str, Any]], lines: list[dict[str, Any]]) -> None:
    """Put into the log of a checkpoint what was measured after that was written.

    Args:
        log: Of the Trainer, in the order of its steps; changed.
        lines: Of the history.
    """
    for line in lines:
        step, scalars = line["step"], logged(line["scalars"])
        if not scalars or any(
            each["step"] == step and scalars.keys() <= each.keys() for each in log
        ):
            continue
        place = next((at for at, each in enumerate(log) if each["step"] > step), len(log))
        log.insert(place, {**scalars, "epoch": line["epoch"], "step": step})


def _folder(args: TrainingArguments) -> Path:
    """Where everything goes."""
    return Path(args.output_dir or ".").expanduser() / "hooksim"


def _checkpoints(args: TrainingArguments) -> list[int]:
    """Steps of the checkpoints that the Trainer has not removed yet."""
    names = (each.name for each in Path(args.output_dir or ".").glob("checkpoint-*/"))
    found = (re.fullmatch(r"checkpoint-([0-9]+)", name) for name in names)
    return [int(match[1]) for match in found if match]
