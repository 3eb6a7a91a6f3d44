"""What a run would be: every checkpoint loaded, one after the other, and the first one read."""

from typing import NamedTuple

from hooksim.cli.comparing import Inputs
from hooksim.cli.plan import check_length, sample_count
from hooksim.cli.run_inputs import RunInputs
from hooksim.cli.survey import Side, survey
from hooksim.results import Step
from hooksim.sides import Side as Source
from hooksim.trajectory import Skipped, load_each, refuse_failed

__all__ = ["RunSurvey", "survey_run"]


class RunSurvey(NamedTuple):
    """What looking at a run without comparing it gives.

    Attributes:
        steps: Of each checkpoint.
        reasons: Why each is left out; None where it is not.
        sides: The first checkpoint that can be loaded, behind a reference that is another side or
            that is read otherwise.
        inputs: What the sides were surveyed with.
        row_bytes: Of one row of the layers of all checkpoints together.
    """

    steps: list[Step]
    reasons: list[str | None]
    sides: list[Side]
    inputs: Inputs
    row_bytes: int


def survey_run(inputs: RunInputs, *, skip_failed: bool) -> RunSurvey:
    """Load each checkpoint of a run, and read the first batch of the first.

    Args:
        inputs: The checkpoints found and the rest.
        skip_failed: Leave out those that cannot be loaded.

    Returns:
        What was found.

    Raises:
        HooksimError: Checkpoints cannot be loaded, all of which are named; a recorded one holds
            another number of samples, or a selector or the batch does not fit.
    """
    names, limit = [each.name for each in inputs.found], inputs.options.get("max_samples")
    steps: list[Step] = []
    failed: dict[str, Skipped] = {}
    found: list[tuple[Inputs, list[Side]]] = []
    for name, each in zip(names, load_each(inputs.load, names), strict=True):
        steps.append(each.step)
        if isinstance(each, Skipped):
            failed[name] = each
            continue
        if not found:
            found.append(_first_read(inputs, each.side))
        samples = sample_count(found[0][0].batches(), limit)
        check_length(f"checkpoints: {name!r}", each.side, samples, limit)
        del each  # or it would stay while the next one is loaded
    refuse_failed([*failed.values()], len(names) - len(failed), skip_failed=skip_failed)
    [(both, sides)] = found
    own = sides[0].row_bytes if len(sides) == 2 else 0
    row_bytes = (len(names) - len(failed)) * sides[-1].row_bytes + own
    reasons = [failed[name].reason if name in failed else None for name in names]
    return RunSurvey(steps, reasons, sides, both, row_bytes)


def _first_read(inputs: RunInputs, first: Source) -> tuple[Inputs, list[Side]]:
    """Read one batch of the first checkpoint, and of the reference where that is not the same."""
    options = inputs.options
    own = not isinstance(inputs.reference, str)
    rows = options.get("rows", "auto")
    policies = rows if isinstance(rows, tuple) else (rows, rows)
    layers = [options.get("layers_a"), options.get("layers_b")]
    apart = own or layers[1] not in (None, layers[0]) or policies[0] != policies[1]
    both = Inputs(inputs.reference if own else first, first, inputs.loader, options, inputs.notes)
    count = 2 if apart else 1
    sides = survey(
        both[:2][-count:],
        both.batches(),
        layers=layers[:count],
        rows=policies[:count],
        **{key: options[key] for key in ("forward", "device") if key in options},
    )
    return both, sides
