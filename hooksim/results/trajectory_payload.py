"""From a trajectory to what its page shows: plain data."""

from typing import TYPE_CHECKING, Any

from hooksim.results.caption import caption_text, size_text
from hooksim.results.directions import BACK, FORTH
from hooksim.results.halves import half_of, joined
from hooksim.results.payload import axis, colour_tables, side_models, warning_pairs
from hooksim.results.provenance import provenance
from hooksim.results.tables import file_stems

if TYPE_CHECKING:
    from hooksim.report import Curves, Matrix, Model, Payload
    from hooksim.results.trajectory import Trajectory

__all__ = ["trajectory_payload"]

# Long lists of what each layer or checkpoint is; the page has them elsewhere.
_LONG = ("layers", "diagnostics")


def trajectory_payload(trajectory: "Trajectory") -> "Payload":
    """Gather what the page of a trajectory shows.

    Args:
        trajectory: The result.

    Returns:
        Matrices over the steps, curves, names, words, warnings and provenance.
    """
    from hooksim.report import Payload, Plane

    directed = trajectory.directed()
    stems = file_stems(dict.fromkeys([*trajectory, *directed]))
    groups = {f"{stem}{end}": stem for stem in directed for end in (FORTH, BACK)}
    sides = _sides(trajectory)
    close, depth = colour_tables()
    return Payload(
        models=_models(trajectory, sides),
        facts=_facts(trajectory),
        matrices=tuple(
            _matrix(trajectory, key, groups.get(key, key), stems[key], sides) for key in trajectory
        ),
        colours=close,
        depth_colours=depth,
        steps=tuple(trajectory.steps),
        planes=tuple(
            Plane(trajectory[stem + FORTH].meaning.label, stem + FORTH, stem + BACK)
            for stem in directed
        ),
        curves=tuple(_curves(trajectory, key) for key in trajectory),
        warnings=warning_pairs(trajectory.metadata),
        provenance=provenance(_described(trajectory.metadata), trajectory.n_samples),
    )


def _sides(trajectory: "Trajectory") -> dict[str, Any]:
    """Describe A, the reference, and B, any of the checkpoints, as a comparison would."""
    checkpoints = trajectory.metadata.get("checkpoints") or [{}]
    kinds = {entry.get("model") for entry in checkpoints}
    any_one: dict[str, Any] = {"name": "a checkpoint"}
    if len(kinds) == 1 and None not in kinds:
        any_one["model"] = kinds.pop()
    reference = trajectory.metadata.get("reference_side") or {}
    return joined(any_one if trajectory.all_pairs else reference, any_one)


def _models(trajectory: "Trajectory", sides: dict[str, Any]) -> "tuple[Model, Model]":
    """Name the reference and the run."""
    from hooksim.report import Model

    reference, _ = side_models(sides)
    kind = half_of(sides, "b").get("model", "")
    run = Model(f"{len(trajectory.steps):,} checkpoints", kind)
    return (run, run) if trajectory.all_pairs else (reference, run)


def _facts(trajectory: "Trajectory") -> str:
    """Say in a line how much data, how many steps and layers there are."""
    size = size_text(trajectory.n_samples, trajectory.metadata)
    sizes = {tuple(trajectory[key].shape[-2:]) for key in trajectory}
    layers = [f"{la:,} x {lb:,} layers" for la, lb in sorted(sizes)]
    return " · ".join([size, f"{len(trajectory.steps):,} steps", *layers])


def _matrix(
    trajectory: "Trajectory", key: str, group: str, file: str, sides: dict[str, Any]
) -> "Matrix":
    from hooksim.report import Matrix

    stack, meaning = trajectory[key], trajectory[key].meaning
    model_a, model_b = side_models(sides)
    return Matrix(
        key=key,
        group=group,
        label=meaning.label,
        direction=meaning.direction,
        best=meaning.best,
        range=meaning.range,
        a=axis(model_a.name, stack.layers_a),
        b=axis(model_b.name, stack.layers_b),
        values=stack.values.numpy(),
        stderr=stack.stderr.numpy(),
        file=file,
        caption=caption_text(trajectory.n_samples, trajectory.metadata, [meaning.label]),
    )


def _curves(trajectory: "Trajectory", key: str) -> "Curves":
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
    )


def _described(metadata: dict[str, Any]) -> dict[str, Any]:
    """Leave out of the provenance what would fill pages."""

    def brief(side: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in side.items() if key not in _LONG}

    found = dict(metadata)
    if found.get("reference_side"):
        found["reference_side"] = brief(found["reference_side"])
    if found.get("checkpoints"):
        found["checkpoints"] = [brief(entry) for entry in found["checkpoints"]]
    return found
