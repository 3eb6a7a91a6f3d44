"""`compare_checkpoints()`: the front door for many checkpoints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from os import PathLike
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import nn

from hooksim.comparison import Compared, Options, compare_sides
from hooksim.errors import ConfigError, Note
from hooksim.recording import Recording
from hooksim.results import Comparison, Step, Trajectory
from hooksim.sides import Side
from hooksim.spelling import close_names, did_you_mean
from hooksim.trajectory.checkpoints import Checkpoint, Load, Loaded, load_checkpoints

__all__ = ["Reference", "compare_checkpoints"]

Reference: TypeAlias = Literal["first", "last", "all"] | Side
"""What checkpoints are compared with."""

_REFERENCES = ("first", "last", "all")
_ONE_INPUT = (
    "a checkpoint of the run is both. Give batches that suit all, or another model as reference."
)
_OPTIONS = tuple(field.name for field in fields(Options) if field.init)


class _Plan(NamedTuple):
    """What is compared with what.

    Attributes:
        sides: All that are read.
        pairs: Positions of A and B of each comparison.
        names: What A and B of each are called; empty where the class of the model says more.
        reference: What A is, in a word.
        one_input: Whether a checkpoint is both A and B, so that it cannot take another input as A.
    """

    sides: list[Compared]
    pairs: list[tuple[int, int]]
    names: list[tuple[str, str]]
    reference: str
    one_input: bool


def compare_checkpoints(
    load: Load,
    checkpoints: Iterable[Any],
    loader: Iterable[Any] | None = None,
    *,
    reference: Reference = "first",
    skip_failed: bool = False,
    **compare_options: Any,
) -> Trajectory:
    """Compare the checkpoints of a run with one of them, with another model, or with each other.

    All are alive together and read the loader in one pass, so that each runs once per sample,
    whatever it is compared with. Where they do not fit into memory, `load` may give a
    `hooksim.record(...)` of each, made on disk.

    Args:
        load: Called with each checkpoint; gives its model or a `Recording` of it.
        checkpoints: Numbers, paths, names: whatever `load` takes, in the order of the run. Their
            steps are read off them as by `hooksim.trajectory.steps_of`: a number stays,
            `checkpoint-300`, `step_300.pt` and `300/model.pt` are 300, and what has no number is
            its text.
        loader: Batches, as for `hooksim.compare`; None where all sides are recordings.
        reference: What A is: the `"first"` or `"last"` checkpoint that is loaded, a model or a
            `Recording` (whose layers may be others); or `"all"` to compare each with each.
        skip_failed: Leave checkpoints out for which `load` raises. Each is a warning.
        compare_options: The keyword arguments of `hooksim.compare`, such as `layers_a`,
            `measures`, `rows`; those for B are for the checkpoints. With `"all"` every checkpoint
            is both A and B and needs the same layers and rows for both.

    Returns:
        A `Trajectory`: for each measure a stack of matrices with the steps as its first axis, or
        its first two with `"all"`.

    Raises:
        ConfigError: An option, the reference or the checkpoints cannot be used.
        HooksimError: A checkpoint cannot be loaded, which the message names; or what `compare`
            raises.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> def load(step):
        ...     _ = torch.manual_seed(0)
        ...     model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        ...     model[2].weight.data *= step
        ...     return model
        >>> batches = [torch.randn(50, 4) for _ in range(4)]
        >>> trajectory = compare_checkpoints(load, [1, 10, 100], batches, progress=False)
        >>> trajectory["cka"].shape, trajectory.steps
        (torch.Size([3, 2, 2]), [1, 10, 100])
        >>> trajectory.drift("cka").values.round(decimals=4)[:, 0].tolist()
        [1.0, 1.0, 1.0]
    """
    _check_reference(reference)
    options = _options(compare_options, every_pair=reference == "all")
    run = load_checkpoints(load, checkpoints, skip_failed=skip_failed)
    loaded = run.checkpoints
    plan = (
        _plan_pairs(loaded) if reference == "all" else _plan_reference(loaded, reference, options)
    )
    found = [*(each.note for each in run.skipped), *_moved(reference, run)]
    one_input = _ONE_INPUT if plan.one_input else ""
    compared = compare_sides(plan.sides, plan.pairs, loader, options, found, one_input)
    named = [_named(result, *names) for result, names in zip(compared, plan.names, strict=True)]
    steps = [checkpoint.step for checkpoint in loaded]
    trajectory = Trajectory.from_comparisons(steps, named, plan.reference)
    if run.skipped:
        trajectory.metadata["skipped"] = [
            {"step": each.step, "reason": each.reason} for each in run.skipped
        ]
    return trajectory


def _check_reference(reference: Any) -> None:
    if isinstance(reference, nn.Module | Recording):
        return
    if isinstance(reference, str) and reference in _REFERENCES:
        return
    end = "."
    if isinstance(reference, str | int | PathLike):
        close = did_you_mean(reference, _REFERENCES) if isinstance(reference, str) else ""
        shown = repr(str(reference) if isinstance(reference, PathLike) else reference)
        end = close or f". For a checkpoint give its model: reference=load({shown})."
    raise ConfigError(
        "reference: expected 'first', 'last', 'all', a torch.nn.Module or a hooksim.Recording, got "
        f"{reference!r:.80}{end}"
    )


def _moved(reference: Any, run: Loaded) -> list[Note]:
    """A warning where the checkpoint that is the reference could not be loaded."""
    if not isinstance(reference, str) or reference == "all":
        return []
    place = 0 if reference == "first" else -1
    asked, got = run.steps[place], run.checkpoints[place].step
    if asked == got:
        return []
    text = (
        f"reference: the {reference} checkpoint, {_name(asked)}, is left out; it is {_name(got)}."
    )
    return [Note("moved_reference", text)]


def _options(given: Mapping[str, Any], *, every_pair: bool) -> Options:
    """Check the options, and that every checkpoint can be both A and B where it must."""
    for name in given:
        if name not in _OPTIONS:
            raise ConfigError(
                f"compare_checkpoints: no option {name!r}. {close_names(name, _OPTIONS)}"
                "hooksim.compare has them all."
            )
    options = Options(**given)
    if every_pair and options.layers_b not in (None, options.layers_a):
        raise ConfigError(
            "layers_b: with reference='all' every checkpoint is both A and B: choose the layers of "
            "both by layers_a."
        )
    if every_pair and options.rows_of[0] != options.rows_of[1]:
        raise ConfigError(
            "rows: with reference='all' every checkpoint is both A and B: expected one policy, got "
            "two."
        )
    return options


def _plan_reference(loaded: Sequence[Checkpoint], reference: Reference, options: Options) -> _Plan:
    """Compare one reference with each checkpoint, itself included where it is one of them."""
    steps = [_name(step) for step, _ in loaded]
    if isinstance(reference, str):
        own, word = {"first": 0, "last": len(loaded) - 1}[reference], str(reference)
        source, name = loaded[own].side, steps[own]
    else:
        sources = [side for _, side in loaded]
        own = next((place for place, side in enumerate(sources) if side is reference), -1)
        word = "recording" if isinstance(reference, Recording) else "model"
        source, name = reference, steps[own] if own >= 0 else ""
    sides, places = [Compared(source, "A", "a")], []
    for place, (_, side) in enumerate(loaded):
        if place == own and _same_views(options):  # one view of it does for both
            places.append(0)
        else:
            places.append(len(sides))
            sides.append(Compared(side, f"B at {steps[place]}", "b"))
    names = [(name, step) for step in steps]
    return _Plan(sides, [(0, place) for place in places], names, word, own >= 0)


def _same_views(options: Options) -> bool:
    """Whether the same rows of the same layers are wanted of A and of B."""
    return options.layers_b in (None, options.layers_a) and (
        options.rows_of[0] == options.rows_of[1]
    )


def _plan_pairs(loaded: Sequence[Checkpoint]) -> _Plan:
    """Compare each checkpoint with itself and with all that come after it."""
    sides = [Compared(side, f"at {_name(step)}", "a") for step, side in loaded]
    places = range(len(loaded))
    pairs = [(i, j) for i in places for j in places[i:]]
    names = [(_name(loaded[i].step), _name(loaded[j].step)) for i, j in pairs]
    return _Plan(sides, pairs, names, "all", True)


def _name(step: Step) -> str:
    """What a checkpoint is called in messages and pictures."""
    return f"step {step}" if isinstance(step, int) else step


def _named(result: Comparison, name_a: str, name_b: str) -> Comparison:
    """Give both sides the names that pictures call them by."""
    names = {"name_a": name_a, "name_b": name_b} if name_a else {"name_b": name_b}
    matrices = {key: result[key] for key in result}
    return Comparison(matrices, result.n_samples, {**result.metadata, **names})
