"""A YAML file as plain data, with `--set` changes: no tags, no duplicate keys, lines in errors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hooksim.cli.places import namesake
from hooksim.errors import ConfigError

__all__ = ["apply_override", "read_document"]

_LARGEST = 1 << 20  # bytes of a configuration
_MOST_VALUES = 100_000  # of a configuration, every alias counted with what it stands for
_DEEPEST = 50  # levels
_END = object()
_SIDES = ("model", "tokenizer", "processor")
# Keys whose value may be one word, and the mapping that it is short for, its place left open.
_SHORT: dict[str, dict[str, Any]] = {
    **{f"{each}_{end}": {"kind": "transformers", "path": None} for each in _SIDES for end in "ab"},
    "checkpoints": {"kind": "transformers", "path": None},
    "reference": {"kind": "transformers", "path": None},
    "rows": {"policy": None},
    "measures": {"name": None},
}
# What PyYAML raises, beside its own errors, for values that are none of the kind they claim to be.
_NO_VALUE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice in one mapping is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if str(key) in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"line {line}: key {str(key)!r} stands twice in one mapping")
            seen.add(str(key))
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_VALUES:  # merges of merges: gigabytes before we see a value
            raise ConfigError(_too_many())


def read_document(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a YAML mapping and apply changes to it.

    Args:
        path: The file.
        overrides: `key.path=value` each, the value in YAML, items of a list by their number.

    Returns:
        Plain dicts, lists and values.

    Raises:
        ConfigError: No such file, not YAML, not a mapping, or a change that does not fit; the
            message starts with the file or `--set`.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST + 1).decode("utf-8")
    except IsADirectoryError as error:
        raise ConfigError(
            f"{path}: is a folder, expected a configuration: a YAML file that names models, data "
            "and output"
        ) from error
    except (OSError, ValueError) as error:  # no text, or a NUL in the name
        reason = getattr(error, "strerror", None) or "not a text file"
        close = namesake(Path(path), "*.y*ml") if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{path}: cannot be read: {reason}{close}") from error
    if len(text.encode("utf-8")) > _LARGEST:
        raise ConfigError(f"{path}: is larger than {_LARGEST:,} bytes, which no configuration is")
    try:
        document = _plain_data(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        got = "nothing" if document is None else type(document).__name__
        raise ConfigError(f"{path}: expected a mapping of keys at the top, got {got}")
    for override in overrides:
        apply_override(document, override)
    return document


def apply_override(document: dict[str, Any], override: str) -> None:
    """Change one value of a document in place.

    Args:
        document: Plain dicts and lists.
        override: `key.path=value`. Mappings on the way that are not there are made.

    Raises:
        ConfigError: The override is malformed or its path leads through a value.

    Example:
        >>> document = {"measures": [{"name": "cka"}]}
        >>> apply_override(document, "measures.0.debiased=false")
        >>> document
        {'measures': [{'name': 'cka', 'debiased': False}]}
        >>> document = {"rows": "mean"}
        >>> apply_override(document, "rows.normalize=true")
        >>> document
        {'rows': {'policy': 'mean', 'normalize': True}}
    """
    path, equals, text = override.partition("=")
    if not equals or not path or "" in path.split("."):
        raise ConfigError(f"--set {override!r}: expected key.path=value")
    try:  # an alias has nothing to stand for here: what looks like one is a pattern
        value = text if text.startswith("*") else _plain_data(text)
    except ConfigError as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML: {error}") from error
    *parents, last = path.split(".")
    node: Any = document
    for depth, part in enumerate(parents):
        here = ".".join(parents[: depth + 1])
        key = _key_of(node, part, f"--set {override!r}", ".".join(parents[:depth]))
        if isinstance(node, dict) and node.get(key) is None:
            node[key] = {}
        if isinstance(node[key], str):
            node[key] = _written_out(node[key], parents[: depth + 1])
        node = node[key]
        if not isinstance(node, dict | list):
            raise ConfigError(f"--set {override!r}: {here} is {node!r}, not a mapping or list")
    node[_key_of(node, last, f"--set {override!r}", ".".join(parents))] = value


def _written_out(word: str, path: Sequence[str]) -> Any:
    """The mapping that a word is short for at this place; the word itself where it is none."""
    name = next((part for part in reversed(path) if not part.isdecimal()), "")
    return {key: value or word for key, value in _SHORT[name].items()} if name in _SHORT else word


def _key_of(node: Any, part: str, where: str, path: str) -> Any:
    """Return the part as a key of a mapping or, checked, as an index of a list."""
    if isinstance(node, dict):
        return part
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(node):
        raise ConfigError(f"{where}: {path} is a list of {len(node)}, it has no item {part!r}")
    return int(part)


def _plain_data(text: str) -> Any:
    """Read YAML, and refuse what a few lines of it can blow up to."""
    try:
        value = yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_error(error)) from error
    except ConfigError:
        raise
    except RecursionError as error:
        raise ConfigError(_too_deep()) from error
    except _NO_VALUE as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"a value is not what its form or its tag says ({reason})") from error
    _refuse_bombs(value)
    return value


def _refuse_bombs(value: Any) -> None:
    """Count what aliases unfold to: each is one object here, and many where it is written."""
    left, iterators = _MOST_VALUES, [iter([value])]
    while iterators:
        each = next(iterators[-1], _END)
        if each is _END:
            iterators.pop()
            continue
        left -= 1
        if left < 0:
            raise ConfigError(_too_many())
        if isinstance(each, dict | list | set | tuple):
            iterators.append(iter(each.values() if isinstance(each, dict) else each))
        if len(iterators) > _DEEPEST:
            raise ConfigError(_too_deep())


def _too_many() -> str:
    return f"holds more than {_MOST_VALUES:,} values, its aliases unfolded"


def _too_deep() -> str:
    return f"is nested more than {_DEEPEST} levels deep, or holds itself"


def _syntax_error(error: yaml.YAMLError) -> str:
    """Say in one line what the parser found, and in which line of the file."""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    if "alias" in f"{getattr(error, 'context', None)} {problem}":
        problem = "what begins with * needs quotes, such as '**.attention'"
    if problem == "could not find expected ':'":  # the parser finds out in the line after
        mark = getattr(error, "context_mark", None) or mark
        problem += " and a blank behind a key"
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
