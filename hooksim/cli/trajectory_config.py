"""The configuration of a trajectory: checkpoints and a reference in the place of two models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from hooksim.cli.checkpoints import RUN_KINDS
from hooksim.cli.config import ConfigFile, SharedKeys, SideSpec, read_keys
from hooksim.cli.recorded import is_recorded
from hooksim.cli.schema import KindOf, LocalPath
from hooksim.errors import ConfigError
from hooksim.spelling import did_you_mean

__all__ = ["TrajectoryConfig", "read_trajectory_config"]

_WORDS = ("first", "last", "all")
_CHOICES = "expected first, last, all or a side"


def _kind_of_reference(value: Any) -> str:
    """Which of the two a reference is."""
    return "word" if isinstance(value, str) and value in _WORDS else "side"


def _no_typo(value: Any) -> Any:
    """Refuse a bare word that is a word for a reference but for a letter, and what is no side."""
    if isinstance(value, Mapping) or value in _WORDS:
        return value
    if not isinstance(value, str):
        step = isinstance(value, int) and not isinstance(value, bool)
        folder = f"; for a checkpoint give its folder, such as runs/x/checkpoint-{value}"
        raise ConfigError(f"{_CHOICES}, got {value!r}{folder if step else ''}")
    close = did_you_mean(value, _WORDS) if Path(value).name == value else ""
    if close and not Path(value).exists():
        raise ConfigError(f"{_CHOICES}, got {value!r}{close}")
    return value


RunSpec = Annotated[dict[str, Any], KindOf(RUN_KINDS), LocalPath]
ReferenceSpec = Annotated[
    Annotated[Literal["first", "last", "all"], Tag("word")] | Annotated[SideSpec, Tag("side")],
    Discriminator(_kind_of_reference),
    BeforeValidator(_no_typo),
]


class TrajectoryConfig(SharedKeys):
    """The keys of a trajectory.

    Attributes:
        checkpoints: The run: a kind and its keys.
        reference: What its checkpoints are compared with: `first`, `last`, `all` for each with
            each, or a side as for `model_a`.
        skip_failed: Leave checkpoints out that cannot be loaded.
    """

    checkpoints: RunSpec
    reference: ReferenceSpec = "first"
    skip_failed: bool = False

    @property
    def recorded(self) -> bool:
        """Whether all sides are recorded, so that no data is read."""
        runs = is_recorded(self.checkpoints)
        return runs and (isinstance(self.reference, str) or is_recorded(self.reference))


def read_trajectory_config(
    path: str | Path, overrides: Sequence[str] = ()
) -> ConfigFile[TrajectoryConfig]:
    """Read and check the configuration of a trajectory.

    Args:
        path: A YAML file.
        overrides: Changes to it, `key.path=value` each.

    Returns:
        The file and its keys.

    Raises:
        ConfigError: One line, `file: key.path: what is wrong`.
    """
    config = read_keys(path, overrides, TrajectoryConfig)
    if config.keys.recorded != (config.keys.data is None):
        none = "expected none for recorded sides: leave it out, or --set data=null"
        raise ConfigError(f"{path}: data: {none if config.keys.recorded else 'missing'}")
    return config
