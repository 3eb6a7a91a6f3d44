"""`Probe`: measure a model on a fixed set of samples, as often as its training asks for it."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from torch import nn

from hooksim.capture.layers import layers_for_other, unwrap
from hooksim.capture.placement import can_stop_early
from hooksim.capture.selectors import as_list
from hooksim.comparison import Options
from hooksim.errors import ConfigError, Note
from hooksim.probe.comparing import compare_with_references
from hooksim.probe.course import Course, Measurement
from hooksim.probe.references import Reference, name_references, record_reference
from hooksim.probe.samples import check_loader, saying_what_differs
from hooksim.probe.scalars import check_names, summary_scalars
from hooksim.probe.undisturbed import in_full_precision, keeping_buffers, undisturbed
from hooksim.recording import Recording, record
from hooksim.results import Comparison, Trajectory
from hooksim.spelling import close_names

__all__ = ["Probe"]

_OPTIONS = [field.name for field in fields(Options) if field.init]


class Probe:
    """A fixed set of samples on which a model is compared with references while it is trained.

    Every reference is kept as a recording of these samples, never as a second model. A measure
    runs the model over the samples once and compares what its layers gave with all references. It
    leaves the training as it was: the train and eval flags of every module, gradients, buffers,
    hooks, the random state of every device, of numpy and of Python; and it takes no notice of an
    autocast or inference mode that it is called in.

    The rows of the probe's samples are held in memory, for each reference and for the model that
    is measured, and compared on the CPU: some hundred to some thousand samples are meant, and
    `rows="mean"` for layers of pictures.

    State: the loader, the options, a recording for each reference, and `course`, what was measured:
    it grows by a comparison for each measure and reference, as many numbers as there are pairs of
    layers.

    Args:
        loader: Batches, as for `hooksim.compare`. Read at each measure, so not a generator; always
            the same samples in the same order, so not shuffling.
        reference: What to compare with, axis A of the results: a model, recorded at once, so that
            the model that is about to be trained stands for its initial weights; a `Recording`; the
            folder of a recording, or of a checkpoint in the Hugging Face format, which is loaded,
            recorded and let go; `"previous"` for the measurement before, of which the first has
            none; or a mapping of names to these. A measure that fails, as where activations are
            not finite, leaves the measurement before as it was.
        compare_options: As for `hooksim.compare`; `layers_a` and the first of two `rows` are those
            of the references, `layers_b` and the second those of the model; `on_nonfinite` is
            `"error"`. A model whose training is in another precision than the loader's needs a
            `forward` that casts the batch to the model's. `progress` and
            `stop_early` are False unless they are asked for: a forward that does not come to its
            end may leave the model that is trained in another state.

    Attributes:
        history: For each measure the step, and `NAME_KEY_diagonal_mean` for each reference and
            matrix: the mean over the layers of equal names. Where a callback goes on with a run,
            the measurements from before are among them.
        seconds: How long each measure took.

    Raises:
        HooksimError: Or one of its children, in one line: what is wrong, where, what to do.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> probe = Probe([torch.randn(50, 4) for _ in range(4)], reference=model)
        >>> with torch.no_grad():
        ...     _ = model[0].weight.normal_()
        >>> result = probe.measure(model, step=1)
        >>> result["cka"].layers_a, result.metadata["name_b"]
        (['0', '2'], 'step 1')
        >>> probe.history[0][0], sorted(probe.history[0][1])[0]
        (1, 'reference_cka_diagonal_mean')
        >>> print(probe)
        Probe: CKA (linear, debiased), Information Imbalance (k = 1); 1 measured, the last of
        step 1; compares with
          reference: Recording of Sequential: 2 layers, 200 samples, 8.8 kB, in memory
        >>> probe.trajectory().drift("cka").values.shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        loader: Iterable[Any],
        *,
        reference: Reference | Mapping[str, Reference],
        **compare_options: Any,
    ) -> None:
        check_loader(loader)
        self._loader = loader
        self._options = _options(compare_options)
        self._named = isinstance(reference, Mapping)
        self.course = Course()
        given = name_references(reference)
        check_names(given, [key for measure in self._options.chosen for key in measure.keys])
        with undisturbed(loader, self._options.device):
            self._references = {
                name: record_reference(name, each, partial(self._record, half="a"))
                for name, each in given.items()
            }
        self._rewound: int | None = None  # to a step whose recording is gone
        self._previous = [name for name, each in self._references.items() if each is None]

    def __repr__(self) -> str:
        count, last = len(self.course.measurements), self.course.last_step
        measures = ", ".join(measure.title for measure in self._options.chosen)
        lines = [
            f"  {name}: {'the measurement before' if name in self._previous else held}"
            for name, held in self._references.items()
        ]
        end = "" if last is None else f", the last of step {last}"
        return "\n".join([f"Probe: {measures}; {count:,} measured{end}; compares with", *lines])

    @property
    def history(self) -> list[tuple[int, dict[str, float]]]:
        """For each measure the step and its scalars."""
        return [(each.step, each.scalars) for each in self.course.measurements]

    @property
    def seconds(self) -> list[float]:
        """How long each measure took."""
        return [each.seconds for each in self.course.measurements]

    @property
    def previous(self) -> list[str]:
        """Names of the references that are the measurement before."""
        return list(self._previous)

    @property
    def references(self) -> dict[str, Recording]:
        """The recordings that are compared with, by name; the previous one once there is one."""
        return {name: each for name, each in self._references.items() if each is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """What decides whether results of two probes go together, as plain data.

        References by name (a fixed one, or `"previous"`), measures, rows, layers, blocks, pairs and
        `max_samples`.
        """
        options = self._options
        kinds = {
            name: "previous" if name in self._previous else "fixed" for name in self._references
        }
        same = options.layers_a is not None and options.layers_b is not None
        same = same and as_list(options.layers_a) == as_list(options.layers_b)
        layers = {"layers_a": options.layers_a, "layers_b": None if same else options.layers_b}
        return {
            "references": kinds,
            "measures": [measure.options() for measure in options.chosen],
            "rows": [asdict(rows) for rows in options.rows_of],
            **{key: None if each is None else as_list(each) for key, each in layers.items()},
            **{key: getattr(options, key) for key in ("block_size", "pairs", "max_samples")},
        }

    def restore(self, name: str, recording: Recording | str | os.PathLike[str]) -> None:
        """Put a recording in the place of a reference, where a run goes on that was interrupted.

        Args:
            name: The reference's.
            recording: Of the same samples, or its folder.

        Raises:
            ConfigError: There is no such reference, or no recording.
        """
        if name not in self._references:
            close = close_names(name, self._references)
            raise ConfigError(
                f"the probe has no reference {name!r}. {close}It has: "
                f"{', '.join(self._references)}."
            )
        held = recording if isinstance(recording, Recording) else Recording.load(recording)
        self._references[name] = held

    def rewind(self, step: int) -> None:
        """Forget what was measured after a step, where a run goes on from there.

        The recording of the measurement before goes with it, since those of earlier steps are not
        kept: the next measure is compared with no `"previous"`, and its results say so.

        Args:
            step: The last that counts; -1 for none.
        """
        if self.course.rewind(step) or self.course.last_step is None:
            self._rewound = self.course.last_step
            for name in self._previous:
                self._references[name] = None

    def trajectory(self, reference: str | None = None) -> Trajectory:
        """Put what was measured so far together.

        Args:
            reference: Name of the reference that is axis A; None where there is only one.

        Returns:
            The comparisons with it over the steps, in their order: curves for each layer, a page,
            something to save. Of a step that was measured twice, the last.

        Raises:
            ConfigError: There is no such reference, several and none named, or no comparison yet.
        """
        return self.course.trajectory(reference, list(self._references))

    def measure(self, model: nn.Module, step: int) -> Comparison | dict[str, Comparison] | None:
        """Compare a model, as it is now, with every reference.

        Args:
            model: The model in training, wrapped or compiled as it may be; axis B of the results.
            step: Of the training, for the history and the names in pictures. A step that does not
                come after the one before is measured, and the result warns of it.

        Returns:
            A `Comparison`; where the references were named, one for each name. At the first measure
            there is none for `"previous"`: None, or a mapping without it.

        Raises:
            AlignmentError: The loader gave other samples than those of a reference.
            HooksimError: Whatever else `hooksim.compare` refuses.
        """
        if not isinstance(model, nn.Module):
            raise ConfigError(f"model: expected a torch.nn.Module, got {type(model).__name__}.")
        _check_step(step)
        started = time.perf_counter()
        with undisturbed(self._loader, self._options.device):
            measured = self._record(model, half="b")
            results = compare_with_references(
                self.references, self._previous, measured, step, self._options
            )
        last = self.course.last_step
        scalars: dict[str, float] = {}
        for name, result in results.items():
            scalars |= summary_scalars(name, result)
            if last is not None and step <= last:
                note = _out_of_order(step, last)._asdict()
                result.metadata["warnings"] = [*result.metadata["warnings"], note]
            if self._rewound is not None and self._previous:
                note = _without_previous(self._previous, self._rewound)._asdict()
                result.metadata["warnings"] = [*result.metadata["warnings"], note]
        for name in self._previous:
            self._references[name] = measured
        self._rewound = None
        seconds = time.perf_counter() - started
        self.course.measurements.append(Measurement(step, scalars, seconds, results))
        return results if self._named else next(iter(results.values()), None)

    def follow(self, model: nn.Module) -> None:
        """Take part in a measure on the processes that keep no results.

        Where parameters are sharded, every process must run the forward; elsewhere this does
        nothing.

        Args:
            model: This process's part of the model.
        """
        if not can_stop_early(unwrap(model)):
            with undisturbed(self._loader, self._options.device):
                self._record(model, half="b")

    def _record(self, model: nn.Module, half: str) -> Recording:
        """Run a model over the samples, as a reference (half a) or to be measured (half b)."""
        options = self._options
        layers = options.layers_a if half == "a" else options.layers_b
        if layers is None and options.layers_a is not None:
            layers = layers_for_other(options.layers_a, model)
        with (
            in_full_precision(model),
            keeping_buffers(model),
            saying_what_differs(model, self._loader, own_call=options.forward is not None),
        ):
            return record(
                model,
                self._loader,
                layers,
                options.rows_of["ab".index(half)],
                forward=options.forward,
                max_samples=options.max_samples,
                device=options.device,
                stop_early=options.stop_early,
                progress=options.progress,
            )


def _check_step(step: Any) -> None:
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise ConfigError(f"step: expected a whole number from 0, got {step!r}.")


def _options(given: dict[str, Any]) -> Options:
    """The options of a comparison, with no bar in the midst of the training's own.

    Forwards run to their end: what one puts back there of the model would else stay changed.
    """
    for name in given:
        if name not in _OPTIONS:
            close = close_names(name, _OPTIONS)
            raise ConfigError(
                f"Probe: no option {name!r}. {close}The options are those of hooksim.compare."
            )
    options = Options(**{"progress": False, "stop_early": False, **given})
    if options.on_nonfinite != "error":
        raise ConfigError(
            f"Probe: on_nonfinite={options.on_nonfinite!r} is for hooksim.compare. A probe has "
            "the same samples at every step: use 'error', which the callbacks write into the "
            "history and go on."
        )
    return options


def _out_of_order(step: int, last: int) -> Note:
    """What to say of a step that does not come after the one before it."""
    when = "twice" if step == last else f"after step {last}"
    return Note(
        "steps",
        f"step {step} was measured {when}. A trajectory is in the order of its steps "
        "and keeps the last measurement of each; where a run goes on from an earlier step, "
        "probe.rewind forgets the later ones first.",
    )


def _without_previous(names: list[str], step: int) -> Note:
    """What to say of the first measure after the probe was rewound."""
    return Note(
        "rewound",
        f"the probe was rewound to step {step}, of which no recording is kept: this measure was "
        f"not compared with {', '.join(map(repr, names))}, the next one is.",
    )
