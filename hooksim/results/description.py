"""What a result on disk says of itself: read back, and nothing of it trusted."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hooksim.errors import ConfigError, HooksimError
from hooksim.results.known_metadata import KnownMetadata
from hooksim.results.matrix import Meaning
from hooksim.storage import SEAL, is_sealed

__all__ = [
    "COMPARISON",
    "KINDS",
    "METADATA",
    "TENSORS_SEAL",
    "TRAJECTORY",
    "Described",
    "DescribedMatrix",
    "Kind",
    "damaged",
    "read_description",
]

METADATA = "metadata.json"
"""The file of the description."""

TENSORS_SEAL = "matrices_sha256"
"""Key of the hash of the file of the matrices."""

_SEALED_FROM = 2  # the first schema with hashes; older results are read without


class Kind(NamedTuple):
    """A kind of result on disk.

    Attributes:
        noun: What people call it.
        schema: Newest form of the description that is understood.
        reader: The class whose `load` reads it.
    """

    noun: str
    schema: int
    reader: str

    @property
    def format(self) -> str:
        """What the description calls it."""
        return f"hooksim {self.noun}"


COMPARISON = Kind("comparison", 2, "hooksim.Comparison")
TRAJECTORY = Kind("trajectory", 2, "hooksim.Trajectory")
KINDS = (COMPARISON, TRAJECTORY)


@dataclass(frozen=True)
class DescribedMatrix:
    """One matrix, or one stack of them.

    Attributes:
        key: Its name in the result.
        label, best, range, direction: Its meaning.
        layers_a: Names of the layers of A.
        layers_b: Names of the layers of B.
        file: Stem of its tables.
    """

    key: str
    label: str
    best: Literal["max", "min"]
    range: tuple[float, float]
    direction: str
    layers_a: list[str]
    layers_b: list[str]
    file: str = ""

    @property
    def meaning(self) -> Meaning:
        """How its values are to be read."""
        return Meaning(self.label, self.best, self.range, self.direction)


@dataclass(frozen=True)
class Described:
    """A whole result.

    Attributes:
        n_samples: Number of samples.
        matrices: Its matrices.
        metadata: Provenance, any plain data.
        known: What of it is read again.
        steps: Of a trajectory.
        files: Names of the files that belong to it.
        matrices_sha256: Hash of the file of the matrices; None in results of older versions.
    """

    n_samples: int
    matrices: list[DescribedMatrix]
    metadata: dict[str, Any]
    known: KnownMetadata = field(metadata={"alias": "metadata"})
    steps: list[int | str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    matrices_sha256: str | None = None


def damaged(folder: Path, what: str) -> HooksimError:
    """Word the error of a result that cannot be read.

    Args:
        folder: Where it is.
        what: What is wrong with it.

    Returns:
        The error.
    """
    return HooksimError(f"the result in '{folder}' is damaged: {what}. Save it again.")


def read_description(folder: Path, *kinds: Kind) -> Described:
    """Read metadata.json; check that it is of one of the kinds, whole, and not newer than we are.

    Args:
        folder: The folder of the result.
        kinds: What it may be.

    Returns:
        What it says.

    Raises:
        ConfigError: There is no result, or one of another kind.
        HooksimError: It is damaged, or of a newer version.
        OSError: It cannot be read.
    """
    file = folder / METADATA
    if not file.is_file():
        raise ConfigError(f"'{folder}' is not a result of hooksim: it has no {METADATA}.")
    text = file.read_bytes()
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(folder, f"{METADATA} is not valid JSON ({error})") from error
    by_format = {kind.format: kind for kind in KINDS}
    said = description.get("format") if isinstance(description, dict) else None
    known = by_format.get(said) if isinstance(said, str) else None
    if known is None:
        raise ConfigError(f"'{folder}' is not a result of hooksim: {METADATA} is of another kind.")
    if known not in kinds:
        raise ConfigError(
            f"'{folder}' holds a {known.noun}, not a {kinds[0].noun}: {known.reader}.load reads it."
        )
    _check_version(folder, description, known)
    return _validated(folder, text)


def _check_version(folder: Path, description: dict[str, Any], known: Kind) -> None:
    """Refuse a description of the future, and one that somebody has changed."""
    schema = description.get("schema_version")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise damaged(folder, f"{METADATA} has no schema version")
    if schema < 1:
        raise damaged(folder, f"{METADATA}: schema_version is {schema}, expected from 1")
    if schema > known.schema:
        raise HooksimError(
            f"'{folder}' was written by a newer hooksim (schema {schema}, this one reads up to "
            f"{known.schema}). Upgrade hooksim."
        )
    must_be_sealed = schema >= _SEALED_FROM or SEAL in description
    if must_be_sealed and not (is_sealed(description) and TENSORS_SEAL in description):
        raise damaged(folder, f"{METADATA} is not what was written: its {SEAL} is another")


def _validated(folder: Path, text: bytes) -> Described:
    from pydantic import ValidationError

    try:
        found: Described = _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = (METADATA, ".".join(map(str, first["loc"])), first["msg"])
        raise damaged(folder, ": ".join(filter(None, where))) from error
    keys = [matrix.key for matrix in found.matrices]
    if len(set(keys)) < len(keys):
        raise damaged(folder, f"{METADATA}: a matrix is listed twice")
    if found.n_samples < 0:
        raise damaged(folder, f"{METADATA}: n_samples is {found.n_samples}, expected from 0")
    if len(set(map(repr, found.steps))) < len(found.steps):
        raise damaged(folder, f"{METADATA}: a step is listed twice")
    fault = found.known.fault(found.steps)
    if fault is not None:
        raise damaged(folder, f"{METADATA}: {fault}")
    return found


@cache
def _adapter() -> Any:
    """What checks a description; made once."""
    from pydantic import TypeAdapter

    return TypeAdapter(Described)
