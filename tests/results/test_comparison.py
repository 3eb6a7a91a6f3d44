"""The result object: keys, words, tables, pictures."""

import base64
import math
import re
import sys

import pytest
import torch

from hooksim.errors import ConfigError, HooksimError
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from hooksim.results.caption import caption_text

LAYERS_A = ["vit.layers.0", "vit.layers.1", "vit.layers.2"]
LAYERS_B = ["resnet.stages.0", "resnet.stages.1"]


def comparison(
    keys: tuple[str, ...] = ("cka", "ii_a_to_b", "ii_b_to_a"), **metadata: object
) -> Comparison:
    matrices = {}
    for i, key in enumerate(keys):
        direction = {"a_to_b": "A to B", "b_to_a": "B to A"}.get(key[-6:], "")
        meaning = (
            Meaning("Information Imbalance (k = 1)", "min", direction=direction)
            if direction
            else Meaning("CKA (linear, debiased)", "max")
        )
        values = torch.linspace(0, 1, 6, dtype=torch.float64).reshape(3, 2) / (i + 1)
        matrices[key] = SimilarityMatrix(
            key, values, 0.01 + 0 * values, LAYERS_A, LAYERS_B, meaning
        )
    return Comparison(
        matrices, n_samples=1797, metadata={"blocks": [899, 898], "model_a": "ViTModel", **metadata}
    )


def test_matrices_are_found_by_key_in_order() -> None:
    result = comparison()
    assert result.keys() == list(result) == ["cka", "ii_a_to_b", "ii_b_to_a"]
    assert len(result) == 3 and "cka" in result and "nothing" not in result
    assert result["cka"].key == "cka"


def test_an_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(HooksimError) as caught:
        comparison()["cks"]
    assert isinstance(caught.value, KeyError)
    assert str(caught.value) == (
        "the result has no matrix 'cks'. It has: 'cka', 'ii_a_to_b', 'ii_b_to_a'."
    )


def test_print_gives_a_line_per_matrix_and_per_warning() -> None:
    result = comparison(
        ("cka", "ii_a_to_b"), warnings=[{"code": "order", "text": "Samples come sorted."}]
    )
    assert str(result).split("\n") == [
        "cka: 3 x 2 (A x B), n = 1,797, 0.000 to 1.000, CKA (linear, debiased)",
        "ii_a_to_b: 3 x 2 (A x B), n = 1,797, 0.000 to 0.500, "
        "Information Imbalance (k = 1), A to B",
        "warning (order): Samples come sorted.",
    ]


def test_html_shows_a_picture_and_escapes_text() -> None:
    text = comparison(("cka",), warnings=[{"code": "x", "text": "<script>"}])._repr_html_()
    assert "<script>" not in text and "&lt;script&gt;" in text
    picture = re.search(r'src="data:image/png;base64,([^"]+)"', text)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")
    assert "<img" not in Comparison({}, 0, {})._repr_html_()


def test_pandas_table_is_long() -> None:
    result = comparison()
    table = result.to_pandas()
    assert list(table.columns) == ["measure", "layer_a", "layer_b", "value", "stderr"]
    assert len(table) == 18
    line = table.iloc[6 + 2 * 2 + 1]
    assert tuple(line)[:3] == ("ii_a_to_b", "vit.layers.2", "resnet.stages.1")
    assert line["value"] == result["ii_a_to_b"].values[2, 1].item() and line["stderr"] == 0.01


def test_pandas_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(HooksimError, match=r"pip install 'hooksim\[frames\]'"):
        comparison().to_pandas()


@pytest.mark.parametrize(
    ("keys", "asked", "titles"),
    [
        (("cka", "ii_a_to_b", "ii_b_to_a"), None, ["CKA", "A to B", "B to A"]),
        (("cka", "cka_2"), None, ["CKA"]),
        (("ii_a_to_b", "ii_b_to_a"), None, ["A to B", "B to A"]),
        (("ii_b_to_a",), None, ["B to A"]),
        (("cka", "ii_a_to_b", "ii_b_to_a"), "ii", ["A to B", "B to A"]),
        (("cka", "ii_a_to_b", "ii_b_to_a"), "ii_b_to_a", ["B to A"]),
    ],
)
def test_plot_draws_what_is_there(
    keys: tuple[str, ...], asked: str | None, titles: list[str]
) -> None:
    _, axes = comparison(keys).plot(asked)
    drawn = [ax.get_title() for ax in (axes if isinstance(axes, list) else [axes])]
    assert len(drawn) == len(titles)
    assert all(title in text for title, text in zip(titles, drawn, strict=True))


def test_plot_refuses_unknown_keys_and_empty_results() -> None:
    with pytest.raises(HooksimError, match="no matrix 'ci'"):
        comparison().plot("ci")
    with pytest.raises(ConfigError, match="nothing to draw"):
        Comparison({}, 0, {}).plot()


def test_plane_needs_both_directions() -> None:
    _, ax = comparison().plot_plane()
    assert ax.get_title() == "Information Imbalance (k = 1)"
    with pytest.raises(HooksimError, match="no measure") as caught:
        comparison(("cka",)).plot_plane()
    assert str(caught.value) == "the result has no measure in two directions. It has: none."
    with pytest.raises(HooksimError, match=r"no 'cka' in two directions\. It has: 'ii'"):
        comparison().plot_plane("cka")


def test_pictures_carry_samples_blocks_caveats_and_models() -> None:
    fig, ax = comparison(("cka",)).plot("cka")
    caption = " ".join(fig.get_supxlabel().split())
    assert caption.startswith("n\xa0=\xa01,797 samples".replace("\xa0", " "))
    assert "per cell" in caption and "a quarter too small" in caption and "1.6 times" in caption
    assert "in 2 blocks (899 and 898)" in caption and "model A (ViTModel)" in ax.get_ylabel()
    _, matrix_ax = comparison(("cka",))["cka"].plot()
    assert matrix_ax.get_ylabel() == ax.get_ylabel()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "n = 12 samples. "),
        ({"blocks": [12]}, "n = 12 samples in one block of 12. "),
        ({"blocks": [4, 4, 4]}, "n = 12 samples in 3 blocks of 4. "),
        ({"blocks": [4, 4, 3, 1]}, "in 4 blocks (2 of 4, 1 of 3 and 1 of 1). "),
        ({"blocks": [5, 4, 2, 1]}, "in 4 blocks of 1 to 5. "),
        ({"unit": "token", "n_rows": 3400}, "n = 12 samples (3,400 tokens). "),
    ],
)
def test_caption_describes_the_blocks(metadata: dict[str, object], words: str) -> None:
    assert words in caption_text(12, metadata)


def test_nothing_undefined_breaks_words_or_pictures() -> None:
    values = torch.full((1, 1), math.nan)
    m = SimilarityMatrix("cka", values, values, ["x"], ["y"], Meaning("CKA", "max"))
    result = Comparison({"cka": m}, 3, {})
    assert "undefined everywhere" in str(result)
    result.plot()
