"""`run.json`: what a run was begun with, so that it is never continued with something else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hooksim.callbacks.whole_file import write_whole
from hooksim.errors import ConfigError, HooksimError
from hooksim.probe import Probe

__all__ = ["RunTerms"]

_REFERENCES = "references"


class RunTerms:
    """The references, measures, rows, layers and blocks of a run, in a file.

    Comparisons of other ones make no trajectory, and so no page, together.

    State: the file.

    Args:
        folder: Of the run.

    Example:
        >>> import tempfile, torch
        >>> model, batches = torch.nn.Linear(3, 2), [torch.randn(9, 3)]
        >>> folder = tempfile.TemporaryDirectory()
        >>> terms = RunTerms(Path(folder.name))
        >>> terms.write(Probe(batches, reference=model, block_size=4))
        >>> terms.check(Probe(batches, reference=model, block_size=5))
        Traceback (most recent call last):
        ...
        hooksim.errors.ConfigError: '...': this run was begun with block_size=4; ...
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "run.json"

    def write(self, probe: Probe) -> None:
        """Write down what a run begins with.

        Args:
            probe: What measures.
        """
        text = json.dumps(probe.settings, indent=2, ensure_ascii=False)
        write_whole(self.path, f"{text}\n")

    def check(self, probe: Probe) -> None:
        """Refuse a probe whose results do not continue those of the run.

        A folder without the file, as where a run goes on in another one, takes any.

        Args:
            probe: What measures from now on.

        Raises:
            ConfigError: It differs from what the run was begun with.
            HooksimError: The file cannot be read.
        """
        if not self.path.is_file():
            return
        begun, now = self._read(), json.loads(json.dumps(probe.settings))
        keys = [key for key in now if key in begun and begun[key] != now[key]]
        if not keys:
            return
        names = list(begun[_REFERENCES]) != list(now[_REFERENCES])
        why = (
            " A reference is known by its name: under another one its curves would begin anew."
            if names
            else ""
        )
        raise ConfigError(
            f"'{self.folder}': this run was begun with {_told(keys, begun, now)}; the probe has "
            f"{_told(keys, now, begun)}.{why} Use the same, or another output_dir."
        )

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


def _told(keys: list[str], one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What differs, as one of the two has it."""
    return ", ".join(f"{key}={_differing(one[key], other[key])!r}" for key in keys)


def _differing(one: Any, other: Any) -> Any:
    """The part of a value that is another in the other one."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return list(one)
        return {key: value for key, value in one.items() if value != other[key]}
    if not (isinstance(one, list) and isinstance(other, list) and isinstance(one[0], dict)):
        return one
    names = [[each.get("name") for each in both] for both in (one, other)]
    if names[0] != names[1]:
        return names[0]
    pairs = zip(one, other, strict=True)
    changed = [_differing(*pair) for pair in pairs if pair[0] != pair[1]]
    return changed[0] if all(each == changed[0] for each in changed) else changed
