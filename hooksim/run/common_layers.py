"""Which layers a run compares: those that all sides have, and those of the run that it goes on."""

from collections.abc import Sequence

from hooksim.accumulators.base import SideNames
from hooksim.errors import ConfigError, LayerNotFoundError

__all__ = ["check_layers", "shared_names"]


def check_layers(sides: Sequence[SideNames], before: Sequence[Sequence[str]]) -> None:
    """Refuse to go on with other layers than those of a state.

    Args:
        sides: What is read now.
        before: The layers of the state, side by side; none where there is no state.

    Raises:
        ConfigError: A side has others.
    """
    for names, known in zip(sides, before, strict=False):
        if list(names.layers) != list(known):
            raise ConfigError(
                f"state: expected the {len(names.layers)} layers of {names.title}, "
                f"{_few(names.layers)}, got {_few(known)}. Go on with the models and layers "
                "that the run began with."
            )


def shared_names(sides: Sequence[SideNames]) -> list[str]:
    """Find the layers that every side has, by name.

    Args:
        sides: At least one.

    Returns:
        Their names, in the order of the first.

    Raises:
        LayerNotFoundError: There are none.
    """
    shared = [name for name in sides[0].layers if all(name in side.layers for side in sides)]
    if not shared:
        examples = " and ".join(f"{side.layers[0]!r} of {side.title}" for side in sides)
        raise LayerNotFoundError(
            f"pairs='same_name': no layer has the same name on both sides, for example "
            f"{examples}. Use pairs='all'."
        )
    return shared


def _few(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
