"""The sides of a comparison: live models and recordings, and who reads which of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import nn

from hooksim.capture.layers import layers_for_other, model_title, unwrap
from hooksim.capture.placement import check_values
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.selectors import Selectors
from hooksim.capture.side import Reader
from hooksim.errors import ConfigError
from hooksim.recording import Recording, RecordingReader, layers_for_other_recording

__all__ = ["Inputs", "Read", "Side", "check_side", "describe_side", "read_by", "views_of"]

Side: TypeAlias = nn.Module | Recording
"""A live model, or the rows of one."""

Inputs: TypeAlias = Literal["plain", "one pair", "own"]
"""What batches hold: one input; a `PairedBatch` of one input, for its ids; one for A, one for B."""


class Read(NamedTuple):
    """Who is read, and where the sides are among what they give.

    Attributes:
        readers: One for each source of rows.
        positions: For each side its position among the readers' views, one after the other.
    """

    readers: list[Reader]
    positions: list[int]


def check_side(name: str, side: Any) -> None:
    """Refuse what is no side.

    Args:
        name: The argument, for the message.
        side: What was given.

    Raises:
        ConfigError: It is neither a model nor a recording.
    """
    if not isinstance(side, nn.Module | Recording):
        hint = " Of arrays hooksim.Recording.from_tensors makes one." * isinstance(side, Mapping)
        raise ConfigError(
            f"{name}: expected a torch.nn.Module or a hooksim.Recording, got {type(side).__name__}."
            + hint
        )


def describe_side(side: Side) -> dict[str, Any]:
    """Say what a side is, for the metadata.

    Args:
        side: A model or a recording.

    Returns:
        `model`, the class of the model; `device`; and of a recording its `path` and whether it is
        `complete`.
    """
    if isinstance(side, Recording):
        path = None if side.path is None else str(side.path)
        own = {"path": path, "complete": side.complete}
        return {"model": side.model, "device": "cpu", "recording": own}
    model = unwrap(side)
    parameter = next(model.parameters(), None)
    device = "cpu" if parameter is None else str(parameter.device)
    return {"model": type(model).__name__, "device": device, "recording": None}


def views_of(
    sides: Sequence[Side],
    layers: Sequence[Selectors],
    rows: Sequence[Rows],
    names: Sequence[tuple[str, str]],
) -> list[View]:
    """Say what is wanted of each side.

    Args:
        sides: Models and recordings.
        layers: Selectors for each; None after the first for those of the first where all match.
        rows: Row policy for each; `auto` for a recording stands for its own.
        names: Label of each for messages, and which half of a `PairedBatch` it takes.

    Returns:
        A view for each.
    """
    return [
        View(label, _layers_of(side, wanted, layers[0]), _rows_of(side, policy), half)
        for side, wanted, policy, (label, half) in zip(sides, layers, rows, names, strict=True)
    ]


def _layers_of(side: Side, wanted: Selectors, first: Selectors) -> Selectors:
    """What to read of a side; where nothing is said, what is read of the first if it is there."""
    if wanted is not None or first is None:
        return wanted
    if isinstance(side, Recording):
        return layers_for_other_recording(first, side)
    return layers_for_other(first, side)


def _rows_of(side: Side, policy: Rows) -> Rows:
    """The policy of a side: a recording's own where `auto` is asked."""
    if isinstance(side, Recording) and policy == Rows():
        return side.rows or policy
    return policy


def read_by(
    sides: Sequence[Side], views: Sequence[View], *, inputs: Inputs = "plain", **options: Any
) -> Read:
    """Decide who is read: each model and each recording once, whatever sides it stands for.

    Args:
        sides: Models and recordings; one object may stand there several times.
        views: What is wanted of each.
        inputs: What the batches hold: where each side has its own input, a model runs once for
            each side.
        options: Of the readers of models.

    Returns:
        The readers, and where each side is among their views.

    Raises:
        LayerNotFoundError, ConfigError: As for the readers.
        MissingWeightsError: The weights of a model were never loaded.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2))
        >>> read = read_by([model, model], [View("A"), View("B")])
        >>> len(read.readers), read.positions
        (1, [0, 0])
    """
    sources: list[tuple[Side, list[View]]] = []
    places: list[tuple[int, int]] = []
    # Nobody reads the fingerprints of live inputs where no recording has any.
    hashed = any(isinstance(side, Recording) and side.inputs is not None for side in sides)
    for side, view in zip(sides, views, strict=True):
        source = side if isinstance(side, Recording) else unwrap(side)
        alone = inputs == "own" and not isinstance(side, Recording)
        known = [place for place, (each, _) in enumerate(sources) if each is source and not alone]
        place = known[0] if known else len(sources)
        if not known:
            sources.append((source, []))
        wanted = sources[place][1]
        same = [at for at, other in enumerate(wanted) if _equal(other, view)]
        if not same:
            wanted.append(view)
        places.append((place, same[0] if same else len(wanted) - 1))
    asked = [place for place, _ in places]
    readers = [
        _reader(
            source,
            wanted,
            "both" if inputs == "plain" and asked.count(place) > 1 else wanted[0].half,
            {"fingerprint": hashed, **options},
        )
        for place, (source, wanted) in enumerate(sources)
    ]
    offsets = [sum(len(wanted) for _, wanted in sources[:place]) for place in range(len(sources))]
    return Read(readers, [offsets[place] + view for place, view in places])


def _equal(first: View, second: View) -> bool:
    """Whether two views want the same of a source."""
    return first.layers == second.layers and first.rows == second.rows


def _reader(source: Side, views: Sequence[View], half: str, options: dict[str, Any]) -> Reader:
    if isinstance(source, Recording):
        return RecordingReader(source, views)
    check_values(source, model_title(source, views[0].label))
    return ModelReader(source, views, side=half, **options)
