"""A folder of pictures: which files they are, in which order, and the pixels that a person sees."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hooksim.errors import ConfigError, Note
from hooksim.loading import local_path
from hooksim.loading.wording import count, first_line, listed
from hooksim.spelling import did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Pictures", "find_pictures", "read_picture", "uses_few_bits"]

_FAILS_WITH = (OSError, ValueError, SyntaxError, MemoryError)  # what Pillow's formats raise


class Pictures(NamedTuple):
    """The pictures of a folder.

    Attributes:
        folder: The folder.
        ids: Their paths inside it, with `/` between the parts, one a picture.
        notes: Files beside them, and pictures of several frames.
        deep: The ids of those of 16 bits.
    """

    folder: Path
    ids: list[str]
    notes: list[Note]
    deep: frozenset[str] = frozenset()


def find_pictures(path: str) -> Pictures:
    """Find the pictures of a folder and of the folders in it, links followed.

    A picture is a file whose name ends like one of a format that Pillow reads. Hidden files and
    folders are left out: they hold thumbnails and copies. Every picture is opened (not decoded) at
    once, so that a file that is none is told before the work and not in the middle of it.

    Args:
        path: The folder.

    Returns:
        The pictures in natural order: `10.png` comes after `9.png`.

    Raises:
        ConfigError: No such folder, no pictures in it, or one that cannot be read.
    """
    from PIL import Image

    folder = local_path(path)
    if not folder.is_dir():
        wrong = "is a file, expected a folder" if folder.exists() else "is no folder"
        close = did_you_mean(path, [str(child) for child in folder.parent.glob("*/")])
        raise ConfigError(f"path: {path!r} {wrong}{close or f' in {str(Path.cwd())!r}'}")
    Image.init()
    known = {end for end, name in Image.registered_extensions().items() if name in Image.OPEN}
    ids: list[str] = []
    others: list[str] = []
    for name in sorted(_files(folder), key=_natural):
        (ids if Path(name).suffix.lower() in known and not _hidden(name) else others).append(name)
    if not ids:
        among = f" among {count(others, 'file')} ({listed(others)})" if others else ""
        raise ConfigError(f"path: {path!r} holds no pictures{among}")
    seen = {name: _seen(folder, name) for name in ids}
    several = [name for name in ids if seen[name].several]
    deep = frozenset(name for name in ids if seen[name].deep)
    return Pictures(folder, ids, _notes(others, several, len(ids)), deep)


def read_picture(folder: Path, name: str) -> "Image":
    """Read a picture as a person sees it: upright, on white where it is transparent.

    Args:
        folder: The folder of pictures.
        name: The file's path inside it.

    Returns:
        The picture in mode `RGB`.

    Raises:
        ConfigError: The file cannot be decoded, or its pixels have no range to be scaled by.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(folder / name) as opened:
            opened.load()
            picture = ImageOps.exif_transpose(opened)
    except (*_FAILS_WITH, Image.DecompressionBombError) as error:
        raise ConfigError(f"data.path: {_cannot_read(name, error)}") from error
    if picture.mode.startswith("I;16"):
        picture = _eight_bits(picture)
    elif picture.mode in ("I", "F"):
        raise ConfigError(
            f"data.path: {name!r} has pixels of 32 bits (mode {picture.mode!r}), whose black and "
            "white are not known. Convert it to 8 or 16 bits."
        )
    if picture.has_transparency_data:
        on_white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(on_white, picture.convert("RGBA"))
    return picture.convert("RGB")


def _files(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder; links to folders are followed, each folder once."""
    seen: set[Path] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        inside = Path(place).relative_to(folder)
        yield from ((inside / file).as_posix() for file in files)
        folders.sort()
        seen.add(Path(place).resolve())
        folders[:] = [name for name in folders if Path(place, name).resolve() not in seen]


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _natural(name: str) -> list[tuple[str, int, str]]:
    """A key that sorts numbers by their value, and a folder's files together."""
    parts = re.split(r"(\d+)", name.replace("/", "\0"))
    return [
        ("", int(part), part) if place % 2 else (part.lower(), 0, part)
        for place, part in enumerate(parts)
    ]


class _Seen(NamedTuple):
    """What a picture's file says without being decoded."""

    several: bool  # frames
    deep: bool  # 16 bits


def _seen(folder: Path, name: str) -> _Seen:
    from PIL import Image

    try:
        with Image.open(folder / name) as picture:
            deep = picture.mode.startswith("I;16")
            return _Seen(bool(getattr(picture, "is_animated", False)), deep)
    except (*_FAILS_WITH, Image.DecompressionBombError) as error:
        raise ConfigError(f"path: {_cannot_read(name, error)}") from error


def _cannot_read(name: str, error: Exception) -> str:
    from PIL import UnidentifiedImageError

    unknown = isinstance(error, UnidentifiedImageError)  # its message repeats the whole path
    reason = "it is no picture of a format that Pillow knows" if unknown else first_line(error)
    return f"cannot read {name!r}: {reason}. Mend the file or take it out of the folder."


def _eight_bits(picture: "Image") -> "Image":
    """Scale 16 bits to 8: Pillow's own conversion cuts all that is brighter than 255 off."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(picture)
    return Image.fromarray((pixels.astype(np.uint32) * 255 // 65535).astype(np.uint8))


def uses_few_bits(picture: "Image") -> bool:
    """Tell whether a picture of 16 bits came out almost black: its values have 12 bits or fewer.

    Args:
        picture: As `read_picture` gives it.

    Returns:
        True where no value is above a sixteenth of the range.
    """
    import numpy as np

    return bool(np.asarray(picture).max() < 16)


def _notes(others: list[str], several: list[str], n_pictures: int) -> list[Note]:
    notes = []
    if others:
        some = f"{count(others, 'file')} beside the {n_pictures} pictures"
        notes.append(Note("no_pictures", f"data: {some} not read ({listed(others)})."))
    if several:
        some = f"{count(several, 'picture')} of several frames ({listed(several)})"
        notes.append(Note("first_frames", f"data: of {some} the first frame is taken."))
    return notes
