"""`run.json`: what a run was begun with, so that it is never continued with something else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hooksim.errors import ConfigError, HooksimError
from hooksim.probe import Probe
from hooksim.probe.references import titled
from hooksim.storage import write_file

__all__ = ["RunTerms"]

_REFERENCES = "references"
_EVERY = "every"


class RunTerms:
    """The references, measures, rows, layers and blocks of a run, in a file.

    Comparisons of other ones make no trajectory, and so no page, together.

    State: the file.

    Args:
        folder: Of the run.
        every: When it measures; another one is allowed, and said.

    Example:
        >>> import tempfile, torch
        >>> model, batches = torch.nn.Linear(3, 2), [torch.randn(9, 3)]
        >>> folder = tempfile.TemporaryDirectory()
        >>> terms = RunTerms(Path(folder.name), 100)
        >>> terms.write(Probe(batches, reference=model, block_size=4))
        >>> terms.check(Probe(batches, reference=model, block_size=5))
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: '...': this run was begun with block_size=4; ...
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path, every: str | int) -> None:
        self.folder = folder
        self.every = every
        self.path = folder / "run.json"

    def write(self, probe: Probe) -> None:
        """Write down what a run begins with.

        Args:
            probe: What measures.
        """
        terms = {**probe.settings, _EVERY: self.every}
        text = json.dumps(terms, indent=2, ensure_ascii=False)
        with write_file(self.path) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")

    def check(self, probe: Probe) -> list[str]:
        """Refuse a probe whose results do not continue those of the run.

        A folder without the file, as where a run goes on in another one, takes any.

        Args:
            probe: What measures from now on.

        Returns:
            What differs and is allowed, for people.

        Raises:
            ConfigError: It differs from what the run was begun with.
            HooksimError: The file cannot be read.
        """
        if not self.path.is_file():
            return []
        begun, now = self._read(), json.loads(json.dumps(probe.settings))
        keys = [key for key in now if key in begun and _differ(begun[key], now[key])]
        if begun[_REFERENCES] != now[_REFERENCES] and _REFERENCES not in keys:
            keys.insert(0, _REFERENCES)
        if not keys:
            return self._other_gap(begun, probe)
        names = _REFERENCES in keys and set(begun[_REFERENCES]) != set(now[_REFERENCES])
        why = (
            " A reference is known by its name: under another one its curves would begin anew."
            if names
            else ""
        )
        raise ConfigError(
            f"'{self.folder}': this run was begun with {_told(keys, begun, now)}; the probe has "
            f"{_told(keys, now, begun)}.{why} Use the same, or another output_dir."
        )

    def _other_gap(self, begun: Mapping[str, Any], probe: Probe) -> list[str]:
        """What to say where measurements come at other intervals from now on."""
        before = begun.get(_EVERY, self.every)
        if before == self.every or not probe.previous:
            return []
        return [
            f"'{self.folder}': this run was begun with every={before!r} and goes on with "
            f"every={self.every!r}, so {', '.join(map(titled, probe.previous))} is another number "
            "of steps back from now on"
        ]

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(found, dict) and isinstance(found[_REFERENCES], dict):
                return found
        except (OSError, ValueError, KeyError):
            pass
        raise HooksimError(
            f"'{self.path}' does not say what the run was begun with: it is damaged. Move it away "
            "to go on with what the probe has."
        )


def _differ(one: Any, other: Any) -> bool:
    """Whether two values differ in what both have: a later release may know of more options."""
    if isinstance(one, dict) and isinstance(other, dict):
        return any(_differ(one[key], other[key]) for key in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if all(isinstance(each, dict) and "key" in each for each in (*one, *other)):
            # Measures: results are known by their keys, whatever their order.
            one, other = (sorted(each, key=lambda measure: measure["key"]) for each in (one, other))
        return any(_differ(*pair) for pair in zip(one, other, strict=True))
    return bool(one != other)


def _told(keys: list[str], one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What differs, as one of the two has it."""
    return ", ".join(f"{key}={_differing(one[key], other[key])!r}" for key in keys)


def _differing(one: Any, other: Any) -> Any:
    """The part of a value that is another in the other one."""
    if isinstance(one, dict) and isinstance(other, dict):
        if "name" not in one and "policy" not in one and set(one) != set(other):
            return list(one)
        return {key: one[key] for key in one if key in other and one[key] != other[key]}
    if not (isinstance(one, list) and isinstance(other, list) and isinstance(one[0], dict)):
        return one
    names = [[each.get("name") for each in both] for both in (one, other)]
    if names[0] != names[1]:
        return names[0]
    pairs = zip(one, other, strict=True)
    changed = [_differing(*pair) for pair in pairs if pair[0] != pair[1]]
    return changed[0] if all(each == changed[0] for each in changed) else changed
