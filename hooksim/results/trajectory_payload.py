"""From a trajectory to what its page shows: plain data."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hooksim.results.caption import caption_text, size_text
from hooksim.results.directions import BACK, FORTH
from hooksim.results.labels import moving_reference
from hooksim.results.payload import (
    axis,
    colour_tables,
    layer_tables,
    plane,
    sizes_text,
    warning_pairs,
)
from hooksim.results.provenance import provenance
from hooksim.results.tables import file_stems

if TYPE_CHECKING:
    from hooksim.report import Curves, Matrix, Model, Payload, Table
    from hooksim.results.trajectory import Trajectory

__all__ = ["trajectory_payload"]

# Long lists of what each layer is; the page has them in tables of their own.
_LONG = ("layers", "diagnostics")
# What heads the page where the reference has no name, by the word that says what it is.
_UNNAMED = {"previous": "the step before"}


def trajectory_payload(trajectory: "Trajectory") -> "Payload":
    """Gather what the page of a trajectory shows.

    Args:
        trajectory: The result.

    Returns:
        Matrices over the steps, curves, names, words, warnings and provenance.
    """
    from hooksim.report import Payload

    directed = trajectory.directed()
    stems = file_stems(dict.fromkeys([*trajectory, *directed]))
    groups = {f"{stem}{end}": stem for stem in directed for end in (FORTH, BACK)}
    models = _models(trajectory)
    close, depth = colour_tables()
    reference = trajectory.metadata.get("reference_step")
    return Payload(
        models=models,
        facts=_facts(trajectory),
        matrices=tuple(
            _matrix(trajectory, key, groups.get(key, key), stems[key], models) for key in trajectory
        ),
        colours=close,
        depth_colours=depth,
        steps=tuple(trajectory.steps),
        reference_step=trajectory.steps.index(reference) if reference is not None else None,
        planes=tuple(
            plane(stem, trajectory[stem + FORTH].meaning.label, trajectory.metadata)
            for stem in directed
        ),
        curves=tuple(_curves(trajectory, key, stems[key]) for key in trajectory),
        warnings=warning_pairs(trajectory.metadata),
        tables=_layers(trajectory),
        provenance=_provenance(trajectory),
    )


def _models(trajectory: "Trajectory") -> "tuple[Model, Model]":
    """Name the reference, with what it is, and the run."""
    from hooksim.report import Model

    metadata, steps = trajectory.metadata, trajectory.steps
    kinds = {entry.get("model") for entry in metadata.get("checkpoints") or []}
    kind = str(kinds.pop()) if len(kinds) == 1 and None not in kinds else ""
    ends = " to ".join(dict.fromkeys((_step(steps[0]), _step(steps[-1]))))
    count = f"{len(steps):,} checkpoint{'' if len(steps) == 1 else 's'}"
    run = Model(count, " · ".join(filter(None, [ends, kind])))
    if trajectory.all_pairs:
        return run, run
    word = str(metadata.get("reference", ""))
    side = metadata.get("reference_side") or {}
    step = metadata.get("reference_step")
    if step is not None:
        name, what = _step(step), f"the {word} checkpoint"
        if side.get("name") not in (None, "", step, f"step {step}"):
            what = f"{what}, {side['name']}"
    else:
        name = side.get("name") or _UNNAMED.get(word) or side.get("model") or word or "model A"
        name, what = ("the reference", "") if name == "reference" else (name, "the reference")
    moving = moving_reference(metadata, str(side.get("name") or "reference"))
    if moving is not None:
        name, what = moving, ""
    own = side.get("model", kind)
    words = filter(None, [what] if own == name else [what, own])
    return Model(name, " · ".join(words)), run


def _step(step: int | str) -> str:
    return f"step {step:,}" if isinstance(step, int) else step


def _facts(trajectory: "Trajectory") -> str:
    """Say in a line how much data, how many steps and layers there are."""
    size = size_text(trajectory.n_samples, trajectory.metadata)
    sizes = {(trajectory[key].shape[-2], trajectory[key].shape[-1]) for key in trajectory}
    count = len(trajectory.steps)
    return " · ".join([size, f"{count:,} step{'' if count == 1 else 's'}", *sizes_text(sizes)])


def _matrix(
    trajectory: "Trajectory", key: str, group: str, file: str, models: "tuple[Model, Model]"
) -> "Matrix":
    from hooksim.report import Matrix

    stack, meaning = trajectory[key], trajectory[key].meaning
    return Matrix(
        key=key,
        group=group,
        label=meaning.label,
        direction=meaning.direction,
        best=meaning.best,
        range=meaning.range,
        a=axis(models[0].name, stack.layers_a),
        b=axis(models[1].name, stack.layers_b),
        values=stack.values.numpy(),
        stderr=stack.stderr.numpy(),
        file=file,
        caption=caption_text(trajectory.n_samples, trajectory.metadata, [meaning.label]),
    )


def _curves(trajectory: "Trajectory", key: str, file: str) -> "Curves":
    from hooksim.report import Curves

    drift, meaning = trajectory.drift(key), trajectory[key].meaning
    names = axis("", drift.layers)
    return Curves(
        key=key,
        label=meaning.title,
        layers=names.layers,
        short=names.short,
        values=drift.values.numpy(),
        stderr=drift.stderr.numpy(),
        file=f"{file}.drift",
    )


def _layers(trajectory: "Trajectory") -> "tuple[Table, ...]":
    """Lay out what is known of the layers of the reference, and of the end that is no reference."""
    first, last = trajectory.steps[0], trajectory.steps[-1]
    if trajectory.all_pairs:
        return layer_tables(trajectory.at(first, last))
    return layer_tables(
        trajectory.at(first if trajectory.metadata.get("reference_step") == last else last)
    )


def _provenance(trajectory: "Trajectory") -> "tuple[Table, ...]":
    """Word the metadata: what all checkpoints share once, what tells them apart in a table."""
    from hooksim.report import Table

    found = dict(trajectory.metadata)
    if found.get("reference_side"):
        found["reference_side"] = _brief(found["reference_side"])
    entries = [_brief(each) for each in found.pop("checkpoints", None) or []]
    keys = list(dict.fromkeys(key for entry in entries for key in entry if key != "step"))
    shared = [key for key in keys if len({repr(entry.get(key)) for entry in entries}) == 1]
    if entries and shared:
        found["checkpoints"] = {key: entries[0].get(key) for key in shared}
    tables = provenance(found, trajectory.n_samples)
    own = [key for key in keys if key not in shared]
    if not own:
        return tables
    columns = ("checkpoint", *(key.replace("_", " ") for key in own))
    rows = (
        (_step(step), *(_word(entry.get(key)) for key in own))
        for step, entry in zip(trajectory.steps, entries, strict=True)
    )
    return (*tables, Table("Checkpoints", columns, tuple(rows)))


def _brief(side: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what would fill pages, and a name that only repeats the step."""
    step = side.get("step")
    repeated = () if step is None else (step, f"step {step}")
    return {
        key: _brief(value) if isinstance(value, Mapping) else value
        for key, value in side.items()
        if key not in _LONG and not (key == "name" and value in repeated)
    }


def _word(value: Any) -> str:
    """Word what one checkpoint has of its own."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_word(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"{len(value):,} entries" if len(value) > 4 else ", ".join(map(_word, value))
    return str(value)
