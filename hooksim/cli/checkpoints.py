"""The checkpoints of a run, from a spec: each becomes the spec of a side of its own.

A kind of run is a function: its keyword arguments are the keys of the config, those of the model's
loader among them. Messages about a key start with `key: `.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias

from pydantic import Field

from hooksim.errors import ConfigError
from hooksim.loading import MODEL_KINDS
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean
from hooksim.trajectory import in_order

__all__ = ["RUN_KINDS", "Found", "find_checkpoints"]

Every: TypeAlias = Annotated[int, Field(ge=1)]
Revisions: TypeAlias = Annotated[list[str], Field(min_length=1)]


class Found(NamedTuple):
    """One checkpoint of a run.

    Attributes:
        name: What its step is read off.
        spec: The spec of its model or recording.
    """

    name: str
    spec: dict[str, Any]


def _takes_also(kind: str, *instead: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function the keys of a kind of model too, but for some."""

    def extend(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function, eval_str=True).parameters
        loader = inspect.signature(MODEL_KINDS[kind], eval_str=True).parameters
        mine = [each for each in own.values() if each.kind is not each.VAR_KEYWORD]
        more = [
            each.replace(kind=each.KEYWORD_ONLY)
            for name, each in loader.items()
            if name not in own and name not in instead
        ]
        function.__signature__ = inspect.Signature([*mine, *more])  # type: ignore[attr-defined]
        return function

    return extend


@_takes_also("transformers", "subfolder", "revision")
def _of_transformers(
    *,
    path: str,
    pattern: str | None = None,
    revisions: Revisions | None = None,
    every: Every = 1,
    **model: Any,
) -> list[Found]:
    """Find the checkpoints of a run in the Hugging Face format.

    Args:
        path: Folder that holds a folder for each checkpoint, or a hub id.
        pattern: Names of these folders; `checkpoint-*` where it is left out.
        revisions: Branches, tags or commits instead, for a hub id, in the order of the run.
        every: Take each that many only, from the first on.
        model: As for a model of this kind.
    """
    spec = {"kind": "transformers", "path": path, **model}
    folder = _expanded("path", path)
    if revisions is not None:
        if folder.is_dir() or pattern is not None:
            got = "a folder" if folder.is_dir() else "a pattern, too"
            raise ConfigError(f"revisions: they are of a hub id, got {got}")
        return [Found(each, {**spec, "revision": each}) for each in revisions[::every]]
    if not folder.is_dir():
        close = did_you_mean(path, map(str, folder.parent.glob("*/")))
        hint = close or f" in {str(Path.cwd())!r}; a hub id needs revisions"
        raise ConfigError(f"path: no folder {path!r}{hint}")
    wanted = "checkpoint-*" if pattern is None else pattern
    found = [each for each in _glob("pattern", folder, wanted) if each.is_dir()]
    if not found:
        inside = sorted(each.name for each in folder.iterdir() if each.is_dir())
        has = f"; its folders: {listed(inside)}" if inside else ""
        if (folder / "config.json").is_file():
            has = f"; it is a checkpoint itself: a run is the folder of several, {_above(path)!r}"
        key = "path" if pattern is None else "pattern"
        raise ConfigError(f"{key}: {path!r} holds no folder {wanted!r}{has}")
    return [Found(each, {**spec, "path": each}) for each in map(str, in_order(found)[::every])]


@_takes_also("python", "weights")
def _of_python(*, weights: str, every: Every = 1, **model: Any) -> list[Found]:
    """Find files of weights, each for a model of its own from one factory.

    Args:
        weights: Pattern of the files, such as `runs/*.safetensors`.
        every: Take each that many only, from the first on.
        model: As for a model of this kind.
    """
    found = [each for each in _matches("weights", weights) if each.is_file()]
    if not found:
        raise ConfigError(
            f"weights: no file matches {weights!r} in {str(Path.cwd())!r}{_instead(weights)}"
        )
    _check_endings(weights, found)
    spec = {"kind": "python", **model}
    return [Found(each, {**spec, "weights": each}) for each in map(str, in_order(found)[::every])]


def _of_recordings(*, path: str, every: Every = 1) -> list[Found]:
    """Find recordings, one of each checkpoint: the way for models that do not fit together.

    Args:
        path: Pattern of their folders, such as `runs/recorded/step-*`.
        every: Take each that many only, from the first on.
    """
    found = [each for each in _matches("path", path) if each.is_dir()]
    if not found:
        raise ConfigError(
            f"path: no folder matches {path!r} in {str(Path.cwd())!r}{_instead(path)}"
        )
    return [
        Found(each, {"kind": "recording", "path": each})
        for each in map(str, in_order(found)[::every])
    ]


RUN_KINDS: dict[str, Callable[..., list[Found]]] = {
    "transformers": _of_transformers,
    "python": _of_python,
    "recording": _of_recordings,
}
"""One entry a kind of run."""


def find_checkpoints(spec: Mapping[str, Any]) -> list[Found]:
    """Find the checkpoints that a checked spec describes.

    Args:
        spec: `kind` and the keys of that kind.

    Returns:
        In the order of their steps, those without a number last; revisions as they are listed.

    Raises:
        ConfigError: A folder or file is not there; the message starts with its key.
    """
    keys = dict(spec)
    return RUN_KINDS[keys.pop("kind")](**keys)


def _matches(key: str, pattern: str) -> list[Path]:
    """Paths that match a pattern, relative to the working folder or absolute."""
    wanted = _expanded(key, pattern)
    parts = wanted.relative_to(wanted.anchor) if wanted.anchor else wanted
    return _glob(key, Path(wanted.anchor), str(parts) if pattern else "")


def _check_endings(pattern: str, found: Sequence[Path]) -> None:
    """Refuse a file of weights that is there in two formats: both would be one step."""
    first: dict[Path, Path] = {}
    for each in sorted(found):
        other = first.setdefault(each.with_suffix(""), each)
        if other != each:
            narrow = f"narrow the pattern, such as *{other.suffix or each.suffix}"
            raise ConfigError(
                f"weights: {pattern!r} matches {str(other)!r} and {each.name!r}: {narrow}"
            )


def _instead(pattern: str) -> str:
    """What is there, for a pattern that matches nothing: the name that it misses, or all."""
    wanted = Path(pattern).expanduser()
    here = Path(wanted.anchor or ".")
    for part in wanted.relative_to(wanted.anchor).parts if wanted.anchor else wanted.parts:
        if not (here / part).exists():
            break
        here /= part
    if here.is_file():
        return f"; {str(here)!r} is a file"
    try:
        there = sorted(each.name for each in here.iterdir())
    except OSError:  # it is not for us to look into
        return ""
    close = did_you_mean(part, there)
    return close or f"; {str(here)!r} holds {listed(there) if there else 'nothing'}"


def _above(path: str) -> str:
    """The folder that a folder is in, in the words of the config where these have it."""
    given = Path(path)
    return str(given.parent if given.name not in ("", "..") else given.resolve().parent)


def _expanded(key: str, path: str) -> Path:
    """A path with the home folder in the place of `~`."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{key}: {path!r}: no home folder of that user") from error


def _glob(key: str, folder: Path, pattern: str) -> list[Path]:
    """Paths in a folder that match a pattern; Python versions differ in what they refuse."""
    if pattern in ("", "."):
        raise ConfigError(f"{key}: expected a pattern such as 'runs/step-*', got none")
    if Path(pattern).anchor:
        raise ConfigError(f"{key}: expected a pattern inside {str(folder)!r}, got {pattern!r}")
    try:
        return list(folder.glob(pattern))
    except (IndexError, NotImplementedError, OSError, ValueError) as error:
        raise ConfigError(f"{key}: {pattern!r} is no pattern of paths: {error}") from error
