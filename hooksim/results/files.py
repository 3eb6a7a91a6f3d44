"""A comparison on disk: exact values, metadata, tables, pictures and a page in one folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hooksim.results.description import COMPARISON, DescribedMatrix
from hooksim.results.folder import (
    fitting,
    meaning_data,
    read_parts,
    result_folder,
    write_description,
    write_tensors,
)
from hooksim.results.matrix import SimilarityMatrix
from hooksim.results.page import PAGE, place_page
from hooksim.results.payload import comparison_payload
from hooksim.results.tables import file_stems, write_diagnostics, write_table

if TYPE_CHECKING:
    from hooksim.results.comparison import Comparison

__all__ = ["load_parts", "save_comparison"]

_DIAGNOSTICS = "diagnostics"  # stem of the table of layers, which no matrix can take


def save_comparison(
    comparison: "Comparison",
    path: str | os.PathLike[str],
    overwrite: bool,
    *,
    pictures: bool = True,
) -> Path:
    """Write a result; see `Comparison.save`.

    Args:
        comparison: The result.
        path: The folder.
        overwrite: Replace a result that stands there.
        pictures: Draw the heatmaps too.

    Returns:
        The folder.

    Raises:
        ConfigError: The folder may not be written.
    """
    with result_folder(path, overwrite=overwrite) as folder:
        stems = file_stems(dict.fromkeys([_DIAGNOSTICS, *comparison, *comparison.directed()]))
        _write_tensors(folder, comparison)
        _write_tables(folder, comparison, stems)
        if pictures:
            _write_pictures(folder, comparison, stems)
        place_page(folder / PAGE, comparison_payload(comparison))
        _write_metadata(folder, comparison, stems)
    return Path(path).expanduser()


def _write_tensors(folder: Path, comparison: "Comparison") -> None:
    """Write values and standard errors, exact."""
    tensors = {}
    for key in comparison:
        tensors[f"{key}.values"] = comparison[key].values
        tensors[f"{key}.stderr"] = comparison[key].stderr
    write_tensors(folder, tensors)


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
    """Write names, meaning and provenance."""
    matrices = [
        {
            "key": key,
            "file": stems[key],
            **meaning_data(comparison[key].meaning),
            "layers_a": comparison[key].layers_a,
            "layers_b": comparison[key].layers_b,
        }
        for key in comparison
    ]
    content = {
        "n_samples": comparison.n_samples,
        "matrices": matrices,
        "metadata": comparison.metadata,
    }
    write_description(folder, COMPARISON, content)


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
    folder, description, tensors = read_parts(path, COMPARISON)
    with fitting(folder):
        matrices = {item.key: _matrix(item, tensors) for item in description.matrices}
        return matrices, description.n_samples, description.metadata


def _matrix(item: DescribedMatrix, tensors: dict[str, Tensor]) -> SimilarityMatrix:
    """Put one matrix together."""
    key = item.key
    values, stderr = tensors[f"{key}.values"], tensors[f"{key}.stderr"]
    return SimilarityMatrix(key, values, stderr, item.layers_a, item.layers_b, item.meaning)
