"""From what a user writes to measures."""

from collections.abc import Mapping, Sequence
from typing import Any

from hooksim.errors import ConfigError
from hooksim.measures.base import Measure
from hooksim.measures.cka import CKA
from hooksim.measures.information_imbalance import InformationImbalance
from hooksim.spelling import did_you_mean

__all__ = ["MEASURES", "choose_measures"]

MEASURES: dict[str, type[Measure]] = {kind.name: kind for kind in (CKA, InformationImbalance)}


def choose_measures(
    measures: str | Measure | Mapping[str, Any] | Sequence[str | Measure | Mapping[str, Any]],
) -> list[Measure]:
    """Make measures of names, of mappings with a name and options, or of measures.

    Args:
        measures: One of these, or several.

    Returns:
        Measures in the same order.

    Raises:
        ConfigError: None at all, an unknown name or option, or two with the same key.

    Example:
        >>> [measure.title for measure in choose_measures(["cka", {"name": "cka", "debiased": False,
        ...                                                       "key": "biased"}])]
        ['CKA (linear, debiased)', 'CKA (linear, biased)']
    """
    several: list[Any] = list(measures) if isinstance(measures, list | tuple) else [measures]
    chosen = [_choose(measure) for measure in several]
    if not chosen:
        raise ConfigError(f"measures: expected at least one of {', '.join(MEASURES)}, got none.")
    seen: set[str] = set()
    for key in (key for measure in chosen for key in measure.keys):
        if key in seen:
            raise ConfigError(
                f"measures: two of them would write {key!r}. Give one of them another key=."
            )
        seen.add(key)
    return chosen


def _choose(measure: Any) -> Measure:
    if isinstance(measure, str):
        return _by_name(measure)()
    if isinstance(measure, Mapping):
        options = dict(measure)
        kind = _by_name(options.pop("name", None))
        try:
            return kind(**options)
        except TypeError as error:
            raise ConfigError(f"measures: {kind.name}: {error}.") from error
    if isinstance(measure, Measure) and not isinstance(measure, type):
        return measure
    raise ConfigError(f"measures: expected a name or a measure, got {measure!r}.")


def _by_name(name: Any) -> type[Measure]:
    if name in MEASURES:
        return MEASURES[name]
    close = did_you_mean(str(name), MEASURES) or "."
    raise ConfigError(f"measures: expected one of {', '.join(MEASURES)}, got {name!r}{close}")
