"""The configuration of a checkpoint that is looked at alone: a path, and changes to it."""

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hooksim.cli.config import ConfigFile, RowsSpec, SharedKeys, SideSpec, check_keys
from hooksim.cli.document import apply_override
from hooksim.cli.recorded import SIDE_KINDS
from hooksim.errors import ConfigError
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean

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
            of_model = key in inspect.signature(SIDE_KINDS["transformers"]).parameters
            close = f", did you mean model_a.{key}?" if of_model else did_you_mean(key, _CHANGEABLE)
            raise ConfigError(
                f"--set {override!r}: of a checkpoint alone {listed(_CHANGEABLE)} can be changed"
                f"{close or '; any other key needs a configuration'}"
            )
        apply_override(document, override)
    return check_keys(path, document, BareKeys)
