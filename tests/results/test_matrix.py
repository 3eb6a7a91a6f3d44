"""One matrix: checks, best matches, words, pictures."""

import math

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from hooksim.errors import ConfigError, ShapeError
from hooksim.results import Match, Meaning, SimilarityMatrix

NAN = math.nan
CKA = Meaning("CKA (linear, debiased)", best="max")
IMBALANCE = Meaning("Information Imbalance (k = 1)", best="min", direction="A to B")


def matrix(
    values: list[list[float]], meaning: Meaning = CKA, error: float = 0.01
) -> SimilarityMatrix:
    tensor = torch.tensor(values, dtype=torch.float64)
    rows, columns = tensor.shape
    return SimilarityMatrix(
        "key", tensor, torch.full_like(tensor, error),
        [f"a{i}" for i in range(rows)], [f"b{i}" for i in range(columns)], meaning,
    )  # fmt: skip


def test_values_are_float64_copies_that_share_no_memory() -> None:
    values = torch.eye(2, dtype=torch.float32)
    m = SimilarityMatrix("cka", values, values, ["0", "1"], ["0", "1"], CKA)
    values.fill_(7)
    assert m.values.dtype == m.stderr.dtype == torch.float64
    assert torch.equal(m.values, torch.eye(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("values", "stderr", "wrong"),
    [(torch.eye(3), torch.zeros(2, 2), "values"), (torch.eye(2), torch.zeros(2, 3), "stderr")],
)
def test_shapes_that_do_not_fit_the_names_are_refused(
    values: Tensor, stderr: Tensor, wrong: str
) -> None:
    with pytest.raises(ShapeError, match=rf"matrix 'cka': {wrong} of shape .*expected \(2, 2\)"):
        SimilarityMatrix("cka", values, stderr, ["0", "1"], ["0", "1"], CKA)


def test_best_match_is_the_largest_cka_of_each_row_and_column() -> None:
    m = matrix([[0.9, 0.2, 0.1], [0.3, 0.5, 0.52]])
    assert m.best_match("a") == [
        Match("a0", "b0", 0.9, 0.01, "b1", True),
        Match("a1", "b2", 0.52, 0.01, "b1", False),
    ]
    assert [match.best for match in m.best_match("b")] == ["a0", "a1", "a1"]
    assert m.best_match() == m.best_match("a")


def test_best_match_is_the_smallest_imbalance() -> None:
    m = matrix([[0.9, 0.2], [0.3, 0.5]], IMBALANCE)
    assert [match.best for match in m.best_match("a")] == ["b1", "b0"]


def test_decided_needs_more_than_twice_the_sum_of_both_errors() -> None:
    values = torch.tensor([[0.9, 0.5]])
    for error, decided in ((0.09, True), (0.11, False)):
        m = SimilarityMatrix("cka", values, torch.full((1, 2), error), ["a"], ["b", "c"], CKA)
        assert m.best_match("a")[0].decided is decided


def test_a_tie_is_undecided_and_goes_to_the_first_layer() -> None:
    match = matrix([[0.5, 0.7, 0.7]], error=0.0).best_match("a")[0]
    assert (match.best, match.runner_up, match.decided) == ("b1", "b2", False)


def test_undefined_values_are_never_a_match() -> None:
    all_missing, one_left = matrix([[NAN, NAN], [NAN, 0.4]]).best_match("a")
    assert all_missing.best is None and all_missing.runner_up is None
    assert math.isnan(all_missing.value) and not all_missing.decided
    assert (one_left.best, one_left.runner_up, one_left.decided) == ("b1", None, True)


def test_undefined_errors_leave_the_match_undecided() -> None:
    assert not matrix([[0.9, 0.1]], error=NAN).best_match("a")[0].decided


def test_a_single_layer_is_its_own_decided_match() -> None:
    assert matrix([[0.2]]).best_match("b") == [Match("b0", "a0", 0.2, 0.01, None, True)]


def test_an_unknown_side_is_refused() -> None:
    with pytest.raises(ConfigError, match="best_match: side='A', expected 'a' or 'b'"):
        matrix([[0.2]]).best_match("A")  # type: ignore[arg-type]


def test_repr_says_size_range_and_what_is_missing() -> None:
    assert repr(matrix([[0.25, NAN], [-0.0001, 1.0]], IMBALANCE)) == (
        "SimilarityMatrix 'key': Information Imbalance (k = 1), A to B, 2 x 2 (A x B), "
        "0.000 to 1.000, 1 undefined"
    )
    assert "undefined everywhere" in repr(matrix([[NAN]]))


@pytest.mark.parametrize(
    ("best", "ends", "message"),
    [
        ("big", (0.0, 1.0), "best='big'"),
        ("max", (1.0, 1.0), "expected .low, high."),
        ("max", (0.0, NAN), "low < high"),
    ],
)
def test_a_meaning_without_sense_is_refused(
    best: str, ends: tuple[float, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Meaning("x", best, ends)  # type: ignore[arg-type]


def test_plot_gives_figure_and_axes_and_draws_into_given_axes() -> None:
    m = matrix([[0.9, 0.2], [0.3, 0.5]], IMBALANCE)
    fig, ax = m.plot(show_stderr=True)
    assert isinstance(fig, Figure) and ax.figure is fig
    assert ax.get_title() == "Information Imbalance (k\xa0=\xa01)\nA to B"
    assert "0.900\n±0.010" in [text.get_text() for text in ax.texts]
    own = Figure().subplots()
    same_fig, same = m.plot(ax=own)
    assert same is own and same_fig is own.figure
