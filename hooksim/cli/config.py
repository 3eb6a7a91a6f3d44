"""The configuration of a comparison: its keys, how it is read, and where its errors point."""

import inspect
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from hooksim.capture.rows import Rows
from hooksim.cli.complaint import describe
from hooksim.cli.data import DATA_KINDS
from hooksim.cli.document import read_document
from hooksim.cli.recorded import SIDE_KINDS, is_recorded
from hooksim.cli.schema import KindOf, LocalPath, Strict
from hooksim.cli.yaml_wording import in_yaml
from hooksim.errors import (
    AlignmentError,
    ConfigError,
    HooksimError,
    LayerNotFoundError,
    MissingWeightsError,
    NonFiniteError,
)
from hooksim.measures.choice import MEASURES

__all__ = [
    "Config",
    "ConfigFile",
    "SharedKeys",
    "SideSpec",
    "check_keys",
    "read_config",
    "read_keys",
]

_log = logging.getLogger("hooksim.cli")

_ENDINGS = {".txt": "text", ".jsonl": "text", ".npz": "npz"}  # of files, for each a kind of data
_OPTIONS = ("checkpoint_every", "dry_run", "json", "out", "overwrite", "resume", "verbose")


def _listed(value: Any) -> Any:
    """A single value stands for a list of it."""
    return value if isinstance(value, list) or value is None else [value]


def _measure(spec: dict[str, Any]) -> Any:
    return MEASURES[spec["name"]](**{key: spec[key] for key in spec if key != "name"})


def _short_for(key: str) -> BeforeValidator:
    """A bare word stands for a mapping with this one key: `cka` for `{name: cka}`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _pattern(selector: str) -> str:
    """A selector, its regular expression tried out where it has one."""
    try:
        re.compile(selector.removeprefix("re:") if selector.startswith("re:") else "")
    except re.error as error:
        raise ConfigError(f"{selector!r} is not a regular expression: {error}") from error
    return selector


def _no_bare_path(value: Any) -> Any:
    """Refuse a path alone where its ending says which kind of data it is."""
    kind = _ENDINGS.get(Path(value).suffix) if isinstance(value, str) else None
    if kind is None:
        return value
    raise PydanticCustomError(
        "no_mapping", "{example}", {"example": f"{{kind: {kind}, path: {value}}}"}
    )


SideSpec = Annotated[dict[str, Any], KindOf(SIDE_KINDS), LocalPath]
DataSpec = Annotated[dict[str, Any], KindOf(DATA_KINDS), BeforeValidator(_no_bare_path)]
MeasureSpec = Annotated[
    Any, KindOf(MEASURES, tag="name"), AfterValidator(_measure), _short_for("name")
]
RowsSpec = Annotated[
    Any,
    KindOf({"rows": Rows}, tag=None),
    AfterValidator(lambda spec: Rows(**spec)),
    _short_for("policy"),
]
Selector = Annotated[str, AfterValidator(_pattern)]
Selectors = Annotated[
    Annotated[list[Selector], Field(min_length=1)] | None, BeforeValidator(_listed)
]


class SharedKeys(Strict):
    """The keys that every configuration has: data, output, and how to compare.

    Attributes:
        data: What all models see: a kind and its keys; left out where all sides are recorded.
        output: Folder for the result.
        layers_a, layers_b, measures, rows, block_size, pairs, max_samples, forward, device,
            stop_early, on_nonfinite, memory_budget, progress: As for `hooksim.compare`, whose
            defaults hold where a key is left out; `forward` is `package.module:function`.
    """

    data: DataSpec | None = None
    output: str | None = None
    layers_a: Selectors = None
    layers_b: Selectors = None
    measures: Annotated[list[MeasureSpec], BeforeValidator(_listed)] = Field(
        default_factory=list, min_length=1
    )
    rows: Annotated[list[RowsSpec], BeforeValidator(_listed)] = Field(
        default_factory=list, min_length=1, max_length=2
    )
    block_size: int | Literal["auto", "batch", "all"] = "auto"
    pairs: Literal["all", "same_name"] = "all"
    max_samples: Annotated[int, Field(ge=1)] | None = None
    forward: str | None = None
    device: str | None = None
    stop_early: bool = True
    on_nonfinite: Literal["error", "drop"] = "error"
    memory_budget: Annotated[int, Field(ge=0)] | None = None
    progress: bool = True

    @classmethod
    def _elsewhere(cls, key: str) -> str:
        """Name the mapping that has this key, or the option of the command."""
        if key in _OPTIONS:
            return f"; it is an option: --{key.replace('_', '-')}"
        tables = {"data": DATA_KINDS, "a model": SIDE_KINDS}
        for place, table in tables.items():
            known = {
                each for maker in table.values() for each in inspect.signature(maker).parameters
            }
            if key in known:
                return f"; it is a key of {place}"
            if f"{key}_a" in known:
                return f"; {place} has '{key}_a' and '{key}_b'"
        return ""


class Config(SharedKeys):
    """The keys of a comparison of two models.

    Attributes:
        model_a: The model on the vertical axis: a kind and its keys.
        model_b: The model on the horizontal axis.
    """

    model_a: SideSpec
    model_b: SideSpec


Keys = TypeVar("Keys", bound=SharedKeys)

# Which command a key belongs to that not all have, for those who gave a file to another command.
_COMMANDS = {
    "model_a": "compare",
    "model_b": "compare",
    "checkpoints": "trajectory",
    "reference": "trajectory",
    "skip_failed": "trajectory",
}


@dataclass(frozen=True)
class ConfigFile(Generic[Keys]):
    """A configuration and the file that it came from.

    Attributes:
        path: The file.
        keys: What stands in it, checked.
        document: What stands in it, as plain data.
    """

    path: Path
    keys: Keys
    document: dict[str, Any]

    @contextmanager
    def at(self, key: str = "") -> Iterator[None]:
        """Put the file and a key in front of every error about the configuration raised inside.

        Args:
            key: The key that the work inside is about; empty for the whole file.

        Raises:
            HooksimError: The same, with its place and in the words of YAML. Messages that begin
                with a key of their own continue the path: `path: no folder` at `model_a` is
                `model_a.path: no folder`. Layers that are not there belong to `layers_a` or
                `layers_b`, weights to `allow_missing`.
        """
        try:
            yield
        except (ConfigError, LayerNotFoundError, MissingWeightsError) as error:
            raise type(error)(f"{self.path}: {self._placed(error, key)}") from error
        except HooksimError as error:
            raise type(error)(f"{self._reworded(error)}{self._advice(error)}") from error
        except Exception as error:
            if key:  # of a factory, say: whose code it is that failed
                error.add_note(f"{self.path}: {key}")
            elif self._may_be_too_long(error):
                error.add_note(
                    "where a text is longer than the model takes, data.max_length cuts it"
                )
            raise

    def _may_be_too_long(self, error: Exception) -> bool:
        """Whether a forward over text failed as one does that has no position for a token."""
        forward = any("in the forward pass" in note for note in getattr(error, "__notes__", []))
        text = (self.keys.data or {}).get("kind") == "text"
        words = r"out of range|max_position|expanded size|must match|device-side assert"
        return forward and text and re.search(words, str(error)) is not None

    def _reworded(self, error: Exception) -> str:
        """The message with the file's keys for the arguments of `compare`."""
        return in_yaml(str(error), [*type(self.keys).model_fields, "allow_missing"])

    def _advice(self, error: Exception) -> str:
        """What a file can do about sides in another order, and about rows that are no numbers."""
        if isinstance(error, NonFiniteError) and "on_nonfinite" not in str(error):
            return " on_nonfinite: drop leaves them out and counts them."
        data = self.keys.data or {}
        shuffled = data.get("kind") == "images" and data.get("order") != "as_is"
        if not isinstance(error, AlignmentError) or not shuffled:
            return ""
        return " Pictures come shuffled: data.order: as_is gives them by their names."

    def _placed(self, error: Exception, key: str) -> str:
        """The message behind its key."""
        message = self._reworded(error)
        if "model_a" in type(self.keys).model_fields:  # what `hooksim layers` takes
            lists = f"`hooksim layers {self.path}`"
            message = message.replace("hooksim.list_layers(model)", lists)
        # Of a run it is A, B at a step, or, where each checkpoint is both, a model at a step.
        side = re.search(r"\b(?:model|recording) (?:([AB])|at)\b[^(]* \(", message)
        names_its_key = re.match(r"\w+=", str(error))
        if isinstance(error, LayerNotFoundError) and side and not names_its_key:
            return f"layers_{(side[1] or 'A').lower()}: {message}"
        if isinstance(error, MissingWeightsError) and "allow_missing" in message and key:
            return f"{key}.allow_missing: {message}"
        continues = key and re.match(r"[a-z_]\w*(\.\w+)*: ", message)
        return f"{key}{'.' if continues else ': ' if key else ''}{message}"

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Look for factories in the config's own folder first, inside the block."""
        folder = str(self.path.resolve().parent)
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            if folder in sys.path:
                sys.path.remove(folder)

    def compare_options(self) -> dict[str, Any]:
        """Return the arguments of `compare` that the file sets, the rest left to its defaults.

        Returns:
            Keyword arguments, without models and loader; `forward` is still a name.
        """
        of_compare = SharedKeys.model_fields.keys() - {"data", "output"}
        given = self.keys.model_fields_set & of_compare
        options = {name: getattr(self.keys, name) for name in sorted(given)}
        if "rows" in options:
            rows = options["rows"]
            options["rows"] = rows[0] if len(rows) == 1 else tuple(rows)
        return options


def read_keys(path: str | Path, overrides: Sequence[str], schema: type[Keys]) -> ConfigFile[Keys]:
    """Read a configuration and check it against a schema.

    Args:
        path: A YAML file.
        overrides: Changes to it, `key.path=value` each.
        schema: Its keys.

    Returns:
        The file and its keys.

    Raises:
        ConfigError: One line, `file: key.path: what is wrong`.
    """
    document = read_document(path, overrides)
    _check_command(path, document, schema)
    return check_keys(path, document, schema)


def check_keys(path: str | Path, document: dict[str, Any], schema: type[Keys]) -> ConfigFile[Keys]:
    """Check plain data against a schema.

    Args:
        path: What messages begin with.
        document: The data.
        schema: Its keys.

    Returns:
        The data and its keys.

    Raises:
        ConfigError: One line, `path: key.path: what is wrong`.
    """
    try:
        keys = schema.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error, document)}") from error
    for key in _trusting(document):
        _log.warning("%s: %s: code that comes with the checkpoint will run", path, key)
    return ConfigFile(Path(path), keys, document)


def _trusting(node: Any, path: str = "") -> Iterator[str]:
    """The keys of a document that let code run which comes with a checkpoint."""
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}" if path else str(key)
            if key == "trust_remote_code" and value is True:
                yield here
            yield from _trusting(value, here)


def _check_command(path: str | Path, document: dict[str, Any], schema: type[SharedKeys]) -> None:
    """Name the right command for a file that has keys of another one only."""
    found = [key for key in _COMMANDS if key in document]
    if found and not any(key in schema.model_fields for key in found):
        command = _COMMANDS[found[0]]
        raise ConfigError(
            f"{path}: {found[0]}: a key of `hooksim {command}`; `hooksim {command} {path}` takes "
            "this file, and with --dry-run lists its layers"
        )


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile[Config]:
    """Read and check the configuration of a comparison.

    Args:
        path: A YAML file.
        overrides: Changes to it, `key.path=value` each.

    Returns:
        The file and its keys.

    Raises:
        ConfigError: One line, `file: key.path: what is wrong`.
    """
    config = read_keys(path, overrides, Config)
    keys = config.keys
    recorded = is_recorded(keys.model_a) and is_recorded(keys.model_b)
    if recorded != (keys.data is None):
        wrong = "expected none for two recorded sides" if recorded else "missing"
        raise ConfigError(f"{path}: data: {wrong}")
    return config
