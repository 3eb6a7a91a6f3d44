"""A comparison on disk: exact values, metadata, tables and pictures in one folder."""

import json
import math
import os
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hooksim.errors import ConfigError, HooksimError
from hooksim.results.matrix import Meaning, SimilarityMatrix
from hooksim.results.tables import file_stems, write_diagnostics, write_table
from hooksim.storage import refuse_to_replace, write_folder

if TYPE_CHECKING:
    from hooksim.results.comparison import Comparison

__all__ = ["check_target", "load_parts", "save_comparison"]

_FORMAT = "hooksim comparison"
_SCHEMA = 1
_TENSORS, _METADATA = "matrices.safetensors", "metadata.json"
_DIAGNOSTICS = "diagnostics"  # stem of the table of layers, which no matrix can take
# What other parts of hooksim may add to a saved result.
_ADDED = {"report.html", "config.yaml"}


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse a folder that `Comparison.save` would refuse, before the work is done.

    Args:
        path: Where a result shall be saved.
        overwrite: Replace a result that stands there.

    Raises:
        ConfigError: Something stands there that may not be replaced.
    """
    refuse_to_replace(path, overwrite=overwrite, objection=_objection)


def save_comparison(
    comparison: "Comparison", path: str | os.PathLike[str], overwrite: bool
) -> Path:
    """Write a result; see `Comparison.save`.

    Args:
        comparison: The result.
        path: The folder.
        overwrite: Replace a result that stands there.

    Returns:
        The folder.

    Raises:
        ConfigError: The folder may not be written.
    """
    with write_folder(path, overwrite=overwrite, objection=_objection) as folder:
        stems = file_stems(dict.fromkeys([_DIAGNOSTICS, *comparison, *comparison.directed()]))
        _write_tensors(folder, comparison)
        _write_tables(folder, comparison, stems)
        _write_pictures(folder, comparison, stems)
        _write_metadata(folder, comparison, stems)
    return Path(path).expanduser()


def _objection(folder: Path) -> str | None:
    """Say why a folder must not be replaced: it is no result, or holds files of somebody else."""
    try:
        description = _read_description(folder)
        known = {*description.get("files", []), *_ADDED, _METADATA}
    except (HooksimError, TypeError):
        return "is not a result that this hooksim can read"
    foreign = sorted(file.name for file in folder.iterdir() if file.name not in known)
    if not foreign:
        return None
    named = ", ".join(map(repr, foreign[:3])) + (", ..." if len(foreign) > 3 else "")
    return f"holds files that are not part of the result ({named})"


def _write_tensors(folder: Path, comparison: "Comparison") -> None:
    """Write values and standard errors, exact."""
    from safetensors.torch import save

    tensors = {}
    for key in comparison:
        tensors[f"{key}.values"] = comparison[key].values
        tensors[f"{key}.stderr"] = comparison[key].stderr
    # safetensors' own save_file makes a file that nobody but the user can read.
    (folder / _TENSORS).write_bytes(save(tensors))


def _write_tables(folder: Path, comparison: "Comparison", stems: dict[str, str]) -> None:
    """Write a table of values and one of standard errors for each matrix, and one of the layers."""
    sides = {"a": comparison.diagnostics("a"), "b": comparison.diagnostics("b")}
    if any(sides.values()):
        write_diagnostics(folder / f"{stems[_DIAGNOSTICS]}.csv", sides)
    for key in comparison:
        m = comparison[key]
        write_table(folder / f"{stems[key]}.csv", m.values, m.layers_a, m.layers_b)
        write_table(folder / f"{stems[key]}.stderr.csv", m.stderr, m.layers_a, m.layers_b)


def _write_pictures(folder: Path, comparison: "Comparison", stems: dict[str, str]) -> None:
    """Draw each matrix, both directions of a measure side by side, and its plane."""
    from hooksim.plotting import png_bytes

    for key in comparison:
        (folder / f"{stems[key]}.png").write_bytes(png_bytes(comparison[key].plot()[0]))
    for key in comparison.directed():
        both, _ = comparison.plot(key)
        (folder / f"{stems[key]}.directions.png").write_bytes(png_bytes(both))
        plane, _ = comparison.plot_plane(key)
        (folder / f"{stems[key]}.plane.png").write_bytes(png_bytes(plane))


def _write_metadata(folder: Path, comparison: "Comparison", stems: dict[str, str]) -> None:
    """Write names, meaning and provenance, and which files belong to the result."""
    matrices = []
    for key in comparison:
        m, meaning = comparison[key], comparison[key].meaning
        matrices.append(
            {
                "key": key,
                "file": stems[key],
                "label": meaning.label,
                "best": meaning.best,
                "range": list(meaning.range),
                "direction": meaning.direction,
                "layers_a": m.layers_a,
                "layers_b": m.layers_b,
            }
        )
    description = {
        "format": _FORMAT,
        "schema_version": _SCHEMA,
        "n_samples": comparison.n_samples,
        "matrices": matrices,
        "metadata": _plain(comparison.metadata),
        "files": sorted([_METADATA, *(file.name for file in folder.iterdir())]),
    }
    text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / _METADATA).write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Turn metadata into what every JSON reader takes; what has no such form becomes its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)


def load_parts(
    path: str | os.PathLike[str],
) -> tuple[dict[str, SimilarityMatrix], int, dict[str, Any]]:
    """Read a result.

    Args:
        path: The folder.

    Returns:
        The matrices, the number of samples and the metadata.

    Raises:
        ConfigError: There is no result.
        HooksimError: The result is damaged, or of a newer version.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        raise ConfigError(f"'{folder}' does not exist. Expected the folder of a saved result.")
    description = _read_description(folder)
    tensors = _read_tensors(folder)
    try:
        matrices = {item["key"]: _matrix(item, tensors) for item in description["matrices"]}
        return matrices, int(description["n_samples"]), dict(description["metadata"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise _damaged(folder, f"its parts do not fit each other ({what})") from error


def _read_description(folder: Path) -> dict[str, Any]:
    """Read metadata.json and check that it is ours and not newer than we are."""
    file = folder / _METADATA
    if not file.is_file():
        raise ConfigError(f"'{folder}' is not a result of hooksim: it has no {_METADATA}.")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(folder, f"{_METADATA} is not valid JSON ({error})") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise ConfigError(f"'{folder}' is not a result of hooksim: {_METADATA} is of another kind.")
    schema = description.get("schema_version")
    if not isinstance(schema, int):
        raise _damaged(folder, f"{_METADATA} has no schema version")
    if schema > _SCHEMA:
        raise HooksimError(
            f"'{folder}' was written by a newer hooksim (schema {schema}, this one reads up to "
            f"{_SCHEMA}). Upgrade hooksim."
        )
    return description


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read values and standard errors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / _TENSORS).is_file():
        raise _damaged(folder, f"{_TENSORS} is missing")
    try:
        return load_file(folder / _TENSORS)
    except (SafetensorError, ValueError, OSError) as error:
        raise _damaged(folder, f"{_TENSORS} cannot be read ({error})") from error


def _matrix(item: dict[str, Any], tensors: dict[str, Tensor]) -> SimilarityMatrix:
    """Put one matrix together."""
    key = item["key"]
    low, high = item["range"]
    meaning = Meaning(item["label"], item["best"], (low, high), item["direction"])
    values, stderr = tensors[f"{key}.values"], tensors[f"{key}.stderr"]
    return SimilarityMatrix(key, values, stderr, item["layers_a"], item["layers_b"], meaning)


def _damaged(folder: Path, what: str) -> HooksimError:
    """Word the error of a result that cannot be read."""
    return HooksimError(f"the result in '{folder}' is damaged: {what}. Save it again.")
