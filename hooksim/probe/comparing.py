"""A recorded model against the references of a probe, all at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hooksim.comparison import Compared, Options, compare_sides
from hooksim.errors import AlignmentError
from hooksim.probe.references import PREVIOUS
from hooksim.probe.samples import SAME_SAMPLES
from hooksim.recording import Recording
from hooksim.results import Comparison

__all__ = ["compare_with_references"]


def compare_with_references(
    held: Mapping[str, Recording],
    previous: Sequence[str],
    measured: Recording,
    step: int,
    options: Options,
) -> dict[str, Comparison]:
    """Compare a recording with all references.

    Args:
        held: The references.
        previous: Which of them are the measurement before.
        measured: What was measured.
        step: Of the training, for names and messages.
        options: Of the comparison.

    Returns:
        The comparisons by the names of their references.

    Raises:
        AlignmentError: A reference is of other samples.
        HooksimError: Whatever else `hooksim.compare` refuses.
    """
    # Layers of equal names are those that all sides share: each pair has its own then.
    alone = options.pairs == "same_name"
    groups = [[name] for name in held] if alone else [list(held)] if held else []
    found = {}
    for names in groups:
        sides = [
            # The measurement before is of the model, so what is wanted of that holds for it.
            Compared(held[name], repr(name), "b" if name in previous else "a")
            for name in names
        ]
        results = _compare(sides, measured, step, options)
        for name, result in zip(names, results, strict=True):
            found[name] = _labelled(result, name, step, moves=name in previous)
    return found


def _compare(
    references: list[Compared], measured: Recording, step: int, options: Options
) -> list[Comparison]:
    sides = [*references, Compared(measured, f"of step {step}", "b")]
    pairs = [(index, len(references)) for index in range(len(references))]
    options = replace(options, layers_b=measured.layers, forward=None, device=None)
    try:
        return compare_sides(sides, pairs, None, options)
    except AlignmentError as error:
        raise AlignmentError(f"step {step}: {error} {SAME_SAMPLES}") from error


def _labelled(result: Comparison, name: str, step: int, *, moves: bool) -> Comparison:
    """The same with what pictures call both sides, and whether A is another one at each step."""
    metadata = {**result.metadata, "name_a": name, "name_b": f"step {step}", "step": step}
    if moves:
        metadata["reference_kind"] = PREVIOUS
    return Comparison({key: result[key] for key in result}, result.n_samples, metadata)
