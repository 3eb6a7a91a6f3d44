"""The entries of a result's metadata that are read again, and of which form they must be.

All others are whatever was written; they are only ever shown as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["KnownMetadata", "KnownSide", "KnownSkip", "KnownWarning"]

_Step: TypeAlias = int | str


@dataclass(frozen=True)
class KnownWarning:
    """A warning: a short word for programs, a sentence for people."""

    code: str
    text: str


@dataclass(frozen=True)
class KnownSide:
    """What is known of one side: of a reference, or of a checkpoint and its comparison."""

    step: _Step | None = None
    name: _Step | None = None
    model: str | None = None
    layers: list[str] | None = None
    rows: dict[str, Any] | None = None
    diagnostics: list[dict[str, Any]] | None = None
    reference_side: "KnownSide | None" = None


@dataclass(frozen=True)
class KnownSkip:
    """A checkpoint that was left out."""

    step: _Step
    reason: str


@dataclass(frozen=True)
class KnownMetadata:
    """The entries that captions, pages and curves are made from."""

    blocks: list[int] | None = None
    block_size: int | str | None = None
    n_rows: int | None = None
    unit: str | None = None
    warnings: list[KnownWarning] | None = None
    measures: list[dict[str, Any]] | None = None
    name_a: str | None = None
    name_b: str | None = None
    model_a: str | None = None
    model_b: str | None = None
    rows: dict[str, Any] | None = None
    recordings: dict[str, Any] | None = None
    diagnostics: dict[str, list[dict[str, Any]]] | None = None
    device: list[str] | None = None
    reference: str | None = None
    reference_step: _Step | None = None
    reference_kind: str | None = None
    reference_side: KnownSide | None = None
    checkpoints: list[KnownSide] | None = None
    skipped: list[KnownSkip] = field(default_factory=list)

    def fault(self, steps: Sequence[_Step]) -> str | None:
        """Say what does not fit the rest.

        Args:
            steps: Of a trajectory; none of a comparison.

        Returns:
            A clause, or None where all is well.
        """
        if any(size < 1 for size in self.blocks or ()):
            return "metadata.blocks holds a block of no samples"
        for key in ("rows", "recordings", "diagnostics"):
            halves = getattr(self, key)
            if halves is not None and not steps and not {"a", "b"} <= halves.keys():
                return f"metadata.{key} is not of both sides"
        if self.device is not None and len(self.device) != 2:
            return "metadata.device is not of both sides"
        if any(not isinstance(each.get("k", 1), int) for each in self.measures or ()):
            return "metadata.measures: k is no whole number"
        known = self.checkpoints
        if known and [each.step for each in known] != list(steps):
            return "metadata.checkpoints are not those of the steps"
        if self.reference_step is not None and self.reference_step not in steps:
            return f"metadata.reference_step {self.reference_step!r} is none of the steps"
        return None
