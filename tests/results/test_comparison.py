"""The result object: keys, words, tables, pictures."""

import base64
import math
import re
import sys

import pytest
import torch

from hooksim.errors import ConfigError, HooksimError
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from hooksim.results.caption import caption_text, leading_warnings, size_text, warning_text
from hooksim.results.labels import shorten_left, side_labels

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
        "cka: 3 x 2 (A x B), n = 1,797 in blocks of 898 to 899, 0.000 to 1.000, "
        "CKA (linear, debiased)",
        "ii_a_to_b: 3 x 2 (A x B), n = 1,797 in blocks of 898 to 899, 0.000 to 0.500, "
        "Information Imbalance (k = 1), A to B",
        "warning (order): Samples come sorted.",
    ]


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "n = 1,797"),
        ({"blocks": [1797]}, "n = 1,797 in one block"),
        ({"blocks": [386, 512, 512, 387]}, "n = 1,797 in blocks of 386 to 512"),
        ({"blocks": [599] * 3}, "n = 1,797 in blocks of 599"),
        ({"unit": "token", "n_rows": 9000}, "n = 9,000 tokens of 1,797 samples"),
        ({"unit": "sample", "n_rows": 1797}, "n = 1,797"),
    ],
)
def test_the_size_says_blocks_and_tokens(metadata: dict[str, object], words: str) -> None:
    assert size_text(1797, metadata) == words
    values = torch.zeros(1, 1)
    m = SimilarityMatrix("cka", values, values, ["x"], ["y"], Meaning("CKA", "max"))
    assert f", {words}, " in str(Comparison({"cka": m}, 1797, metadata))


def many_warnings(*codes: str) -> dict[str, object]:
    return {"warnings": [{"code": code, "text": f"text {i}"} for i, code in enumerate(codes)]}


def test_many_warnings_do_not_fill_the_page() -> None:
    metadata = many_warnings(*["ruling_sample"] * 40, "order")
    shown, others = leading_warnings(metadata)
    assert [code for code, _ in shown] == ["ruling_sample", "ruling_sample", "order"]
    assert others == 38
    assert warning_text(metadata).split("\n") == [
        "Warning: text 0", "Warning: text 1", "Warning: text 40", "and 38 more in the metadata",
    ]  # fmt: skip
    lines = str(comparison(("cka",), **metadata)).split("\n")
    assert len(lines) == 5 and lines[-1] == "and 38 more warnings in metadata['warnings']"
    assert warning_text({}) == "" and warning_text({"warnings": []}) == ""
    assert leading_warnings(many_warnings("x", "x", "x"))[1] == 0
    long = {"warnings": [{"code": "x", "text": "word " * 500}]}
    assert len(warning_text(long)) <= 280 and warning_text(long).endswith(" …")


def test_every_picture_carries_the_warnings() -> None:
    result = comparison(warnings=[{"code": "order", "text": "Samples come sorted."}])
    pictures = [
        result.plot()[0], result.plot("ii")[0], result.plot("cka")[0], result.plot_plane()[0],
        result["cka"].plot()[0],
    ]  # fmt: skip
    for fig in pictures:
        assert [text.get_text() for text in fig.artists] == ["Warning: Samples come sorted."]
    assert all(
        len(fig.texts) == 1 for fig in (comparison().plot()[0], comparison().plot_plane()[0])
    )


def test_html_shows_a_picture_and_escapes_text() -> None:
    text = comparison(("cka",), warnings=[{"code": "x", "text": "<script>"}])._repr_html_()
    assert "<script>" not in text and "&lt;script&gt;" in text
    picture = re.search(r'src="data:image/png;base64,([^"]+)"', text)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")
    assert "white-space: pre-wrap" in text
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
        ({"unit": "token", "n_rows": 3400}, "n = 3,400 tokens of 12 samples. "),
    ],
)
def test_caption_describes_the_blocks(metadata: dict[str, object], words: str) -> None:
    assert words in caption_text(12, metadata)


@pytest.mark.parametrize(
    ("asked", "near_zero", "depends"),
    [("cka", True, False), ("ii", False, True), ("ii_a_to_b", False, True), (None, True, True)],
)
def test_captions_say_what_concerns_the_measures_shown(
    asked: str | None, near_zero: bool, depends: bool
) -> None:
    caption = " ".join(comparison().plot(asked)[0].get_supxlabel().split())
    assert "per cell" in caption and "a quarter too small" in caption
    assert ("Near CKA 0" in caption) is near_zero
    assert ("n, which is the size of the blocks" in caption) is depends


def test_models_are_called_by_name_where_there_is_one() -> None:
    assert side_labels({}) == ("model A", "model B")
    assert side_labels({"model_a": "X", "model_b": 3}) == ("model A (X)", "model B")
    paths = {"name_a": "runs/demo/seed-0/checkpoint-300", "name_b": "tiny", "model_b": "X"}
    assert side_labels(paths) == ("model A: …/demo/seed-0/checkpoint-300", "model B: tiny")
    _, ax = comparison(("cka",), **paths).plot()
    assert " ".join(ax.get_ylabel().split()).startswith("model A: …/demo/seed-0/checkpoint-300")


def test_names_that_differ_at_the_beginning_only_stay_different() -> None:
    end = "/of/many/parts/at/the/end/checkpoint-300"
    label_a, label_b = side_labels({"name_a": f"runs/a{end}", "name_b": f"runs/b{end}"})
    assert label_a.removeprefix("model A") != label_b.removeprefix("model B")
    same = side_labels({"name_a": f"runs/a{end}", "name_b": f"runs/a{end}"})
    assert same[0] == "model A: …/at/the/end/checkpoint-300"
    assert shorten_left("abcdefgh", 4) == "…fgh" and shorten_left("abc/", 3) == "…c/"
    assert shorten_left("module:model (seed=3)", 14) == "… (seed=3)", "no part of a word"
    assert shorten_left("a run/my seeds/0", 11) == "…/0", "a path has parts of its own"


def test_best_matches_that_are_not_decided_are_dashed() -> None:
    values = torch.tensor([[0.9, 0.1], [0.5, 0.51]])
    m = SimilarityMatrix(
        "cka", values, 0.01 + 0 * values, LAYERS_A[:2], LAYERS_B, Meaning("CKA", "max")
    )
    assert m.panel().decided == [True, False]
    assert "Dashed: not told apart" in " ".join(m.plot()[0].get_supxlabel().split())


def test_nothing_undefined_breaks_words_or_pictures() -> None:
    values = torch.full((1, 1), math.nan)
    m = SimilarityMatrix("cka", values, values, ["x"], ["y"], Meaning("CKA", "max"))
    result = Comparison({"cka": m}, 3, {})
    assert "undefined everywhere" in str(result)
    result.plot()
