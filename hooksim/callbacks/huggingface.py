"""A callback for transformers' Trainer: measures a model while it is trained."""

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
from hooksim.callbacks.watch import Every, Measured, Watch
from hooksim.errors import ConfigError
from hooksim.probe import Probe

__all__ = ["SimilarityCallback"]

_log = logging.get_logger(__name__)
_begun: "WeakSet[SimilarityCallback]" = WeakSet()


class SimilarityCallback(TrainerCallback):
    """Compares the model with a probe's references at each evaluation, checkpoint, or N steps.

    It changes nothing of the training. Everything goes into `<output_dir>/hooksim/`: a result for
    each step in `step-N/` (with several references `step-N/NAME/`), a line for each in
    `history.jsonl` (`step`, `epoch`, `scalars`, `seconds`), and the references, so that a run that
    goes on from a checkpoint compares with what it began with; what an earlier run left there goes.
    One process writes.

    With `attach`, the scalars go to the Trainer's log too, as `hooksim_NAME_cka_diagonal_mean` and
    so on, and from there to whatever `report_to` names; and at the end the seconds that measuring
    took, and their share of the run's time. So at the end of training the last entry of
    `trainer.state.log_history` is ours, and the Trainer's own summary is the one before it.

    A step whose activations are not finite has an `error` in the history instead of scalars, and
    leaves `"previous"` as it was: the next one is compared with the last that could be measured.

    One Trainer has one callback; a probe may have several references.

    Args:
        probe: What measures.
        every: `"eval"`, `"save"`, or a number of steps.
        pictures: Draw heatmaps: into `step-N/`, and with `attach` for TensorBoard and Weights &
            Biases. Takes several seconds each time, where a measurement may take a fraction of one.

    Raises:
        ConfigError: `every` is something else; or, as the training begins, the Trainer is never
            going to evaluate or save, or has another such callback.

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

    def attach(self, trainer: Trainer) -> Self:
        """Join a Trainer, and write to its log.

        Args:
            trainer: The Trainer, which may have this callback already.

        Returns:
            The callback.
        """
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
        """Begin a run or go on with one."""
        folder, writes = args.output_dir or ".", state.is_world_process_zero
        # The callbacks of one Trainer are given the same state, and another one in each training.
        if any(each._state is state for each in _begun if each is not self):
            raise ConfigError(
                f"SimilarityCallback: another one of this Trainer writes to '{folder}/hooksim', "
                "and each would remove the results of the other. Give one probe several "
                "references: Probe(loader, reference={'initial': model, 'last': 'previous'})."
            )
        self._check_events(args)
        self._state = state
        _begun.add(self)
        for told in self._watch.begin(folder, state.global_step, writes=writes):
            _log.warning(told)
        if self._watch.overdue:
            self._measure(state, kwargs["model"])

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Measure where it is time."""
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
        if self._watch.due("step", state.global_step):
            self._measure(state, kwargs["model"])

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
            self._watch.saved(state.global_step)

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
        summary = state.is_world_process_zero and "train_runtime" in (logs or {})
        if summary and self._trainer is not None:
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
        """Refuse to wait for what never comes, where nobody but the arguments has a say in it."""
        trainer, every = self._trainer, self._watch.every
        if trainer is None:
            return
        # A subclass may evaluate by itself, and a callback may ask for it.
        homes = {type(each).__module__ for each in (trainer, *trainer.callback_handler.callbacks)}
        if any(home.partition(".")[0] != "transformers" for home in homes - {__name__}):
            return
        names = {"eval": "eval_strategy", "save": "save_strategy"}
        name = names.get(str(every), "")
        never = name and getattr(args, name) == "no"
        if never and not (every == "eval" and args.eval_on_start):
            raise ConfigError(
                f"SimilarityCallback: every={every!r} measures nothing where {name}='no' in the "
                f"TrainingArguments. Set {name}, or give `every` a number of steps."
            )

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
