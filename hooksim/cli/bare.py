"""The configuration of a checkpoint that is looked at alone: a path, and changes to it."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hooksim.cli.config import ConfigFile, RowsSpec, SharedKeys, SideSpec, check_keys
from hooksim.cli.document import apply_override
from hooksim.errors import ConfigError
from hooksim.loading.wording import listed

__all__ = ["BareKeys", "read_bare"]

_CHANGEABLE = ("rows", "layers_a", "model_a")


class BareKeys(SharedKeys):
    """The keys by which one model is looked at.

    Attributes:
        model_a: The model.
        rows: Its row policy.
        layers_a: As in the configuration of a comparison.
    """

    model_a: SideSpec
    rows: Annotated[
        list[RowsSpec],
        BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
    ] = Field(default_factory=list, min_length=1, max_length=1)


def read_bare(path: str, overrides: Sequence[str]) -> ConfigFile[BareKeys]:
    """Make the configuration of a checkpoint.

    Args:
        path: Folder or hub id.
        overrides: Changes, `key.path=value` each.

    Returns:
        The configuration, with the path for its file.

    Raises:
        ConfigError: A key that says nothing of one model, or a value that does not fit.
    """
    document: dict[str, Any] = {"model_a": {"kind": "transformers", "path": path}}
    for override in overrides:
        key = override.partition("=")[0].partition(".")[0]
        if key not in _CHANGEABLE:
            raise ConfigError(
                f"--set {override!r}: of a checkpoint alone {listed(_CHANGEABLE)} can be changed; "
                "any other key needs a configuration"
            )
        apply_override(document, override)
    return check_keys(path, document, BareKeys)
