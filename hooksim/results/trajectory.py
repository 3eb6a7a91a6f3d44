"""The checkpoints of a run against a reference, or against each other: matrices over the steps."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooksim.errors import ConfigError, ShapeError
from hooksim.results.caption import caption_text, size_text, warning_lines, warning_text
from hooksim.results.comparison import Comparison
from hooksim.results.drift import Drift, drift_of, in_short
from hooksim.results.frames import long_table
from hooksim.results.keyed import Keyed
from hooksim.results.labels import moving_reference
from hooksim.results.matrix import span_text
from hooksim.results.stack import MatrixStack
from hooksim.results.stacking import Step, stack_comparisons
from hooksim.results.unstacking import cells_of, checkpoint_at, comparison_at, place_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Trajectory"]


class Trajectory(Keyed[MatrixStack]):
    """The result of comparing the checkpoints of a run.

    Axis A is the reference, axis B the checkpoint. Where all checkpoints are compared with each
    other, the first of two steps is A.

    Args:
        steps: Where in the run each checkpoint is.
        stacks: For each key the matrices over the steps, or over all pairs of them.
        n_samples: Number of samples that every model saw.
        metadata: As of a comparison; `reference` says what A is, `reference_step` which step that
            is, if any, `checkpoints` holds what each step has of its own, and `skipped` the steps
            that were left out, with the reasons.

    State:
        steps: list of int or str.
        n_samples: int.
        metadata: dict.

    Raises:
        ShapeError: A stack has another number of steps.

    Example:
        >>> import torch
        >>> from hooksim.results.matrix import Meaning
        >>> values = torch.tensor([[[1.0]], [[0.8]], [[0.5]]])
        >>> stack = MatrixStack("cka", values, 0 * values, ["0"], ["0"], Meaning("CKA", "max"))
        >>> trajectory = Trajectory([10, 20, 30], {"cka": stack}, n_samples=100, metadata={})
        >>> print(trajectory)
        3 steps: 10, 20, 30
        cka: 3 x 1 x 1 (steps x A x B), n = 100, 0.500 to 1.000, CKA
        >>> trajectory.drift("cka").values.T
        tensor([[1.0000, 0.8000, 0.5000]], dtype=torch.float64)
        >>> trajectory.at(20)["cka"].values
        tensor([[0.8000]], dtype=torch.float64)
    """

    def __init__(
        self,
        steps: Sequence[Step],
        stacks: Mapping[str, MatrixStack],
        n_samples: int,
        metadata: dict[str, Any],
    ) -> None:
        super().__init__(stacks, "trajectory")
        self.steps = list(steps)
        self.n_samples = n_samples
        self.metadata = metadata
        for key, stack in stacks.items():
            if any(size != len(self.steps) for size in stack.shape[:-2]):
                raise ShapeError(
                    f"trajectory: stack {key!r} of shape {tuple(stack.shape)} for "
                    f"{len(self.steps)} steps."
                )

    @classmethod
    def from_comparisons(
        cls, steps: Sequence[Step], comparisons: Sequence[Comparison], reference: str
    ) -> "Trajectory":
        """Put comparisons together that were made one by one, as a callback makes them.

        Args:
            steps: Where in the run each was made: numbers or words, each once.
            comparisons: One a step, the reference being A. With `reference="all"` one for each
                pair of steps `i <= j`, in the order (0, 0), (0, 1), ..., (1, 1), ...: the others
                are their transposes.
            reference: What A is: `"first"`, `"last"`, `"all"`, or any other word.

        Returns:
            The trajectory. Where a step lacks a layer that others have, its cells are NaN.

        Raises:
            ConfigError: They differ in their measures or the settings of these, in the number of
                samples, or, where ranks are compared, in their blocks; or there are too few or
                too many.
        """
        return cls(*stack_comparisons(steps, comparisons, reference))

    @property
    def all_pairs(self) -> bool:
        """Whether all checkpoints are compared with each other."""
        return any(stack.values.ndim == 4 for stack in self._matrices.values())

    def __repr__(self) -> str:
        steps = f"{len(self.steps)} step{'' if len(self.steps) == 1 else 's'}"
        title = f"{steps}: {', '.join(in_short(list(map(str, self.steps))))}"
        size = size_text(self.n_samples, self.metadata)
        lines = [
            f"{key}: {stack.size_text}, {size}, {span_text(stack.values)}, {stack.meaning.title}"
            for key, stack in self._matrices.items()
        ]
        against = _against_text(self.metadata, all_pairs=self.all_pairs)
        return "\n".join(
            [f"{title}; {against}" if against else title, *lines, *warning_lines(self.metadata)]
        )

    def drift(self, key: str, against: Step | None = None) -> Drift:
        """Follow each layer of the reference through the run.

        Args:
            key: Name of a matrix.
            against: Where all checkpoints are compared with each other, the step that is the
                reference; None for the first.

        Returns:
            The value of each layer with the equally named layer of each step, and its standard
            error: `(steps, layers)`, NaN where there is no layer of that name.

        Raises:
            UnknownKeyError: There is no such matrix.
            ConfigError: There is no such step, or a step is named where the reference is fixed.
        """
        stack, fixed = self[key], self.metadata.get("reference_step")
        if not self.all_pairs:
            if against not in (None, fixed):
                raise ConfigError(
                    f"drift: against={against!r}: the checkpoints were compared with one reference "
                    "only. Compare them with reference='all' to choose a step."
                )
            return drift_of(stack, self.steps, fixed, stack.layers_a)
        place = 0 if against is None else place_of(against, self.steps, self.metadata, "drift")
        layers = checkpoint_at(self.metadata, place).get("layers", stack.layers_a)
        return drift_of(stack, self.steps, self.steps[place], layers)

    def at(self, step: Step, step_b: Step | None = None) -> Comparison:
        """Take one step out.

        Args:
            step: A step; where all checkpoints are compared with each other, that of A.
            step_b: That of B, where all are.

        Returns:
            What `hooksim.compare` gives for the two.

        Raises:
            ConfigError: There is no such step, it was skipped, one is missing, or one too many.
        """
        if self.all_pairs and step_b is None:
            raise ConfigError(
                "at: expected two steps, at(step_a, step_b): all checkpoints are compared with "
                "each other."
            )
        if not self.all_pairs and step_b is not None:
            raise ConfigError(
                "at: expected one step, got two: the checkpoints were compared with one reference "
                "only. Compare them with reference='all' for pairs of steps."
            )
        asked = [step] if step_b is None else [step, step_b]
        places = [place_of(each, self.steps, self.metadata, "at") for each in asked]
        return comparison_at(self._matrices, self.n_samples, self.metadata, places)

    def to_pandas(self) -> "pd.DataFrame":
        """Make a long table, one line for each step, measure and pair of layers.

        Returns:
            Columns `step` (or `step_a`, `step_b`), `measure`, `layer_a`, `layer_b`, `value`,
            `stderr`; NaN where undefined.

        Raises:
            HooksimError: pandas is not installed.
        """
        steps = ["step_a", "step_b"] if self.all_pairs else ["step"]
        rows = [
            (*(self.steps[i] for i in place), key, layer_a, layer_b, value, error)
            for key, stack in self._matrices.items()
            for place, layer_a, layer_b, value, error in cells_of(stack)
        ]
        return long_table(rows, [*steps, "measure", "layer_a", "layer_b", "value", "stderr"])

    def plot(self, key: str | None = None, against: Step | None = None) -> "tuple[Figure, Axes]":
        """Draw the drift of every layer over the steps, with bands of one standard error.

        Args:
            key: Name of a matrix; None for the first.
            against: As for `drift`.

        Returns:
            The figure and its axes.

        Raises:
            UnknownKeyError: There is no such matrix.
        """
        from hooksim.plotting import Curves, Scale, draw_curves

        if not self._matrices:
            raise ConfigError("plot: the trajectory holds no matrix, so there is nothing to draw.")
        drift = self.drift(next(iter(self)) if key is None else key, against)
        meaning = self[drift.key].meaning
        scale = Scale(meaning.best, *meaning.range, meaning.title)
        words = caption_text(self.n_samples, self.metadata, [meaning.label])
        caption = f"{_curve_text(drift, self.metadata)} {words}"
        return draw_curves(
            Curves(drift.steps, drift.layers, drift.values, drift.stderr, scale, drift.against),
            caption=caption, warning=warning_text(self.metadata),
        )  # fmt: skip

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a page that shows everything: one file, to be opened in any browser, offline.

        Args:
            path: The file; in a folder that is there, its `report.html`. A page that hooksim wrote
                is replaced, any other file never.

        Returns:
            The page's path.

        Raises:
            ConfigError: Something else stands there.
        """
        from hooksim.results.page import write_page
        from hooksim.results.trajectory_payload import trajectory_payload

        return write_page(path, trajectory_payload(self))

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write values, metadata, tables, pictures and the page, a folder whole or not at all.

        Args:
            path: The folder.
            overwrite: Replace a result that stands there. Anything else is never replaced.

        Returns:
            The folder.

        Raises:
            ConfigError: A result stands there, or something that is no result.
        """
        from hooksim.results.trajectory_files import save_trajectory

        return save_trajectory(self, path, overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Trajectory":
        """Read what `save` wrote.

        Args:
            path: The folder.

        Returns:
            The trajectory, values bit for bit; metadata as plain data.

        Raises:
            HooksimError: There is nothing, no trajectory, a damaged one, or one of a newer version.
        """
        from hooksim.results.trajectory_files import load_trajectory

        return cls(*load_trajectory(path))


def _against_text(metadata: Mapping[str, Any], *, all_pairs: bool) -> str:
    """Say what the steps are compared with; empty where that is not known."""
    reference, step = metadata.get("reference"), metadata.get("reference_step")
    if reference is None:
        return ""
    if all_pairs:
        return "each with each"
    side = metadata.get("reference_side") or {}
    other = side.get("name") or side.get("model") or reference
    other = moving_reference(metadata, str(other)) or other
    return f"against {other if step is None else f'the {reference}, step {step}'}"


def _curve_text(drift: Drift, metadata: Mapping[str, Any]) -> str:
    """Say what a curve is."""
    fixed = "the reference" if drift.against is None else f"step {drift.against}"
    other = moving_reference(metadata, "reference") or fixed
    return f"Each layer of {other} with the layer of the same name at every step."
