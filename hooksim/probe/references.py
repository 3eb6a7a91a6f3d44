"""What a probe compares with: models, recordings and folders, all turned into recordings."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from hooksim.capture.alignment import check_aligned
from hooksim.capture.slices import BatchPosition
from hooksim.capture.view import View
from hooksim.errors import ConfigError, HooksimError
from hooksim.loading import load_model
from hooksim.loading.wording import listed
from hooksim.probe.samples import SAME_SAMPLES
from hooksim.recording import Recording
from hooksim.recording.folder import LOG, METADATA, check_folder
from hooksim.recording.reader import RecordingReader
from hooksim.spelling import did_you_mean

__all__ = [
    "PREVIOUS",
    "Reference",
    "check_same_samples",
    "holds_only_recordings",
    "name_references",
    "record_reference",
    "titled",
]

PREVIOUS = "previous"
"""The reference that is the measurement before."""

Reference: TypeAlias = nn.Module | Recording | str | os.PathLike[str]
"""One of the things that a probe may compare with."""

_ONLY = "reference"  # what a single one is called
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_KINDS = "a torch.nn.Module, a hooksim.Recording, a folder, 'previous'"
_FOLDERS = "the folder of a recording, or of a checkpoint in the Hugging Face format"


def name_references(reference: Any) -> dict[str, Reference]:
    """Give every reference a name; names become those of folders and of curves.

    Args:
        reference: One, or a mapping of names to several.

    Returns:
        The references by name; a single one is called `previous` where it is that, else
        `reference`.

    Raises:
        ConfigError: Something else, or a name that cannot be that of a folder.

    Example:
        >>> name_references("previous")
        {'previous': 'previous'}
    """
    if not isinstance(reference, Mapping):
        _check(reference, "reference", f"{_KINDS}, or a mapping of names to these")
        return {PREVIOUS if _is_previous(reference) else _ONLY: reference}
    if not reference:
        raise ConfigError("reference: the mapping is empty. Name at least one reference.")
    known: dict[str, str] = {}
    for name, each in reference.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"reference: {name!r} cannot be the name of a folder and of a curve. Use letters, "
                "digits, '_', '-' and '.', beginning with a letter or a digit."
            )
        if name.endswith("."):
            raise ConfigError(
                f"reference: {name!r} cannot be the name of a folder everywhere, since it ends in "
                "'.'. Take the '.' away."
            )
        other = known.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(
                f"reference: {other!r} and {name!r} differ in capitals only, so on some systems "
                "they would share a folder. Give one of them another name."
            )
        _check(each, titled(name), _KINDS)
    return dict(reference)


def titled(name: str) -> str:
    """Name a reference in a message.

    Args:
        name: The reference's.

    Returns:
        `reference` and its name, where it was given one.

    Example:
        >>> titled("initial"), titled("reference")
        ("reference 'initial'", 'reference')
    """
    return "reference" if name == _ONLY else f"reference {name!r}"


def _check(reference: Any, where: str, expected: str) -> None:
    if not isinstance(reference, nn.Module | Recording | str | os.PathLike):
        raise ConfigError(f"{where}: expected {expected}, got {type(reference).__name__}.")


def _is_previous(reference: Reference) -> bool:
    return isinstance(reference, str) and reference == PREVIOUS


def record_reference(
    name: str, reference: Reference, record: Callable[[nn.Module], Recording]
) -> Recording | None:
    """Turn a reference into a recording; a model that is loaded for it is let go.

    Args:
        name: The reference's, for messages.
        reference: What was given.
        record: Runs a model over the probe's samples.

    Returns:
        The recording; None for `"previous"`, which is recorded when it is measured.

    Raises:
        HooksimError: There is no such folder, or what is in it cannot be used.
    """
    if _is_previous(reference):
        return None
    if isinstance(reference, Recording):
        return reference
    if isinstance(reference, nn.Module):
        return record(reference)
    folder = Path(reference).expanduser()
    if not folder.is_dir():
        close = did_you_mean(str(reference), [PREVIOUS]) or "."
        raise ConfigError(
            f"{titled(name)}: there is no folder '{folder}'{close} "
            f"Expected {_FOLDERS}; '{PREVIOUS}' for the measurement before; or a model, which "
            "stands for its weights as they are now."
        )
    if not (folder / "config.json").is_file():
        return _load_recording(name, folder)
    model, notes = load_model(folder)
    recording = record(model)
    recording.notes += notes
    return recording


def check_same_samples(name: str, folder: Path, own: Recording) -> None:
    """Refuse to put a recording of other samples in the place of a reference.

    Args:
        name: The reference's.
        folder: Of the recording of an earlier run.
        own: The probe's.

    Raises:
        HooksimError: Their samples differ in number, in ids, or by what went into the model.
    """
    kept = Recording.load(folder)
    readers = [RecordingReader(each, [View(label)]) for each, label in ((kept, "A"), (own, "B"))]
    try:
        readers[0].finish(own.n_samples)
        readers[1].finish(kept.n_samples)
        slices = [each.whole(own.n_samples) for each in readers]
        check_aligned(readers, slices, BatchPosition(0, 0))
    except HooksimError as error:
        raise type(error)(
            f"{titled(name)}: the run was begun with other samples (A) than the probe's (B): "
            f"{error} {SAME_SAMPLES}"
        ) from error


def holds_only_recordings(folder: Path) -> bool:
    """Say whether nothing is lost with a folder but the recordings of references.

    Args:
        folder: Any folder.

    Returns:
        True where it is a recording, or holds only such, and no file of anybody else.
    """
    if (folder / METADATA).exists() or (folder / LOG).exists():
        return _is_recording(folder)
    return all(each.is_dir() and _is_recording(each) for each in folder.iterdir())


def _is_recording(folder: Path) -> bool:
    try:
        check_folder(folder, overwrite=True)
    except HooksimError:
        return False
    return True


def _load_recording(name: str, folder: Path) -> Recording:
    try:
        return Recording.load(folder)
    except ConfigError as error:
        inside = sorted(found.parent.name for found in folder.glob("*/config.json"))
        hint = f" Its subfolders {listed(inside)} have one." if inside else ""
        raise ConfigError(
            f"{titled(name)}: '{folder}' holds neither a recording nor a checkpoint in the "
            f"Hugging Face format, which would have a config.json.{hint}"
        ) from error
