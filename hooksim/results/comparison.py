"""All matrices of one comparison, with what is needed to read and to repeat them."""

import base64
import html
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hooksim.errors import ConfigError, UnknownKeyError
from hooksim.results.caption import caption_text, size_text, warning_lines, warning_text
from hooksim.results.diagnostics import DiagnosticsTable, layer_diagnostics
from hooksim.results.directions import BACK, FORTH
from hooksim.results.frames import long_table
from hooksim.results.keyed import Keyed
from hooksim.results.labels import side_labels
from hooksim.results.matrix import SimilarityMatrix

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison"]

_WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere; text-align: left"


class Comparison(Keyed[SimilarityMatrix]):
    """The result of comparing two models.

    Args:
        matrices: One matrix for each key.
        n_samples: Number of samples that both models saw.
        metadata: Versions, models, measures, rows, block sizes, warnings: plain data.

    State:
        n_samples: int.
        metadata: dict.

    Example:
        >>> import torch
        >>> from hooksim.results.matrix import Meaning
        >>> meaning = Meaning("CKA (linear, debiased)", best="max")
        >>> layers = ["0", "1"]
        >>> m = SimilarityMatrix("cka", torch.eye(2), torch.zeros(2, 2), layers, layers, meaning)
        >>> result = Comparison({"cka": m}, n_samples=100, metadata={})
        >>> print(result)
        cka: 2 x 2 (A x B), n = 100, 0.000 to 1.000, CKA (linear, debiased)
        >>> result["cka"].best_match("a")[0].best
        '0'
    """

    def __init__(
        self, matrices: Mapping[str, SimilarityMatrix], n_samples: int, metadata: dict[str, Any]
    ) -> None:
        self.n_samples = n_samples
        self.metadata = metadata
        label_a, label_b = side_labels(metadata)
        labelled = {
            key: replace(
                matrix, caption=self._caption([matrix]), warning=warning_text(metadata),
                label_a=label_a, label_b=label_b,
            )
            for key, matrix in matrices.items()
        }  # fmt: skip
        super().__init__(labelled, "result")

    def _caption(self, matrices: Iterable[SimilarityMatrix]) -> str:
        """Word the small print under a picture of some matrices."""
        labels = [matrix.meaning.label for matrix in matrices]
        return caption_text(self.n_samples, self.metadata, labels)

    def __repr__(self) -> str:
        size = size_text(self.n_samples, self.metadata)
        lines = [
            f"{key}: {len(m.layers_a)} x {len(m.layers_b)} (A x B), {size}, "
            f"{m.span}, {m.meaning.title}"
            for key, m in self._matrices.items()
        ]
        return "\n".join([*lines, *warning_lines(self.metadata)])

    def _repr_html_(self) -> str:
        from hooksim.plotting import png_bytes

        text = f'<pre style="{_WRAPPED}">{html.escape(repr(self))}</pre>'
        if not self._matrices:
            return text
        picture = base64.b64encode(png_bytes(self.plot()[0], dpi=110)).decode("ascii")
        names = html.escape(", ".join(self._matrices), quote=True)
        return (
            f'{text}<img alt="Heatmaps: {names}" style="max-width:100%" '
            f'src="data:image/png;base64,{picture}">'
        )

    def diagnostics(self, side: Literal["a", "b"]) -> DiagnosticsTable:
        """Give what is worth knowing of each layer before its cells are read.

        Args:
            side: `"a"` for the layers of model A, `"b"` for those of model B.

        Returns:
            A list that prints as a table, one entry a layer, in axis order: width, rows per
            dimension, participation ratio, share of duplicate rows, largest single share of the
            HSIC, and order F.

        Raises:
            ConfigError: Another side.
        """
        if side not in ("a", "b"):
            raise ConfigError(f"diagnostics: expected 'a' or 'b', got {side!r}.")
        return layer_diagnostics(self.metadata, side)

    def to_pandas(self) -> "pd.DataFrame":
        """Make a long table, one line for each pair of layers and measure.

        Returns:
            Columns `measure`, `layer_a`, `layer_b`, `value`, `stderr`; NaN where undefined.

        Raises:
            HooksimError: pandas is not installed.
        """
        rows = [
            (key, layer_a, layer_b, m.values[i, j].item(), m.stderr[i, j].item())
            for key, m in self._matrices.items()
            for i, layer_a in enumerate(m.layers_a)
            for j, layer_b in enumerate(m.layers_b)
        ]
        return long_table(rows, ["measure", "layer_a", "layer_b", "value", "stderr"])

    def plot(
        self,
        key: str | None = None,
        *,
        annotate: bool | Literal["auto"] = "auto",
        show_stderr: bool = False,
    ) -> "tuple[Figure, Any]":
        """Draw heatmaps.

        Args:
            key: A matrix; the stem of two directions (`"information_imbalance"`) for both side by
                side; None for the first symmetric matrix and the first two directions.
            annotate: Write values in the cells; `"auto"` where they fit.
            show_stderr: Write standard errors under the values.

        Returns:
            The figure, and its axes: for one matrix its axes as they are, for several panels (as
            with two directions, or with `key=None` in most results) a list of axes from left to
            right, without those of the colour bars.

        Raises:
            UnknownKeyError: There is no such matrix.
        """
        from hooksim.plotting import draw_heatmaps

        chosen = self._chosen(key)
        if not chosen:
            raise ConfigError("plot: the result holds no matrix, so there is nothing to draw.")
        fig, axes = draw_heatmaps(
            [matrix.panel() for matrix in chosen],
            caption=self._caption(chosen), warning=chosen[0].warning,
            annotate=annotate, show_stderr=show_stderr,
        )  # fmt: skip
        return fig, axes if len(axes) > 1 else axes[0]

    def _chosen(self, key: str | None) -> list[SimilarityMatrix]:
        """Choose the matrices to draw."""
        stems = self.directed()
        if key in stems:
            return [self[f"{key}{FORTH}"], self[f"{key}{BACK}"]]
        if key is not None:
            return [self[key]]
        in_pairs = {stem + end for stem in stems for end in (FORTH, BACK)}
        chosen = [m for name, m in self._matrices.items() if name not in in_pairs][:1]
        for stem in stems[:1]:
            chosen += [self[stem + FORTH], self[stem + BACK]]
        return chosen

    def plot_plane(self, key: str | None = None) -> "tuple[Figure, Axes]":
        """Draw the imbalance plane: A to B against B to A, a point for each pair of layers.

        Args:
            key: Stem of two directions; None for the first.

        Returns:
            The figure and its axes.

        Raises:
            UnknownKeyError: The result does not hold both directions.
        """
        from hooksim.plotting import draw_plane

        stems = self.directed()
        if key is None and stems:
            key = stems[0]
        if key not in stems:
            has = ", ".join(map(repr, stems)) or "none"
            asked = "measure" if key is None else repr(key)
            raise UnknownKeyError(f"the result has no {asked} in two directions. It has: {has}.")
        forth, back = self[f"{key}{FORTH}"], self[f"{key}{BACK}"]
        return draw_plane(
            forth.panel(), back.panel(), title=forth.meaning.label, caption=forth.caption,
            warning=forth.warning,
        )  # fmt: skip

    def save(
        self, path: str | os.PathLike[str], overwrite: bool = False, *, pictures: bool = True
    ) -> Path:
        """Write values, metadata, tables, pictures and the page, a folder whole or not at all.

        Args:
            path: The folder.
            overwrite: Replace a result that stands there. Anything else is never replaced.
            pictures: Draw the heatmaps too, which takes longer than all the rest.

        Returns:
            The folder.

        Raises:
            ConfigError: A result stands there, or something that is no result.
        """
        from hooksim.results.files import save_comparison

        return save_comparison(self, path, overwrite, pictures=pictures)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a page that shows everything: one file, to be opened in any browser, offline.

        Args:
            path: The file; in a folder that is there, its `report.html`. A page that hooksim wrote
                is replaced, any other file never.

        Returns:
            The page's path.

        Raises:
            ConfigError: Something else stands there.
        """
        from hooksim.results.page import write_page
        from hooksim.results.payload import comparison_payload

        return write_page(path, comparison_payload(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Comparison":
        """Read what `save` wrote.

        Args:
            path: The folder.

        Returns:
            The comparison, values bit for bit; metadata as plain data.

        Raises:
            HooksimError: There is nothing, no result, a damaged one, or one of a newer version.
        """
        from hooksim.results.files import load_parts

        return cls(*load_parts(path))
